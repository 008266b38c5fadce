/* Shared by the writers of rows: numbers in headers, the detail of a rejected record, and the
 * columns of a session. Pure. */
#ifndef FUNNEL_ROW_FIELDS_H
#define FUNNEL_ROW_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "event/reason.h"
#include "event/session_id.h"
#include "stream/record.h"

/* Returns reason, and writes what into detail: the field or the fault (NULL: empty). */
enum reason row_reject(enum reason reason, char *detail, size_t cap, const char *what);
/* Parses the last value of a header: a number from 0 to max, digits only. */
bool header_integer(const struct input_record *record, const char *name, int64_t max,
                    int64_t *value);

/* How a row has its session. sql/tables/0009_narrow_events.sql and 0012_narrow_visits.sql say what
 * the columns mean. */
enum session_form { SESSION_NONE = 'n', SESSION_UUID = 'u', SESSION_TEXT = 't' };
struct session_columns {
	uint8_t id[SESSION_ID_BYTES];
	enum session_form form; /* UUID or TEXT */
	struct span text;       /* borrows from the key; empty unless form is TEXT */
};
/* key: see session_id.h. */
struct session_columns session_columns_of(struct span key);

#endif
