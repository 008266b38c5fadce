#include "row_fields.h"

#include <stdio.h>

#include "base/number.h"

enum reason row_refuse(enum reason reason, char *detail, size_t cap, const char *what)
{
	snprintf(detail, cap, "%s", what ? what : "");
	return reason;
}

bool header_integer(const struct input_record *record, const char *name, int64_t max, int64_t *value)
{
	return number_parse_span(record_header(record, name), max, value);
}
