/* The common shape of an event in JSON, in one pass; event_json_library.h takes everything. */
#ifndef FUNNEL_EVENT_JSON_FAST_H
#define FUNNEL_EVENT_JSON_FAST_H

#include <stdbool.h>

#include "base/span.h"
#include "event/event.h"
#include "event/reason.h"

/* The fast path alone: true when it took the value (then *reason and *event are set). */
bool event_parse_json_fast(struct span value, struct event *event, enum reason *reason);

#endif
