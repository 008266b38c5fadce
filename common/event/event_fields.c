/* Both JSON parsers end here. So they can differ only in how they read literals, and not in what is
 * valid. The table `checks` has the order of the checks.
 *
 * The library gives a price that was written as a real as a double. The price is valid if the
 * double is the nearest one to an integer number of cents. That is the case if and only if its
 * shortest literal has at most two decimals: 33.20, 33.200 and 3.32e1 are the same double. Above
 * 2^53 cents (90 trillion), neighbouring doubles are more than a cent apart, so a real is refused.
 * Integers and texts are exact up to 10^15. */
#include "event/event_fields.h"

#include <stdio.h>

#include <jansson.h>

#include "base/number.h"
#include "base/timetext.h"

#define EVENT_TIME_MIN_US (INT64_C(946684800) * US_PER_SECOND) /* 2000-01-01 00:00:00 */
#define PRICE_LIMIT       INT64_C(1000000000000000)            /* 10^15, exclusive */
#define EXACT_CENTS_MAX   INT64_C(9007199254740992)            /* 2^53 */
#define DETAIL_FOUND_MAX  64

static enum reason check_event_time(const struct event_field *field, struct event *event)
{
	if (field->kind == FIELD_MISSING)
		return REASON_MISSING_EVENT_TIME;
	if (field->kind != FIELD_TEXT || !time_parse(field->text, &event->event_time_us) ||
	    event->event_time_us < EVENT_TIME_MIN_US)
		return REASON_INVALID_EVENT_TIME;
	return REASON_NONE;
}

static enum reason check_event_type(const struct event_field *field, struct event *event)
{
	if (field->kind == FIELD_MISSING)
		return REASON_MISSING_EVENT_TYPE;
	if (field->kind != FIELD_TEXT || !event_type_parse(field->text, &event->type))
		return REASON_UNKNOWN_EVENT_TYPE;
	return REASON_NONE;
}

static enum reason check_id(const struct event_field *field, int64_t *id, enum reason missing,
                            enum reason invalid)
{
	switch (field->kind) {
	case FIELD_MISSING: return missing;
	case FIELD_TEXT:
		return number_parse_span(field->text, INT64_MAX, id) && *id > 0 ? REASON_NONE
		                                                                : invalid;
	case FIELD_INTEGER: *id = field->integer; return field->integer > 0 ? REASON_NONE : invalid;
	case FIELD_REAL:
	case FIELD_DECIMAL:
	case FIELD_OTHER: break;
	}
	return invalid;
}

static enum reason check_product_id(const struct event_field *field, struct event *event)
{
	return check_id(field, &event->product_id, REASON_MISSING_PRODUCT_ID,
	                REASON_INVALID_PRODUCT_ID);
}

static enum reason check_user_id(const struct event_field *field, struct event *event)
{
	return check_id(field, &event->user_id, REASON_MISSING_USER_ID, REASON_INVALID_USER_ID);
}

static enum reason check_category_id(const struct event_field *field, struct event *event)
{
	event->category_id = 0;
	return check_id(field, &event->category_id, REASON_NONE, REASON_INVALID_CATEGORY_ID);
}

static enum reason check_text(const struct event_field *field, struct span *text,
                              enum reason invalid)
{
	*text = field->kind == FIELD_TEXT ? field->text : SPAN_NULL;
	return field->kind == FIELD_TEXT || field->kind == FIELD_MISSING ? REASON_NONE : invalid;
}

static enum reason check_category_code(const struct event_field *field, struct event *event)
{
	return check_text(field, &event->category_code, REASON_INVALID_CATEGORY_CODE);
}

static enum reason check_brand(const struct event_field *field, struct event *event)
{
	return check_text(field, &event->brand, REASON_INVALID_BRAND);
}

static bool cents_of_integer(int64_t value, int64_t *cents)
{
	if (value < 0 || value >= PRICE_LIMIT)
		return false;
	*cents = value * 100;
	return true;
}

static bool cents_of_real(double value, int64_t *cents)
{
	int64_t near;

	if (!(value >= 0 && value <= (double)EXACT_CENTS_MAX / 100))
		return false;
	/* The product is rounded too, so near the limit the result is one off. */
	near = (int64_t)(value * 100 + 0.5);
	for (int64_t try = near - 1; try <= near + 1; try++) {
		if (try >= 0 && try <= EXACT_CENTS_MAX && (double)try / 100.0 == value) {
			*cents = try;
			return true;
		}
	}
	return false;
}

/* money_parse reads a text exactly. A text in another form ("33.200", "3.32e1") must be a JSON
 * number, and is read like a number literal. */
static bool cents_of_text(struct span text, int64_t *cents)
{
	char last = text.at[text.len - 1];
	bool valid = false;
	json_t *number;

	if (money_parse(text, cents))
		return true;
	if (text.at[0] < '0' || text.at[0] > '9' || last < '0' || last > '9' ||
	    text.len > DETAIL_FOUND_MAX)
		return false;
	number = json_loadb(text.at, text.len, JSON_DECODE_ANY, NULL);
	if (json_is_integer(number))
		valid = cents_of_integer(json_integer_value(number), cents);
	else if (json_is_real(number))
		valid = cents_of_real(json_real_value(number), cents);
	json_decref(number);
	return valid;
}

static enum reason check_price(const struct event_field *field, struct event *event)
{
	bool valid = false;

	switch (field->kind) {
	case FIELD_MISSING:
		event->price_cents = -1;
		return event->type == EVENT_PURCHASE ? REASON_MISSING_PRICE : REASON_NONE;
	case FIELD_TEXT: valid = cents_of_text(field->text, &event->price_cents); break;
	case FIELD_INTEGER: valid = cents_of_integer(field->integer, &event->price_cents); break;
	case FIELD_REAL: valid = cents_of_real(field->real, &event->price_cents); break;
	case FIELD_DECIMAL:
		event->price_cents = field->integer;
		valid = true;
		break;
	case FIELD_OTHER: break;
	}
	return valid ? REASON_NONE : REASON_INVALID_PRICE;
}

static enum reason check_user_session(const struct event_field *field, struct event *event)
{
	if (field->kind == FIELD_TEXT && field->text.len >= 5 &&
	    memcmp(field->text.at, "user:", 5) == 0)
		return REASON_INVALID_USER_SESSION;
	return check_text(field, &event->user_session, REASON_INVALID_USER_SESSION);
}

static const struct {
	enum event_field_index field;
	enum reason (*check)(const struct event_field *field, struct event *event);
} checks[EVENT_FIELD_COUNT] = {
	{FIELD_EVENT_TIME, check_event_time},
	{FIELD_EVENT_TYPE, check_event_type},
	{FIELD_PRODUCT_ID, check_product_id},
	{FIELD_USER_ID, check_user_id},
	{FIELD_CATEGORY_ID, check_category_id},
	{FIELD_CATEGORY_CODE, check_category_code},
	{FIELD_BRAND, check_brand},
	{FIELD_PRICE, check_price}, /* after the type, which it uses */
	{FIELD_USER_SESSION, check_user_session},
};

static const enum event_field_index text_fields[] = {FIELD_CATEGORY_CODE, FIELD_BRAND,
                                                     FIELD_USER_SESSION};

static enum reason check_bytes(const struct event_field *field)
{
	if (field->kind != FIELD_TEXT)
		return REASON_NONE;
	if (memchr(field->text.at, '\0', field->text.len))
		return REASON_NUL_CHARACTER;
	return field->text.len > EVENT_TEXT_MAX ? REASON_TEXT_TOO_LONG : REASON_NONE;
}

/* Writes the field's name and its value, as printable ASCII. */
static void format_detail(const char *name, const struct event_field *field, char *detail,
                          size_t detail_cap)
{
	char found[DETAIL_FOUND_MAX + 1];
	size_t len = field->text.len < DETAIL_FOUND_MAX ? field->text.len : DETAIL_FOUND_MAX;

	if (!detail)
		return;
	switch (field->kind) {
	case FIELD_MISSING:
		snprintf(detail, detail_cap, "%s is absent, null or empty", name);
		break;
	case FIELD_TEXT:
		for (size_t i = 0; i < len; i++)
			found[i] = field->text.at[i] >= ' ' && field->text.at[i] <= '~'
			                   ? field->text.at[i]
			                   : '?';
		found[len] = '\0';
		snprintf(detail, detail_cap, "%s is \"%s\"%s (%zu bytes)", name, found,
		         len < field->text.len ? "..." : "", field->text.len);
		break;
	case FIELD_INTEGER:
		snprintf(detail, detail_cap, "%s is %lld", name, (long long)field->integer);
		break;
	case FIELD_REAL: snprintf(detail, detail_cap, "%s is %.17g", name, field->real); break;
	case FIELD_DECIMAL:
		snprintf(detail, detail_cap, "%s is a number with decimals", name);
		break;
	case FIELD_OTHER:
		snprintf(detail, detail_cap, "%s is neither text nor number", name);
		break;
	}
}

enum reason event_validate(const struct event_field fields[EVENT_FIELD_COUNT], struct event *event,
                           char *detail, size_t detail_cap)
{
	event->unreadable = 0;
	for (size_t i = 0; i < EVENT_FIELD_COUNT; i++) {
		const struct event_field *field = &fields[checks[i].field];
		enum reason reason = checks[i].check(field, event);

		if (reason != REASON_NONE) {
			format_detail(event_field_names[checks[i].field], field, detail,
			              detail_cap);
			return reason;
		}
	}
	for (size_t i = 0; i < sizeof(text_fields) / sizeof(*text_fields); i++) {
		const struct event_field *field = &fields[text_fields[i]];
		enum reason reason = check_bytes(field);

		if (reason != REASON_NONE) {
			format_detail(event_field_names[text_fields[i]], field, detail, detail_cap);
			return reason;
		}
	}
	return REASON_NONE;
}
