/* One event, typed and valid, and the ways in which it is read and identified.
 *
 * A parser accepts or refuses with a reason; it never repairs. Spans of a parsed
 * event borrow from the input, or from the parser's scratch memory. */
#ifndef FUNNEL_EVENT_H
#define FUNNEL_EVENT_H

#include <stdint.h>

#include "base/span.h"

enum event_type { /* the numbers are those of the Avro enum: append only */
	          EVENT_VIEW,
	          EVENT_CART,
	          EVENT_REMOVE_FROM_CART,
	          EVENT_CHECKOUT,
	          EVENT_PURCHASE,
	          EVENT_TYPE_COUNT
};

#define EVENT_TEXT_MAX  512            /* bytes of one text field */
#define EVENT_VALUE_MAX (1024 * 1024)  /* bytes of one raw value */
#define SESSION_KEY_MAX EVENT_TEXT_MAX /* user_session, or "user:<user_id>" */

struct event {
	int64_t event_time_us; /* microseconds since 1970-01-01 UTC */
	int64_t product_id;
	int64_t user_id;
	int64_t category_id;       /* 0: none */
	int64_t price_cents;       /* -1: none */
	struct span category_code; /* at == NULL: none; never empty */
	struct span brand;         /* the same */
	struct span user_session;  /* the same */
	enum event_type type;
};

#define EVENT_FIELD_COUNT 9
extern const char *const event_field_names[EVENT_FIELD_COUNT]; /* in the source's column order */

const char *event_type_name(enum event_type type);
bool event_type_parse(struct span text, enum event_type *type);

/* The session an event belongs to: user_session, or "user:<user_id>" written into
 * buffer. This is also the message key of raw and bronze. */
struct span event_session_key(const struct event *event, char buffer[32]);

/* Level 1 to 4 of a dotted code; at == NULL where there is none. */
struct span event_category_level(struct span category_code, int level);

#endif
