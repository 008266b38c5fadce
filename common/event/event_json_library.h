/* JSON to an event. */
#ifndef FUNNEL_EVENT_JSON_LIBRARY_H
#define FUNNEL_EVENT_JSON_LIBRARY_H

#include <stddef.h>

#include "base/span.h"
#include "event/event.h"
#include "event/reason.h"

/* Reads one JSON value. The fast scanner takes the common flat shape and hands
 * everything else to the library parser; both always give the same verdict and
 * the same event. scratch holds decoded texts: valid until the next call with it.
 * detail (may be NULL) gets a short text without payload beyond 64 bytes. */
struct event_parser;
struct event_parser *event_parser_new(void);
void event_parser_free(struct event_parser *parser);
enum reason event_parse_json(struct event_parser *parser, struct span value, struct event *event,
                             char *detail, size_t detail_cap);
/* The library path alone, for the tests that compare the two. */
enum reason event_parse_json_library(struct event_parser *parser, struct span value,
                                     struct event *event, char *detail, size_t detail_cap);

#endif
