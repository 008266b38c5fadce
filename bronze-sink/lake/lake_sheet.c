/* DuckDB takes rows in chunks of 2,048, as one array per column. */
#include "lake_sheet.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/memory.h"

static size_t column_count(const struct lake_sheet *sheet)
{
	return lake_table_def(sheet->table)->column_count + 1;
}

/* ---- the table */

static bool create_table(struct lake_sheet *sheet, struct err *err)
{
	const struct lake_table_def *def = lake_table_def(sheet->table);
	struct buffer sql = {0};
	char part[160];
	bool ok;

	buffer_append(&sql, part,
	              (size_t)snprintf(part, sizeof(part), "CREATE OR REPLACE TABLE %s (",
	                               def->name));
	for (size_t i = 0; i < def->column_count; i++)
		buffer_append(&sql, part,
		              (size_t)snprintf(part, sizeof(part), "%s %s, ", def->columns[i].name,
		                               def->columns[i].type));
	buffer_append(&sql, part,
	              (size_t)snprintf(part, sizeof(part), LAKE_SHEET_BATCH " INTEGER)") + 1);
	ok = duck_run(sheet->duck, sql.at, err);
	buffer_free(&sql);
	return ok;
}

static void find_arrays(struct lake_sheet *sheet)
{
	for (size_t i = 0; i < column_count(sheet); i++) {
		duckdb_vector vector = duckdb_data_chunk_get_vector(sheet->chunk, i);

		duckdb_vector_ensure_validity_writable(vector);
		sheet->vectors[i] = vector;
		sheet->values[i] = duckdb_vector_get_data(vector);
		sheet->valid[i] = duckdb_vector_get_validity(vector);
	}
}

static bool create_chunk(struct lake_sheet *sheet, struct err *err)
{
	const struct lake_table_def *def = lake_table_def(sheet->table);
	duckdb_logical_type types[LAKE_EVENT_COLUMNS + 1];

	if (duckdb_appender_create(duck_connection(sheet->duck), NULL, def->name,
	                           &sheet->appender) != DuckDBSuccess)
		return err_set(err, ERR_FATAL, "DuckDB does not take rows of %s: %s", def->name,
		               duckdb_appender_error(sheet->appender));
	for (size_t i = 0; i < column_count(sheet); i++)
		types[i] = duckdb_appender_column_type(sheet->appender, i);
	sheet->chunk = duckdb_create_data_chunk(types, column_count(sheet));
	for (size_t i = 0; i < column_count(sheet); i++)
		duckdb_destroy_logical_type(&types[i]);
	find_arrays(sheet);
	return true;
}

static void forget_rows(struct lake_sheet *sheet)
{
	if (sheet->chunk)
		duckdb_destroy_data_chunk(&sheet->chunk);
	if (sheet->appender)
		duckdb_appender_destroy(&sheet->appender);
	sheet->row = sheet->column = 0;
	sheet->rows = sheet->header_bytes = 0;
}

bool lake_sheet_open(struct lake_sheet *sheet, struct duck *duck, enum lake_table table,
                     struct err *err)
{
	*sheet = (struct lake_sheet){.duck = duck, .table = table};
	return lake_sheet_clear(sheet, err);
}

void lake_sheet_close(struct lake_sheet *sheet)
{
	forget_rows(sheet);
}

bool lake_sheet_clear(struct lake_sheet *sheet, struct err *err)
{
	forget_rows(sheet);
	return create_table(sheet, err) && create_chunk(sheet, err);
}

static bool append_chunk(struct lake_sheet *sheet, struct err *err)
{
	duckdb_data_chunk_set_size(sheet->chunk, sheet->row);
	if (duckdb_append_data_chunk(sheet->appender, sheet->chunk) != DuckDBSuccess)
		return duck_failed(duckdb_appender_error(sheet->appender), err);
	duckdb_data_chunk_reset(sheet->chunk);
	find_arrays(sheet);
	sheet->row = 0;
	return true;
}

bool lake_sheet_flush(struct lake_sheet *sheet, struct err *err)
{
	if (sheet->row > 0 && !append_chunk(sheet, err))
		return false;
	if (duckdb_appender_flush(sheet->appender) != DuckDBSuccess)
		return duck_failed(duckdb_appender_error(sheet->appender), err);
	return true;
}

/* ---- one row */

void lake_sheet_null(struct lake_sheet *sheet)
{
	duckdb_validity_set_row_invalid(sheet->valid[sheet->column++], sheet->row);
}

void lake_sheet_int4(struct lake_sheet *sheet, int32_t value)
{
	((int32_t *)sheet->values[sheet->column++])[sheet->row] = value;
}

void lake_sheet_int8(struct lake_sheet *sheet, int64_t value)
{
	((int64_t *)sheet->values[sheet->column++])[sheet->row] = value;
}

void lake_sheet_bytes(struct lake_sheet *sheet, struct span bytes)
{
	if (!bytes.at) {
		lake_sheet_null(sheet);
		return;
	}
	duckdb_unsafe_vector_assign_string_element_len(sheet->vectors[sheet->column++], sheet->row,
	                                               bytes.at, bytes.len);
}

void lake_sheet_text(struct lake_sheet *sheet, struct span text)
{
	lake_sheet_bytes(sheet, text);
}

/* A UUID is a 128-bit number whose highest bit is inverted, so that its order is that of the
 * text. */
void lake_sheet_uuid(struct lake_sheet *sheet, const uint8_t id[EVENT_ID_BYTES])
{
	duckdb_hugeint *value = &((duckdb_hugeint *)sheet->values[sheet->column++])[sheet->row];
	uint64_t upper = 0, lower = 0;

	for (int i = 0; i < 8; i++) {
		upper = upper << 8 | id[i];
		lower = lower << 8 | id[i + 8];
	}
	value->lower = lower;
	value->upper = (int64_t)(upper ^ UINT64_C(1) << 63);
}

void lake_sheet_headers(struct lake_sheet *sheet, const struct header *headers, size_t count)
{
	duckdb_vector list = sheet->vectors[sheet->column], pair, name, value;
	duckdb_list_entry *entry = &((duckdb_list_entry *)sheet->values[sheet->column])[sheet->row];
	idx_t size = duckdb_list_vector_get_size(list);

	*entry = (duckdb_list_entry){size, count};
	if (count == 0) {
		lake_sheet_null(sheet);
		return;
	}
	duckdb_list_vector_reserve(list, size + count);
	duckdb_list_vector_set_size(list, size + count);
	pair = duckdb_list_vector_get_child(list);
	name = duckdb_struct_vector_get_child(pair, 0);
	value = duckdb_struct_vector_get_child(pair, 1);
	duckdb_vector_ensure_validity_writable(value);
	for (size_t i = 0; i < count; i++) {
		sheet->header_bytes += (int64_t)(headers[i].name.len + headers[i].value.len);
		duckdb_vector_assign_string_element_len(name, size + i, headers[i].name.at,
		                                        headers[i].name.len);
		if (headers[i].value.at)
			duckdb_vector_assign_string_element_len(value, size + i,
			                                        headers[i].value.at,
			                                        headers[i].value.len);
		else
			duckdb_validity_set_row_invalid(duckdb_vector_get_validity(value),
			                                size + i);
	}
	sheet->column++;
}

bool lake_sheet_end(struct lake_sheet *sheet, int32_t batch, struct err *err)
{
	lake_sheet_int4(sheet, batch);
	sheet->column = 0;
	sheet->row++;
	sheet->rows++;
	return sheet->row < duckdb_vector_size() || append_chunk(sheet, err);
}
