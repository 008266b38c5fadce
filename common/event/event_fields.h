/* The nine fields of an event between its text and its meaning: what both JSON paths make of
 * a value, and the one judge of it.
 *
 * Order of the checks, the first that fails names the reason:
 *   size of the value, UTF-8 of the whole value, JSON object,
 *   event_time, event_type, product_id, user_id, category_id, category_code, brand, price,
 *   user_session, then for category_code, brand and user_session: NUL, length. */
#ifndef FUNNEL_EVENT_FIELDS_H
#define FUNNEL_EVENT_FIELDS_H

#include "base/span.h"
#include "event/event.h"
#include "event/reason.h"

/* id, name, whether event_write_json may write it as a number; in the source's column order. */
#define EVENT_FIELD_TABLE(X)                     \
	X(EVENT_TIME, "event_time", false)       \
	X(EVENT_TYPE, "event_type", false)       \
	X(PRODUCT_ID, "product_id", true)        \
	X(CATEGORY_ID, "category_id", true)      \
	X(CATEGORY_CODE, "category_code", false) \
	X(BRAND, "brand", false)                 \
	X(PRICE, "price", true)                  \
	X(USER_ID, "user_id", true)              \
	X(USER_SESSION, "user_session", false)

enum event_field_index {
#define EVENT_FIELD_ENUM(id, name, numeric) FIELD_##id,
	EVENT_FIELD_TABLE(EVENT_FIELD_ENUM)
#undef EVENT_FIELD_ENUM
};

enum event_field_kind {
	FIELD_MISSING, /* absent, null, or an empty text */
	FIELD_TEXT,    /* text, not empty */
	FIELD_INTEGER, /* integer */
	FIELD_REAL,    /* real: a number literal with a point or an exponent */
	FIELD_DECIMAL, /* the same as read by the fast scanner: integer counts hundredths, below 10^14 */
	FIELD_OTHER, /* true, false, an array or an object */
};

struct event_field {
	enum event_field_kind kind;
	struct span text;
	int64_t integer;
	double real;
};

/* Judges the fields of a JSON object; texts of *event borrow from the fields. On refusal,
 * *event is undefined and detail (may be NULL) names the field and what was found. */
enum reason event_validate(const struct event_field fields[EVENT_FIELD_COUNT], struct event *event,
                           char *detail, size_t detail_cap);

#endif
