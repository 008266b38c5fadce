/* The rows of one table of the lake that are not in files yet: a table of DuckDB in memory, filled
 * column by column. A row: lake_sheet_begin, each column in its order, lake_sheet_end. */
#ifndef FUNNEL_LAKE_SHEET_H
#define FUNNEL_LAKE_SHEET_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "duck.h"
#include "event/event_id.h"
#include "lake_tables.h"
#include "stream/record.h"

/* A column after those of the table: the number of the batch that the row belongs to. */
#define LAKE_SHEET_BATCH "_batch"

struct lake_sheet {
	struct duck *duck; /* borrowed */
	enum lake_table table;
	duckdb_appender appender;
	duckdb_data_chunk chunk;
	duckdb_vector vectors[LAKE_EVENT_COLUMNS + 1];
	void *values[LAKE_EVENT_COLUMNS + 1];
	uint64_t *valid[LAKE_EVENT_COLUMNS + 1];
	idx_t row;            /* in the chunk */
	size_t column;        /* the next one of the row */
	int64_t rows;         /* since the last lake_sheet_clear */
	int64_t header_bytes; /* of the same rows */
};

/* Creates the table. */
MUST_USE bool lake_sheet_open(struct lake_sheet *sheet, struct duck *duck, enum lake_table table,
                              struct err *err);
void lake_sheet_close(struct lake_sheet *sheet);
/* Drops all rows. */
MUST_USE bool lake_sheet_clear(struct lake_sheet *sheet, struct err *err);
/* Makes all rows visible to queries. */
MUST_USE bool lake_sheet_flush(struct lake_sheet *sheet, struct err *err);

/* ---- one row */

void lake_sheet_null(struct lake_sheet *sheet);
void lake_sheet_int4(struct lake_sheet *sheet, int32_t value);
void lake_sheet_int8(struct lake_sheet *sheet, int64_t value);
/* Valid UTF-8; at == NULL: null. */
void lake_sheet_text(struct lake_sheet *sheet, struct span text);
/* Any bytes; at == NULL: null. */
void lake_sheet_bytes(struct lake_sheet *sheet, struct span bytes);
void lake_sheet_uuid(struct lake_sheet *sheet, const uint8_t id[EVENT_ID_BYTES]);
/* No headers: null. */
void lake_sheet_headers(struct lake_sheet *sheet, const struct header *headers, size_t count);
/* Ends the row: it belongs to this batch. */
MUST_USE bool lake_sheet_end(struct lake_sheet *sheet, int32_t batch, struct err *err);

#endif
