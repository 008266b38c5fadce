/* One valid event with typed fields, and the values that are derived from it.
 *
 * A parser accepts an event or refuses it with a reason; it never repairs one. An optional field
 * that cannot be read is none, and is noted. Spans of a parsed event borrow from the input, or from
 * the parser's memory. */
#ifndef FUNNEL_EVENT_H
#define FUNNEL_EVENT_H

#include <stdint.h>

#include "base/span.h"

/* The numbers are those of the Avro enum: append only. */
enum event_type {
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
	int64_t user_id;           /* below 0: the pseudonym of a forgotten user */
	int64_t category_id;       /* 0: none */
	int64_t price_cents;       /* -1: none */
	struct span category_code; /* at == NULL: none; never empty */
	struct span brand;         /* like category_code */
	struct span user_session;  /* like category_code */
	enum event_type type;
	/* Optional fields that have a value which cannot be read; they count as none. A bit for
	 * each enum event_field_index. */
	uint16_t unreadable;
};

#define EVENT_FIELD_COUNT 9
/* In the order of the source's columns. */
extern const char *const event_field_names[EVENT_FIELD_COUNT];

const char *event_type_name(enum event_type type);
bool event_type_parse(struct span text, enum event_type *type);

/* The key of an event's session: user_session, or "user:<user_id>", which is written into buffer.
 * It is also the message key of raw and bronze. */
struct span event_session_key(const struct event *event, char buffer[32]);

/* The n-th level of a dotted code, from 1 on; at == NULL: the code does not have it. */
struct span event_category_level(struct span category_code, int level);

#endif
