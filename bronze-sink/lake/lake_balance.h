/* Compares the events and dead letters in the lake with what bronze-sink has counted, from the
 * files of the lake alone.
 *
 * Counts are cumulative: the events and dead letters of a raw partition up to a raw offset.
 * The lake reads each topic on its own, so it may have counts whose events it does not have yet,
 * and the other way round. So a kind of rows (events, or dead letters) of a partition is compared
 *
 *   - with the newest counts, if the lake has exactly as many rows and none after their offset;
 *   - otherwise with the newest counts whose offset is not after that of the newest row: rows come
 *     in the order of offsets, so there all of them have to be in the lake.
 *
 * What is after that is not compared: if it is missing, the lake may only lag. The state is in
 * tables of DuckDB. */
#ifndef FUNNEL_LAKE_BALANCE_H
#define FUNNEL_LAKE_BALANCE_H

#include <stdint.h>

#include "base/err.h"
#include "duck.h"
#include "lake_tables.h"

/* Creates the tables. */
MUST_USE bool lake_balance_open(struct duck *duck, struct err *err);
/* Adds a file of the lake. path: its name. list: a list of DuckDB with the local file. Files of
 * other tables are ignored. */
MUST_USE bool lake_balance_add(struct duck *duck, enum lake_table table, const char *path,
                               const char *list, struct err *err);
/* After all files: chooses the counts, and returns the files to read again, because they have rows
 * after these: one row per file, with table and path. */
MUST_USE bool lake_balance_choose(struct duck *duck, duckdb_result *again, struct err *err);
/* Adds a file of that list. */
MUST_USE bool lake_balance_add_again(struct duck *duck, enum lake_table table, const char *list,
                                     struct err *err);
/* Rows of the table in this partition may be missing: the lake began after its first record. */
MUST_USE bool lake_balance_excuse(struct duck *duck, enum lake_table table, const char *partition,
                                  struct err *err);
/* Returns a row per kind and partition: subject, what is wrong or null, and what is not compared or
 * null. expired: the events that lake expire has removed, of any partition. */
MUST_USE bool lake_balance_compare(struct duck *duck, int64_t expired, duckdb_result *found,
                                   struct err *err);

#endif
