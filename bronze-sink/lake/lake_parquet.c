#include "lake_parquet.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/timetext.h"
#include "lake_file.h"

/* Rows of a group: enough that its columns compress well, and few enough that a reader of one hour
 * of a day leaves out the rest. */
#define ROW_GROUP_ROWS 65536

/* ---- days */

static bool list_days_of(const struct lake_sheet *sheet, struct lake_days *days, struct err *err)
{
	const struct lake_table_def *def = lake_table_def(sheet->table);
	duckdb_result result;
	char sql[512];

	snprintf(sql, sizeof(sql),
	         "SELECT " LAKE_SHEET_BATCH
	         ", CAST(floor(epoch_us(%s) / 86400000000.0) AS BIGINT) AS day, count(*)"
	         " FROM %s GROUP BY ALL ORDER BY ALL",
	         def->date_from, def->name);
	if (!duck_query(sheet->duck, sql, &result, err))
		return false;
	for (idx_t r = 0; r < duckdb_row_count(&result); r++) {
		GROW(days->at, days->count, days->capacity);
		days->at[days->count++] =
			(struct lake_day){sheet->table, (int32_t)duck_int64(&result, 0, r),
		                          duck_int64(&result, 1, r), duck_int64(&result, 2, r)};
	}
	duckdb_destroy_result(&result);
	return true;
}

static int compare_days(const void *left, const void *right)
{
	const struct lake_day *a = left, *b = right;

	if (a->batch != b->batch)
		return a->batch < b->batch ? -1 : 1;
	if (a->table != b->table)
		return a->table < b->table ? -1 : 1;
	return (a->day > b->day) - (a->day < b->day);
}

bool lake_days_list(struct lake_sheet sheets[LAKE_TABLE_COUNT], struct lake_days *days,
                    struct err *err)
{
	*days = (struct lake_days){0};
	for (int t = 0; t < LAKE_TABLE_COUNT; t++)
		if (sheets[t].rows > 0 &&
		    (!lake_sheet_flush(&sheets[t], err) || !list_days_of(&sheets[t], days, err))) {
			free(days->at);
			return false;
		}
	if (days->count > 0)
		qsort(days->at, days->count, sizeof(*days->at), compare_days);
	return true;
}

/* ---- statistics */

/* The statistics of a column that the catalogue stores, by their names in DuckDB. */
static const struct {
	const char *of_duck, *ours;
	bool is_number;
} kept[] = {{"min", "min", false},
            {"max", "max", false},
            {"null_count", "null_count", true},
            {"num_values", "num_values", true},
            {"column_size_bytes", "bytes", true}};

/* The text of a row in a vector of texts; not terminated. */
static struct span text_of(duckdb_vector vector, idx_t row)
{
	duckdb_string_t *at = &((duckdb_string_t *)duckdb_vector_get_data(vector))[row];

	return (struct span){duckdb_string_t_data(at), duckdb_string_t_length(*at)};
}

static json_t *statistics_of_column(duckdb_vector map, duckdb_list_entry entry)
{
	duckdb_vector pairs = duckdb_list_vector_get_child(map),
		      keys = duckdb_struct_vector_get_child(pairs, 0),
		      values = duckdb_struct_vector_get_child(pairs, 1);
	json_t *column = json_object();

	for (idx_t i = entry.offset; i < entry.offset + entry.length; i++)
		for (size_t k = 0; k < sizeof(kept) / sizeof(*kept); k++) {
			struct span value = text_of(values, i);
			json_t *json;

			if (!span_is(text_of(keys, i), kept[k].of_duck))
				continue;
			if (memchr(value.at, '\0', value.len))
				continue; /* PostgreSQL's JSON has no NUL: there is no bound */
			json = kept[k].is_number ? json_integer(strtoll(value.at, NULL, 10))
			                         : json_stringn(value.at, value.len);
			/* NULL: a text that was cut in the middle of a character. */
			if (json)
				json_object_set_new(column, kept[k].ours, json);
		}
	return column;
}

/* DuckDB quotes names of columns here. */
static struct span unquoted(struct span name)
{
	if (name.len < 2 || name.at[0] != '"')
		return name;
	return (struct span){name.at + 1, name.len - 2};
}

/* The column column_statistics: a map of column names to maps of statistics. */
static char *statistics_json(duckdb_vector map)
{
	duckdb_list_entry entry = ((duckdb_list_entry *)duckdb_vector_get_data(map))[0];
	duckdb_vector pairs = duckdb_list_vector_get_child(map),
		      names = duckdb_struct_vector_get_child(pairs, 0),
		      inner = duckdb_struct_vector_get_child(pairs, 1);
	json_t *all = json_object();
	char *text;

	for (idx_t i = entry.offset; i < entry.offset + entry.length; i++) {
		struct span name = unquoted(text_of(names, i));

		json_object_setn_new(
			all, name.at, name.len,
			statistics_of_column(inner, ((duckdb_list_entry *)duckdb_vector_get_data(
							    inner))[i]));
	}
	text = json_dumps(all, JSON_COMPACT);
	json_decref(all);
	if (!text)
		memory_exhausted();
	return text;
}

static idx_t column_of(duckdb_result *result, const char *name)
{
	idx_t column = 0;

	while (column < duckdb_column_count(result) &&
	       strcmp(duckdb_column_name(result, column), name) != 0)
		column++;
	return column;
}

bool lake_parquet_result(duckdb_result *result, struct lake_file *file, struct err *err)
{
	static const char *const names[] = {"count", "file_size_bytes", "footer_size_bytes",
	                                    "column_statistics"};
	idx_t columns[4];
	duckdb_data_chunk chunk = duckdb_fetch_chunk(*result);
	duckdb_vector vectors[4];

	for (int i = 0; i < 4; i++) {
		columns[i] = column_of(result, names[i]);
		if (!chunk || columns[i] == duckdb_column_count(result)) {
			duckdb_destroy_data_chunk(&chunk);
			return err_set(err, ERR_FATAL, "DuckDB: COPY does not return %s", names[i]);
		}
		vectors[i] = duckdb_data_chunk_get_vector(chunk, columns[i]);
	}
	file->rows = ((int64_t *)duckdb_vector_get_data(vectors[0]))[0];
	file->bytes = ((int64_t *)duckdb_vector_get_data(vectors[1]))[0];
	file->footer_bytes = ((int64_t *)duckdb_vector_get_data(vectors[2]))[0];
	file->statistics = statistics_json(vectors[3]);
	duckdb_destroy_data_chunk(&chunk);
	return true;
}

/* ---- files */

static void append_field_ids(struct buffer *sql, const struct lake_table_def *def)
{
	size_t id = def->column_count;

	buffer_format(sql, ", FIELD_IDS {");
	for (size_t i = 0; i < id; i++) {
		const char *name = def->columns[i].name;

		if (strcmp(name, "headers") == 0)
			buffer_format(sql,
			              "headers: {__duckdb_field_id: %zu, element: "
			              "{__duckdb_field_id: %zu, name: %zu, value: %zu}}",
			              i + 1, id + 1, id + 2, id + 3);
		else
			buffer_format(sql, "\"%s\": %zu, ", name, i + 1);
	}
	buffer_format(sql, "}");
}

void lake_parquet_options(struct buffer *sql, enum lake_table table, const char *const *metadata)
{
	buffer_format(sql, "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE %d, RETURN_STATS",
	              ROW_GROUP_ROWS);
	append_field_ids(sql, lake_table_def(table));
	buffer_format(sql, ", KV_METADATA {");
	for (size_t i = 0; metadata[i]; i += 2) {
		buffer_format(sql, i > 0 ? ", \"%s\": " : "\"%s\": ", metadata[i]);
		duck_quote(sql, metadata[i + 1]);
	}
	buffer_format(sql, "})");
}

static void append_select(struct buffer *sql, const struct lake_day *day)
{
	const struct lake_table_def *def = lake_table_def(day->table);

	buffer_format(sql,
	              "COPY (SELECT * EXCLUDE (" LAKE_SHEET_BATCH
	              ") FROM %s WHERE " LAKE_SHEET_BATCH " = %" PRId32
	              " AND %s >= make_timestamptz(%" PRId64 ") AND %s < make_timestamptz(%" PRId64
	              ") ORDER BY %s) TO ",
	              def->name, day->batch, def->date_from, day->day * US_PER_DAY, def->date_from,
	              (day->day + 1) * US_PER_DAY, def->order);
}

bool lake_parquet_write(struct duck *duck, const struct lake_day *day, const char *local,
                        const char *const *metadata, struct lake_file *file, struct err *err)
{
	struct buffer sql = {0};
	duckdb_result result;
	bool ok;

	file->table = day->table;
	append_select(&sql, day);
	duck_quote(&sql, local);
	buffer_format(&sql, " ");
	lake_parquet_options(&sql, day->table, metadata);
	buffer_append(&sql, "", 1);
	ok = duck_query(duck, sql.at, &result, err);
	buffer_free(&sql);
	if (!ok)
		return err_prefix(err, "cannot write %s", local);
	ok = lake_parquet_result(&result, file, err) && lake_file_sha256(local, file->sha256, err);
	duckdb_destroy_result(&result);
	if (ok && file->rows != day->rows)
		ok = err_set(err, ERR_FATAL, "%s: wrote %" PRId64 " rows of %" PRId64, local,
		             file->rows, day->rows);
	return ok;
}
