/* The tables of the lake: columns, types, field ids, order of rows. Pure. README.md has what they
 * mean. sql/tables/0020_lake.sql has the same lists for DuckLake; a test compares them. */
#ifndef FUNNEL_LAKE_TABLES_H
#define FUNNEL_LAKE_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum lake_table {
	LAKE_BRONZE,
	LAKE_LATE_EVENTS,
	LAKE_DEAD_LETTERS,
	LAKE_CONTROLS,
	LAKE_COUNTS,
	LAKE_TABLE_COUNT
};

struct lake_column {
	const char *name;
	const char *type; /* of DuckDB */
};

#define LAKE_EVENT_COLUMNS  25
#define LAKE_RECORD_COLUMNS 8
#define LAKE_SEGMENT_MAX    256 /* bytes of a segment name, with its terminator */

struct lake_table_def {
	const char *name;                  /* also the folder */
	const char *date_name;             /* of the folders of days: event_date or record_date */
	const char *date_from;             /* the column that the day is of */
	const struct lake_column *columns; /* the field id is the index + 1; ends with {0} */
	size_t column_count;
	const char *order; /* ORDER BY in the files of the writer */
};
const struct lake_table_def *lake_table_def(enum lake_table table);
/* LAKE_TABLE_COUNT: no table has this name. */
enum lake_table lake_table_by_name(struct span name);

/* A file of the lake by its path. */
struct lake_path {
	enum lake_table table;
	int64_t day;       /* since 1970-01-01 */
	struct span topic; /* borrows from the path; null: a compacted file */
	int32_t partition;
	int64_t first;
};
#define LAKE_RELATIVE_MAX 512 /* of a path below the lake, with its terminator */
/* Writes the path of a batch's file. */
void lake_path_format(enum lake_table table, int64_t day, const char *topic, int32_t partition,
                      int64_t first, char out[LAKE_RELATIVE_MAX]);
/* False: not a path of a file of the lake. */
bool lake_path_parse(const char *path, struct lake_path *out);

#endif
