/* Source rows to JSON. */
#ifndef FUNNEL_EVENT_JSON_WRITE_H
#define FUNNEL_EVENT_JSON_WRITE_H

#include <stddef.h>

#include "base/span.h"
#include "event/event.h"

/* Writes the raw topic's JSON object (nine fields, values as the source had them)
 * from the nine source texts; a number-like text stays a number literal, an empty
 * one becomes null. Returns the length, or 0 when cap is too small. */
size_t event_write_json(const struct span fields[EVENT_FIELD_COUNT], char *out, size_t cap);

#endif
