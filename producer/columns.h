/* The columns of a CSV file: which field each has, found by the names in its header. Pure. */
#ifndef FUNNEL_COLUMNS_H
#define FUNNEL_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/span.h"
#include "event/event.h"
#include "event/event_json_write.h"
#include "row.h"

#define COLUMNS_NAMES_MAX 16384 /* bytes of a header line */

struct columns {
	struct row_columns fields;
	bool spaced; /* the header has a blank after each delimiter, so rows may have one */
	size_t extra_count;
	struct row_extra extras[ROW_COLUMNS_MAX]; /* with names; the reader sets the values */
	uint8_t extra_at[ROW_COLUMNS_MAX];        /* their columns */
	char names[2 * COLUMNS_NAMES_MAX];
};

/* The names of the fields in a file, in the order of event_field_names. */
struct column_names {
	const char *of[EVENT_FIELD_COUNT];
};

/* Reads a header line without its line end. Names match in any case, with or without blanks and
 * quotes around them; columns may be in any order. event_time, event_type, product_id and user_id
 * are needed. Further columns become extras, except those without a name. delimiter: '\0': the one
 * of , ; tab and | that finds most fields. ERR_INPUT: needed columns are missing (the message has
 * all of them), a field occurs twice, or the line is not a header. */
MUST_USE bool columns_read(struct columns *columns, struct span header, char delimiter,
                           const struct column_names *names, struct err *err);
/* Reads comma-separated names, as COLUMNS has them. first_line: a row of the file; the delimiter is
 * found in it. */
MUST_USE bool columns_read_given(struct columns *columns, struct span given, struct span first_line,
                                 char delimiter, const struct column_names *names, struct err *err);

/* Which field a name means. EVENT_FIELD_COUNT: none. */
size_t columns_field_of(struct span name, const struct column_names *names);

#endif
