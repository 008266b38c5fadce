/* A source row, and how a CSV record becomes one. Pure. */
#ifndef FUNNEL_ROW_H
#define FUNNEL_ROW_H

#include <stdint.h>

#include "base/csv.h"
#include "base/span.h"
#include "event/event.h"
#include "event/event_json_write.h"

#define ROW_TIME_NONE   INT64_MIN
#define ROW_USER_NONE   INT64_MIN
#define ROW_COLUMNS_MAX 200 /* most columns of a file */
/* bytes of one line; the rest of a longer line is skipped, and its row has an error */
#define CSV_LINE_MAX 262144

/* Where a row ends in its source. Reading continues after it. */
struct row_position {
	int32_t file;        /* index in the list of files; 0 if there is only one source */
	int64_t row;         /* rows of that file up to and including this one */
	int64_t byte_offset; /* offset in the uncompressed bytes */
};

/* Spans and extras borrow from the source until its next row. */
struct row {
	struct span fields[EVENT_FIELD_COUNT]; /* set if error is empty */
	struct span raw;                       /* the unchanged row, without line end */
	char error[64];                        /* "", or why the row could not be split */
	const struct row_extra *extras;        /* further columns; none if error is set */
	size_t extra_count;                    /* up to ROW_COLUMNS_MAX */
	bool unmapped_type;    /* the mapping names event types, but not that of this row */
	bool price_is_number;  /* the source is JSON, and its price is a number */
	int64_t event_time_us; /* ROW_TIME_NONE: no valid time */
	const char *source_file;
	struct row_position position; /* position.row is also the number of the row */
};

/* Which column of a file has which field. */
struct row_columns {
	size_t count;                  /* columns of the file */
	uint8_t at[EVENT_FIELD_COUNT]; /* column of each field, or ROW_COLUMN_NONE */
	char delimiter;
};
#define ROW_COLUMN_NONE 255
extern const struct row_columns row_columns_standard;

/* Sets what a reader of the source sets later: no extras, no error, no time. */
void row_clear(struct row *row);

/* The user of a row; ROW_USER_NONE: none that can be read. */
int64_t row_user_id(const struct row *row);

/* Sets the error of a line that is too long, or that the early end of a stream has cut. */
void row_too_long(struct row *row, struct span raw);
void row_cut_off(struct row *row);

/* Sets fields, error and event_time_us from one record of csv_next. fields: room for
 * ROW_COLUMNS_MAX. */
void row_split(struct row *row, const struct row_columns *columns, enum csv_result result,
               const struct csv_record *record, const struct span *fields);

#endif
