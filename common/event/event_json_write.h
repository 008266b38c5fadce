/* Writes rows of the source as JSON. */
#ifndef FUNNEL_EVENT_JSON_WRITE_H
#define FUNNEL_EVENT_JSON_WRITE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"
#include "event/event.h"

/* A column or member beyond the nine fields. */
struct row_extra {
	struct span name, value;
	bool text; /* the source wrote the value as a text: it stays one, also if it is a number */
};

/* Writes the JSON object of the raw topic: nine fields with the texts of the source. A text that is
 * a number becomes a number literal where its field allows it; an empty text becomes null. Returns
 * the length; 0: cap is too small. */
size_t event_write_json(const struct span fields[EVENT_FIELD_COUNT], char *out, size_t cap);
/* The same with further members after the nine. */
size_t event_write_json_extras(const struct span fields[EVENT_FIELD_COUNT],
                               const struct row_extra *extras, size_t extra_count, char *out,
                               size_t cap);

#endif
