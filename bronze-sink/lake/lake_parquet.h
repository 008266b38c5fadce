/* Writes the rows of sheets as Parquet files: one per table, batch and day. */
#ifndef FUNNEL_LAKE_PARQUET_H
#define FUNNEL_LAKE_PARQUET_H

#include "base/err.h"
#include "duck.h"
#include "lake_catalogue.h"
#include "lake_sheet.h"
#include "lake_storage.h"
#include "lake_tables.h"

/* The rows of one batch by table and day. */
struct lake_day {
	enum lake_table table;
	int32_t batch;
	int64_t day; /* since 1970-01-01 */
	int64_t rows;
};
struct lake_days {
	struct lake_day *at; /* by batch, table and day */
	size_t count, capacity;
};
/* Flushes the sheets and lists their days. The caller frees days->at. */
MUST_USE bool lake_days_list(struct lake_sheet sheets[LAKE_TABLE_COUNT], struct lake_days *days,
                             struct err *err);

/* Writes the file of one day to the local path.
 * file: gets rows, bytes, footer_bytes, sha256 and statistics; the caller frees statistics.
 * metadata: pairs of key and value, then NULL. */
MUST_USE bool lake_parquet_write(struct duck *duck, const struct lake_day *day, const char *local,
                                 const char *const *metadata, struct lake_file *file,
                                 struct err *err);

/* Appends the options of COPY ... TO for a file of the table: format, compression, row groups,
 * field ids, metadata, statistics. */
void lake_parquet_options(struct buffer *sql, enum lake_table table, const char *const *metadata);
/* Reads the statistics that such a COPY returns; file as in lake_parquet_write. */
MUST_USE bool lake_parquet_result(duckdb_result *result, struct lake_file *file, struct err *err);

#endif
