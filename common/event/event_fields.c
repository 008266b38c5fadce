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
#include <stdlib.h>

#include <jansson.h>

#include "base/timetext.h"
#include "event/event_values.h"

#define PRICE_LIMIT      INT64_C(1000000000000000) /* 10^15, exclusive */
#define EXACT_CENTS_MAX  INT64_C(9007199254740992) /* 2^53 */
#define EXACT_REAL_END   9007199254740992.0        /* 2^53 */
#define DETAIL_FOUND_MAX 64

/* Whether an integer number is a null word, such as -1. */
static bool is_null_number(const struct null_words *words, int64_t number)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%lld", (long long)number);

	return null_words_has(words, (struct span){text, (size_t)len});
}

static bool integer_of_field(const struct event_field *field, int64_t *value)
{
	switch (field->kind) {
	case FIELD_TEXT: return event_integer_read(field->text, value);
	case FIELD_INTEGER: *value = field->integer; return true;
	case FIELD_REAL: return event_integer_of_real(field->real, value);
	case FIELD_DECIMAL: *value = field->integer / 100; return field->integer % 100 == 0;
	case FIELD_MISSING:
	case FIELD_OTHER: break;
	}
	return false;
}

static bool is_missing_number(const struct event_field *field, const struct null_words *words)
{
	int64_t number;

	return integer_of_field(field, &number) && is_null_number(words, number);
}

/* Most events have no null word, so the common answers come first. */
static inline bool is_missing(const struct event_field *field, const struct null_words *words)
{
	if (field->kind == FIELD_TEXT)
		return null_words_has(words, field->text);
	return field->kind == FIELD_MISSING || (words->has_integers && field->kind != FIELD_OTHER &&
	                                        is_missing_number(field, words));
}

static enum reason check_event_time(const struct event_field *field,
                                    const struct event_rules *rules, struct event *event)
{
	bool valid = false;

	(void)rules;
	switch (field->kind) {
	case FIELD_TEXT: valid = event_time_read(field->text, &event->event_time_us); break;
	case FIELD_INTEGER:
		valid = event_time_of_integer(field->integer, &event->event_time_us);
		break;
	case FIELD_REAL: valid = event_time_of_real(field->real, &event->event_time_us); break;
	case FIELD_DECIMAL: /* the same double as the library's */
		valid = event_time_of_real((double)field->integer / 100, &event->event_time_us);
		break;
	case FIELD_MISSING:
	case FIELD_OTHER: break;
	}
	return valid ? REASON_NONE : REASON_INVALID_EVENT_TIME;
}

static enum reason check_event_type(const struct event_field *field,
                                    const struct event_rules *rules, struct event *event)
{
	if (field->kind != FIELD_TEXT || !event_type_parse(field->text, &event->type))
		return REASON_UNKNOWN_EVENT_TYPE;
	return rules->allowed_types >> event->type & 1 ? REASON_NONE
	                                               : REASON_EVENT_TYPE_NOT_ALLOWED;
}

static enum reason check_id(const struct event_field *field, int64_t *id, enum reason invalid)
{
	int64_t value;

	if (field->kind == FIELD_INTEGER && field->integer > 0) { /* the common case */
		*id = field->integer;
		return REASON_NONE;
	}
	if (!integer_of_field(field, &value) || value <= 0)
		return invalid;
	*id = value;
	return REASON_NONE;
}

static enum reason check_product_id(const struct event_field *field,
                                    const struct event_rules *rules, struct event *event)
{
	(void)rules;
	return check_id(field, &event->product_id, REASON_INVALID_PRODUCT_ID);
}

static enum reason check_user_id(const struct event_field *field, const struct event_rules *rules,
                                 struct event *event)
{
	(void)rules;
	return check_id(field, &event->user_id, REASON_INVALID_USER_ID);
}

static enum reason check_category_id(const struct event_field *field,
                                     const struct event_rules *rules, struct event *event)
{
	(void)rules;
	return check_id(field, &event->category_id, REASON_INVALID_CATEGORY_ID);
}

static enum reason check_text(const struct event_field *field, struct span *text,
                              enum reason invalid)
{
	if (field->kind != FIELD_TEXT)
		return invalid;
	if (memchr(field->text.at, '\0', field->text.len))
		return REASON_NUL_CHARACTER;
	if (field->text.len > EVENT_TEXT_MAX)
		return REASON_TEXT_TOO_LONG;
	*text = field->text;
	return REASON_NONE;
}

static enum reason check_category_code(const struct event_field *field,
                                       const struct event_rules *rules, struct event *event)
{
	(void)rules;
	return check_text(field, &event->category_code, REASON_INVALID_CATEGORY_CODE);
}

static enum reason check_brand(const struct event_field *field, const struct event_rules *rules,
                               struct event *event)
{
	(void)rules;
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

static bool cents_of_field(const struct event_field *field, int64_t *cents)
{
	switch (field->kind) {
	case FIELD_TEXT: return cents_of_text(field->text, cents);
	case FIELD_INTEGER: return cents_of_integer(field->integer, cents);
	case FIELD_REAL: return cents_of_real(field->real, cents);
	case FIELD_DECIMAL: *cents = field->integer; return true;
	case FIELD_MISSING:
	case FIELD_OTHER: break;
	}
	return false;
}

static enum reason check_price(const struct event_field *field, const struct event_rules *rules,
                               struct event *event)
{
	if (!cents_of_field(field, &event->price_cents))
		return REASON_INVALID_PRICE;
	return event->price_cents >= rules->min_price_cents &&
	                       event->price_cents <= rules->max_price_cents
	               ? REASON_NONE
	               : REASON_PRICE_OUT_OF_BOUNDS;
}

/* The session decides the key, so an event whose session cannot be read is refused. As an event
 * without a session it would be counted in another session, and would usually be in the wrong
 * partition. */
static enum reason check_user_session(const struct event_field *field,
                                      const struct event_rules *rules, struct event *event)
{
	(void)rules;
	if (field->kind == FIELD_TEXT && field->text.len >= 5 &&
	    memcmp(field->text.at, "user:", 5) == 0)
		return REASON_INVALID_USER_SESSION;
	return check_text(field, &event->user_session, REASON_INVALID_USER_SESSION);
}

static const struct field_check {
	enum event_field_index field;
	bool may_be_unreadable;
	enum reason missing;
	enum reason (*check)(const struct event_field *field, const struct event_rules *rules,
	                     struct event *event);
} checks[EVENT_FIELD_COUNT] = {
	{FIELD_EVENT_TIME, false, REASON_MISSING_EVENT_TIME, check_event_time},
	{FIELD_EVENT_TYPE, false, REASON_MISSING_EVENT_TYPE, check_event_type},
	{FIELD_PRODUCT_ID, false, REASON_MISSING_PRODUCT_ID, check_product_id},
	{FIELD_USER_ID, false, REASON_MISSING_USER_ID, check_user_id},
	{FIELD_CATEGORY_ID, true, REASON_MISSING_CATEGORY_ID, check_category_id},
	{FIELD_CATEGORY_CODE, true, REASON_MISSING_CATEGORY_CODE, check_category_code},
	{FIELD_BRAND, true, REASON_MISSING_BRAND, check_brand},
	/* after the type, which decides whether it is required */
	{FIELD_PRICE, false, REASON_MISSING_PRICE, check_price},
	{FIELD_USER_SESSION, false, REASON_MISSING_USER_SESSION, check_user_session},
};

/* 15 significant digits show -79.37 as it was written; 17 show every double. */
static int real_digits(double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.15g", value);
	return strtod(text, NULL) == value ? 15 : 17;
}

/* Writes the field's name and its value, as printable ASCII. */
static void format_detail(const char *name, const struct event_field *field, char *detail,
                          size_t detail_cap)
{
	char found[DETAIL_FOUND_MAX + 1];
	size_t len = field->text.len < DETAIL_FOUND_MAX ? field->text.len : DETAIL_FOUND_MAX;

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
	case FIELD_REAL:
		snprintf(detail, detail_cap, "%s is %.*g", name, real_digits(field->real),
		         field->real);
		break;
	case FIELD_DECIMAL:
		snprintf(detail, detail_cap, "%s is a number with decimals", name);
		break;
	case FIELD_OTHER:
		snprintf(detail, detail_cap, "%s is neither text nor number", name);
		break;
	}
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Whether an id has a form that loses digits: 1.515915625441994e+18, as a number or as a text. */
static bool is_lossy_float(const struct event_field *field)
{
	if (field->kind == FIELD_REAL)
		return field->real >= EXACT_REAL_END;
	return field->kind == FIELD_TEXT && is_digit(field->text.at[0]) &&
	       (memchr(field->text.at, 'e', field->text.len) ||
	        memchr(field->text.at, 'E', field->text.len));
}

/* Whether a text has one comma, and one or two digits after it: 12,99 or 1.299,00. */
static bool has_decimal_comma(const struct event_field *field)
{
	struct span text = field->text;
	size_t decimals = 0, comma;

	if (field->kind != FIELD_TEXT)
		return false;
	while (decimals < text.len && is_digit(text.at[text.len - 1 - decimals]))
		decimals++;
	if (decimals < 1 || decimals > 2 || decimals == text.len || !is_digit(text.at[0]))
		return false;
	comma = text.len - 1 - decimals;
	return memchr(text.at, ',', text.len) == text.at + comma;
}

/* What was expected of the value, after its description. */
static void append_hint(enum reason reason, const struct event_field *field,
                        const struct event_rules *rules, char *detail, size_t detail_cap)
{
	size_t len = strlen(detail);
	char low[32], high[32];

	detail += len, detail_cap -= len;
	if (reason == REASON_INVALID_EVENT_TIME && field->kind == FIELD_TEXT)
		snprintf(detail, detail_cap, ": %s", event_time_refusal(field->text));
	if (reason == REASON_INVALID_EVENT_TIME && field->kind != FIELD_TEXT)
		snprintf(detail, detail_cap, ": expected an epoch of 10, 13 or 16 digits");
	if (reason == REASON_PRICE_OUT_OF_BOUNDS) {
		money_format(rules->min_price_cents, low);
		money_format(rules->max_price_cents, high);
		snprintf(detail, detail_cap, ": expected %s to %s", low, high);
	}
	if (reason == REASON_INVALID_PRICE && has_decimal_comma(field))
		snprintf(detail, detail_cap, ": a decimal comma needs decimal = , in MAPPING");
	if ((reason == REASON_INVALID_PRODUCT_ID || reason == REASON_INVALID_USER_ID) &&
	    is_lossy_float(field))
		snprintf(detail, detail_cap, ": a float in this form may have lost digits");
	if (field->kind == FIELD_TEXT && null_words_has(&rules->null_words, field->text))
		snprintf(detail, detail_cap, ": NULL_WORDS has it");
}

static bool is_required(const struct event_rules *rules, const struct event *event,
                        enum event_field_index field)
{
	return rules->required >> field & 1 ||
	       (field == FIELD_PRICE && rules->price_required_for >> event->type & 1);
}

enum reason event_validate(const struct event_field fields[EVENT_FIELD_COUNT],
                           const struct event_rules *rules, struct event *event, char *detail,
                           size_t detail_cap)
{
	*event = (struct event){.price_cents = -1};
	for (size_t i = 0; i < EVENT_FIELD_COUNT; i++) {
		const struct field_check *check = &checks[i];
		const struct event_field *field = &fields[check->field];
		bool missing = is_missing(field, &rules->null_words);
		enum reason reason = missing ? check->missing : check->check(field, rules, event);

		if (reason == REASON_NONE)
			continue;
		if ((missing || check->may_be_unreadable) &&
		    !is_required(rules, event, check->field)) {
			if (!missing)
				event->unreadable |= (uint16_t)(1u << check->field);
			continue;
		}
		if (detail) {
			format_detail(event_field_names[check->field], field, detail, detail_cap);
			append_hint(reason, field, rules, detail, detail_cap);
		}
		return reason;
	}
	return REASON_NONE;
}
