/* A window is one query: all records of a range of offsets, sorted. The engine holds
 * the result of one window, so its memory is bounded by the size of a window.
 *
 * Rejected: one sorted stream per partition. A sort of all rows needs memory for all of them, or a
 * disk to spill to. Streaming results of the C API are deprecated. */
#include "rebuild_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* The columns of the query, in its order. */
enum column {
	OFFSET,
	TIME,
	HEADERS,
	KEY,
	VALUE,
	KIND,
	IS_EVENT,
	RECORD_COLUMNS,
	EVENT_ID = RECORD_COLUMNS,
	EVENT_TIME,
	EVENT_TYPE,
	PRODUCT_ID,
	CATEGORY_ID,
	CATEGORY_CODE,
	BRAND,
	PRICE,
	USER_ID,
	USER_SESSION,
	SOURCE_FILE,
	SOURCE_ROW,
	RAW_PARTITION,
	RAW_OFFSET,
	RAW_TIME,
	SOURCE_CLOCK,
	COLUMN_COUNT
};
/* clang-format off */
#define EVENT_SELECT                                                                       \
	"SELECT record_offset, record_time, headers, NULL::BLOB AS key, NULL::BLOB AS value, " \
	"NULL::VARCHAR AS kind, true AS is_event, event_id, event_time, event_type, product_id, " \
	"category_id, category_code, brand, price, user_id, user_session, source_file, "       \
	"source_row, raw_partition, raw_offset, raw_time, source_clock FROM "
#define RECORD_SELECT                                                                      \
	"SELECT record_offset, record_time, headers, key, value, kind, false AS is_event FROM "
/* clang-format on */

struct cells {
	const void *data;
	uint64_t *validity; /* NULL: all rows have a value */
};

struct rebuild_rows {
	struct duck *duck;
	duckdb_result result;
	bool is_open;
	duckdb_data_chunk chunk;
	idx_t row, row_count, column_count;
	struct cells columns[COLUMN_COUNT];
	struct cells header_names, header_values;
	struct header *headers;
	size_t header_capacity;
	struct rebuild_window window;
};

struct rebuild_rows *rebuild_rows_new(struct duck *duck)
{
	struct rebuild_rows *rows = xzalloc(1, sizeof(*rows));

	rows->duck = duck;
	return rows;
}

static void close_result(struct rebuild_rows *rows)
{
	if (rows->chunk)
		duckdb_destroy_data_chunk(&rows->chunk);
	rows->chunk = NULL;
	if (rows->is_open)
		duckdb_destroy_result(&rows->result);
	rows->is_open = false;
}

void rebuild_rows_free(struct rebuild_rows *rows)
{
	if (!rows)
		return;
	close_result(rows);
	free(rows->headers);
	free(rows);
}

/* ---- queries */

static void add_text(struct buffer *sql, const char *text)
{
	buffer_append(sql, text, strlen(text));
}

/* Appends "SELECT … FROM read_parquet([…])" with the window's rows; *count: of the files. */
static bool add_part(struct buffer *sql, const char *select, struct rebuild_files *files,
                     struct lake_storage *storage, const struct rebuild_window *window,
                     enum lake_table table, size_t *count, struct err *err)
{
	struct buffer list = {0};
	char where[200];
	bool ok = rebuild_files_list(files, storage, window, table, &list, count, err);

	if (ok && *count) {
		add_text(sql, select);
		add_text(sql, "read_parquet(");
		buffer_append(sql, list.at, list.len);
		snprintf(where, sizeof(where),
		         ", hive_partitioning = false) WHERE record_partition = %" PRId32
		         " AND record_offset >= %" PRId64 " AND record_offset < %" PRId64,
		         window->partition, window->from, window->to);
		add_text(sql, where);
	}
	buffer_free(&list);
	return ok;
}

static bool run(struct rebuild_rows *rows, struct buffer *sql, struct err *err)
{
	buffer_append(sql, "", 1);
	rows->row = rows->row_count = 0;
	rows->is_open = duck_query(rows->duck, sql->at, &rows->result, err);
	if (rows->is_open)
		rows->column_count = duckdb_column_count(&rows->result);
	return rows->is_open;
}

/* Events, controls, and records of the topic that cannot be read as events. */
static bool add_bronze(struct rebuild_rows *rows, struct rebuild_files *files,
                       struct lake_storage *storage, struct buffer *sql, size_t *count,
                       struct err *err)
{
	static const enum lake_table tables[] = {LAKE_BRONZE, LAKE_CONTROLS, LAKE_DEAD_LETTERS};

	*count = 0;
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
		struct buffer part = {0};
		size_t part_files;
		bool ok = add_part(&part, tables[i] == LAKE_BRONZE ? EVENT_SELECT : RECORD_SELECT,
		                   files, storage, &rows->window, tables[i], &part_files, err);

		if (ok && part_files && *count)
			add_text(sql, " UNION ALL BY NAME ");
		if (ok && part_files)
			buffer_append(sql, part.at, part.len);
		*count += part_files;
		buffer_free(&part);
		if (!ok)
			return false;
	}
	return true;
}

bool rebuild_rows_open(struct rebuild_rows *rows, struct rebuild_files *files,
                       struct lake_storage *storage, const struct rebuild_window *window,
                       struct err *err)
{
	struct buffer sql = {0};
	size_t count = 0;
	bool ok;

	close_result(rows);
	rows->window = *window;
	if (window->topic == TOPIC_BRONZE_EVENTS)
		ok = add_bronze(rows, files, storage, &sql, &count, err);
	else
		ok = add_part(&sql, RECORD_SELECT, files, storage, window, LAKE_DEAD_LETTERS,
		              &count, err);
	if (ok && count) {
		add_text(&sql, " ORDER BY record_offset");
		ok = run(rows, &sql, err);
	}
	buffer_free(&sql);
	return ok || err_prefix(err, "%s/%" PRId32 " from %" PRId64,
	                        topic_of(window->topic)->suffix, window->partition, window->from);
}

#define OF_SINK " AND kind = 'bronze-sink'"

bool rebuild_rows_open_counts(struct rebuild_rows *rows, struct rebuild_files *files,
                              struct lake_storage *storage, struct err *err)
{
	const struct rebuild_window all = {TOPIC_COUNTS, 0, 0, INT64_MAX};
	struct buffer sql = {0}, newest = {0};
	size_t count = 0;
	bool ok;

	close_result(rows);
	rows->window = all;
	ok = add_part(&sql, RECORD_SELECT, files, storage, &all, LAKE_COUNTS, &count, err) &&
	     add_part(&newest, "SELECT max(record_offset) FROM ", files, storage, &all, LAKE_COUNTS,
	              &count, err);
	if (ok && count) {
		add_text(&sql, OF_SINK " AND record_offset IN (");
		buffer_append(&sql, newest.at, newest.len);
		add_text(&sql, OF_SINK " GROUP BY key) ORDER BY record_offset");
		ok = run(rows, &sql, err);
	}
	buffer_free(&newest);
	buffer_free(&sql);
	return ok || err_prefix(err, "counts");
}

/* ---- cells */

static struct cells cells_of(duckdb_vector vector)
{
	return (struct cells){duckdb_vector_get_data(vector), duckdb_vector_get_validity(vector)};
}

static bool has_value(const struct cells *cells, idx_t row)
{
	return !cells->validity || duckdb_validity_row_is_valid(cells->validity, row);
}

static int64_t long_at(const struct cells *cells, idx_t row, int64_t none)
{
	return has_value(cells, row) ? ((const int64_t *)cells->data)[row] : none;
}

/* The engine's strings are short ones in place, or have a pointer. */
static struct span text_at(const struct cells *cells, idx_t row)
{
	const duckdb_string_t *text = (const duckdb_string_t *)cells->data + row;

	if (!has_value(cells, row))
		return SPAN_NULL;
	if (text->value.inlined.length <= sizeof(text->value.inlined.inlined))
		return (struct span){text->value.inlined.inlined, text->value.inlined.length};
	return (struct span){text->value.pointer.ptr, text->value.pointer.length};
}

/* The engine keeps a UUID as a number of 128 bits with the first bit turned, so that it sorts. */
static void id_at(const struct cells *cells, idx_t row, uint8_t id[EVENT_ID_BYTES])
{
	const duckdb_hugeint *number = (const duckdb_hugeint *)cells->data + row;
	uint64_t upper = (uint64_t)number->upper ^ (UINT64_C(1) << 63);

	for (int i = 0; i < 8; i++) {
		id[i] = (uint8_t)(upper >> (56 - 8 * i));
		id[i + 8] = (uint8_t)(number->lower >> (56 - 8 * i));
	}
}

static int64_t floor_ms(int64_t us)
{
	return us / 1000 - (us % 1000 < 0);
}

static void take_headers(struct rebuild_rows *rows, struct rebuild_row *row)
{
	const struct cells *lists = &rows->columns[HEADERS];
	const duckdb_list_entry *list = (const duckdb_list_entry *)lists->data + rows->row;

	row->header_count = has_value(lists, rows->row) ? list->length : 0;
	if (row->header_count > rows->header_capacity) {
		rows->header_capacity = row->header_count;
		rows->headers =
			xrealloc(rows->headers, rows->header_capacity * sizeof(*rows->headers));
	}
	for (size_t i = 0; i < row->header_count; i++)
		rows->headers[i] = (struct header){text_at(&rows->header_names, list->offset + i),
		                                   text_at(&rows->header_values, list->offset + i)};
	row->headers = rows->headers;
}

static bool take_event(const struct rebuild_rows *rows, struct rebuild_row *out, struct err *err)
{
	const struct cells *column = rows->columns;
	struct event *event = &out->bronze.event;
	struct lineage *lineage = &out->bronze.lineage;
	struct span type = text_at(&column[EVENT_TYPE], rows->row);
	idx_t row = rows->row;

	id_at(&column[EVENT_ID], row, out->bronze.event_id);
	event->event_time_us = long_at(&column[EVENT_TIME], row, 0);
	event->product_id = long_at(&column[PRODUCT_ID], row, 0);
	event->category_id = long_at(&column[CATEGORY_ID], row, 0);
	event->category_code = text_at(&column[CATEGORY_CODE], row);
	event->brand = text_at(&column[BRAND], row);
	event->price_cents = long_at(&column[PRICE], row, -1);
	event->user_id = long_at(&column[USER_ID], row, 0);
	event->user_session = text_at(&column[USER_SESSION], row);
	event->unreadable = 0;
	lineage->source_file = text_at(&column[SOURCE_FILE], row);
	lineage->source_row = long_at(&column[SOURCE_ROW], row, 0);
	lineage->raw_partition = ((const int32_t *)column[RAW_PARTITION].data)[row];
	lineage->raw_offset = long_at(&column[RAW_OFFSET], row, 0);
	lineage->raw_time_ms = floor_ms(long_at(&column[RAW_TIME], row, 0));
	lineage->source_clock_us = long_at(&column[SOURCE_CLOCK], row, CLOCK_NONE);
	return event_type_parse(type, &event->type) ||
	       err_set(err, ERR_OPERATOR,
	               "the row of record %" PRId64
	               " has the event_type '%.*s', which this version does not know: use the "
	               "version that wrote the lake, or a newer one",
	               out->offset, (int)(type.len < 64 ? type.len : 64), type.at ? type.at : "");
}

/* ---- rows */

static void take_columns(struct rebuild_rows *rows)
{
	duckdb_vector headers = duckdb_data_chunk_get_vector(rows->chunk, HEADERS),
		      header = duckdb_list_vector_get_child(headers);

	for (idx_t i = 0; i < rows->column_count; i++)
		rows->columns[i] = cells_of(duckdb_data_chunk_get_vector(rows->chunk, i));
	rows->header_names = cells_of(duckdb_struct_vector_get_child(header, 0));
	rows->header_values = cells_of(duckdb_struct_vector_get_child(header, 1));
}

static bool next_chunk(struct rebuild_rows *rows, bool *end, struct err *err)
{
	const char *why;

	if (rows->chunk)
		duckdb_destroy_data_chunk(&rows->chunk);
	rows->chunk = duckdb_fetch_chunk(rows->result);
	rows->row = 0;
	rows->row_count = rows->chunk ? duckdb_data_chunk_get_size(rows->chunk) : 0;
	*end = rows->row_count == 0;
	if (!*end)
		take_columns(rows);
	why = *end ? duckdb_result_error(&rows->result) : NULL;
	return !why || err_set(err, ERR_FATAL, "DuckDB: %.800s", why);
}

/* A query of controls alone has the same first columns, in the same order. */
bool rebuild_rows_next(struct rebuild_rows *rows, struct rebuild_row *row, bool *end,
                       struct err *err)
{
	*end = !rows->is_open;
	if (!*end && rows->row == rows->row_count && !next_chunk(rows, end, err))
		return false;
	if (*end)
		return true;
	*row = (struct rebuild_row){
		.offset = long_at(&rows->columns[OFFSET], rows->row, 0),
		.time_ms = floor_ms(long_at(&rows->columns[TIME], rows->row, 0)),
		.key = text_at(&rows->columns[KEY], rows->row),
		.value = text_at(&rows->columns[VALUE], rows->row),
		.kind = text_at(&rows->columns[KIND], rows->row),
		.is_event = ((const bool *)rows->columns[IS_EVENT].data)[rows->row],
	};
	take_headers(rows, row);
	if (row->is_event && !take_event(rows, row, err))
		return false;
	rows->row++;
	return true;
}
