#include "row_fields.h"

#include <stdio.h>

#include "base/number.h"

#define HEADER_DIGITS_MAX 23 /* int64_t needs 19; some leading zeros are accepted */

enum reason row_reject(enum reason reason, char *detail, size_t cap, const char *what)
{
	snprintf(detail, cap, "%s", what ? what : "");
	return reason;
}

bool header_integer(const struct input_record *record, const char *name, int64_t max,
                    int64_t *value)
{
	struct span text = record_header(record, name);

	return text.len <= HEADER_DIGITS_MAX && number_parse_span(text, max, value);
}

struct session_columns session_columns_of(struct span key)
{
	struct session_columns columns = {.form = SESSION_TEXT, .text = key};

	if (session_id(key, columns.id)) {
		columns.form = SESSION_UUID;
		columns.text = SPAN("");
	}
	return columns;
}
