/* The JSON parser of events. */
#ifndef FUNNEL_EVENT_JSON_LIBRARY_H
#define FUNNEL_EVENT_JSON_LIBRARY_H

#include <stddef.h>

#include "base/span.h"
#include "event/event.h"
#include "event/event_rules.h"
#include "event/reason.h"

struct event_parser;
/* rules NULL: the default rules. Copies the rules; their null words borrow. NULL: out of memory. */
struct event_parser *event_parser_new(const struct event_rules *rules);
const struct event_rules *event_parser_rules(const struct event_parser *parser);
void event_parser_free(struct event_parser *parser);

/* Parses one JSON value: the fast parser takes the most common form, and the library all others.
 * Both give the same result and the same event. Texts of *event borrow from value and parser, until
 * the next call with the same parser. detail (may be NULL) gets a short text with at most 64 bytes
 * of the value. */
enum reason event_parse_json(struct event_parser *parser, struct span value, struct event *event,
                             char *detail, size_t detail_cap);
/* The library alone, for the tests that compare the two. */
enum reason event_parse_json_library(struct event_parser *parser, struct span value,
                                     struct event *event, char *detail, size_t detail_cap);

#endif
