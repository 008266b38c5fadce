/* A source row, and how a record of CSV becomes one. Pure. */
#ifndef FUNNEL_ROW_H
#define FUNNEL_ROW_H

#include <stdint.h>

#include "base/csv.h"
#include "base/err.h"
#include "base/span.h"
#include "event/event.h"

#define ROW_TIME_NONE   INT64_MIN
#define ROW_COLUMNS_MAX 64 /* columns a file may have */

/* Where a row ends in its source, which is where reading goes on after it. */
struct row_position {
	int32_t file;        /* index into the list of files; 0 where there is but one source */
	int64_t row;         /* rows of that file up to and with this one */
	int64_t byte_offset; /* of the uncompressed bytes */
};

/* Spans borrow from the source until its next row. */
struct row {
	struct span fields[EVENT_FIELD_COUNT]; /* set where error is empty */
	struct span raw;                       /* the row as it came, without line end */
	char error[64];                        /* "", or why the row could not be split */
	int64_t event_time_us;                 /* ROW_TIME_NONE: none that parses */
	const char *source_file;
	struct row_position position; /* position.row is also the row's number */
};

/* Which column of a file holds which field. */
struct row_columns {
	size_t count;                  /* columns of the file */
	uint8_t at[EVENT_FIELD_COUNT]; /* of each field */
};
extern const struct row_columns row_columns_standard;

/* Reads a header line, in any order of columns; further columns are allowed. ERR_INPUT: a needed column is missing (it is named), or it
 * is no header at all. */
MUST_USE bool row_columns_read(struct span header, struct row_columns *columns, struct err *err);

/* Sets fields and error from one record as csv_next gave it (fields: at least ROW_COLUMNS_MAX of capacity); event_time_us too. */
void row_split(struct row *row, const struct row_columns *columns, enum csv_result verdict,
               const struct csv_record *record, const struct span *fields);

#endif
