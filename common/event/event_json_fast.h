/* The fast JSON parser, for events in the most common form. event_json_library.h parses all
 * forms. */
#ifndef FUNNEL_EVENT_JSON_FAST_H
#define FUNNEL_EVENT_JSON_FAST_H

#include <stdbool.h>

#include "base/span.h"
#include "event/event.h"
#include "event/event_rules.h"
#include "event/reason.h"

/* True: the value has a valid event in that form; *event is set, and *reason is REASON_NONE. False:
 * the library has to parse it. Texts of *event borrow from value. */
bool event_parse_json_fast(struct span value, const struct event_rules *rules, struct event *event,
                           enum reason *reason);

#endif
