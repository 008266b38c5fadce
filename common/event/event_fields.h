/* The nine fields of an event as a JSON parser reads them, and their validation. Both JSON parsers
 * use it.
 *
 * Order of all checks of a value; the first that fails gives the reason:
 *   size of the value, UTF-8 of the complete value, JSON object,
 *   event_time, event_type, product_id, user_id, category_id, category_code, brand, price,
 *   user_session.
 * A field whose value is a word of NULL_WORDS is missing. category_id, category_code and brand are
 * optional: if they cannot be read, they are none, and the event notes it, unless REQUIRED_FIELDS
 * names them. */
#ifndef FUNNEL_EVENT_FIELDS_H
#define FUNNEL_EVENT_FIELDS_H

#include "base/span.h"
#include "event/event.h"
#include "event/event_rules.h"
#include "event/reason.h"

/* How event_write_json may write a value: as a text, as an integer if it is one without point and
 * exponent, or as any number. An id such as 2053013555631882655.0 stays a text: as a number, JSON
 * parsers would read a double, and lose its digits. */
enum event_field_form { WRITE_TEXT, WRITE_INTEGER, WRITE_NUMBER };

/* X(id, name, form), in the order of the source's columns. */
#define EVENT_FIELD_TABLE(X)                          \
	X(EVENT_TIME, "event_time", WRITE_TEXT)       \
	X(EVENT_TYPE, "event_type", WRITE_TEXT)       \
	X(PRODUCT_ID, "product_id", WRITE_INTEGER)    \
	X(CATEGORY_ID, "category_id", WRITE_INTEGER)  \
	X(CATEGORY_CODE, "category_code", WRITE_TEXT) \
	X(BRAND, "brand", WRITE_TEXT)                 \
	X(PRICE, "price", WRITE_NUMBER)               \
	X(USER_ID, "user_id", WRITE_INTEGER)          \
	X(USER_SESSION, "user_session", WRITE_TEXT)

enum event_field_index {
#define EVENT_FIELD_ENUM(id, name, form) FIELD_##id,
	EVENT_FIELD_TABLE(EVENT_FIELD_ENUM)
#undef EVENT_FIELD_ENUM
};

enum event_field_kind {
	FIELD_MISSING, /* absent, null, or an empty text */
	FIELD_TEXT,    /* text, not empty */
	FIELD_INTEGER, /* integer */
	FIELD_REAL,    /* real: a number literal with a point or an exponent */
	FIELD_DECIMAL, /* from the fast parser, with a point: hundredths in integer, below 10^14 */
	FIELD_OTHER,   /* true, false, an array or an object */
};

struct event_field {
	enum event_field_kind kind;
	struct span text;
	int64_t integer;
	double real;
};

/* Validates the fields of a JSON object. Texts of *event borrow from the fields. If the event is
 * refused, *event is undefined, and detail (may be NULL) gets the field and its value. */
enum reason event_validate(const struct event_field fields[EVENT_FIELD_COUNT],
                           const struct event_rules *rules, struct event *event, char *detail,
                           size_t detail_cap);

#endif
