/* One pass over the most common form of an event: a flat object of known fields, each at most once;
 * texts of printable ASCII without a backslash; integers that fit 64 bits; numbers with at most two
 * decimals; null, and NaN as Python writes it. The library parses all other values, and all values
 * that are refused. So this file only has to be right about the values that it accepts, and the
 * detail of a refusal is written in one place.
 *
 * Texts are ASCII, so they are valid UTF-8 and need no decoding: spans borrow from the value.
 *
 * Rejected: numbers by base/number, since one pass here finds the end and the value, and takes only
 * JSON's form of a number. Word-at-a-time scanning, since texts of an event are short. */
#include "event/event_json_fast.h"

#include "event/event_fields.h"

#define INTEGER_DIGITS_MAX 19
#define DECIMAL_DIGITS_MAX 12 /* before the point; the library's double gives the same price */

struct scanner {
	const char *at, *end;
};

static const struct {
	const char *name; /* with its closing quote */
	size_t len;
} keys[EVENT_FIELD_COUNT] = {
#define EVENT_FIELD_KEY(id, name, form) {name "\"", sizeof(name "\"") - 1},
	EVENT_FIELD_TABLE(EVENT_FIELD_KEY)
#undef EVENT_FIELD_KEY
};

/* 1: printable ASCII, and neither a quote nor a backslash. Looked up per byte of a text. */
/* clang-format off */
static const unsigned char plain[256] = {
	['\x20'] = 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	['0']    = 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	['@']    = 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	['P']    = 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1,
	['`']    = 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	['p']    = 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0,
};
/* clang-format on */

static inline void skip_space(struct scanner *s)
{
	while (s->at < s->end &&
	       (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
		s->at++;
}

static inline bool take(struct scanner *s, char c)
{
	if (s->at == s->end || *s->at != c)
		return false;
	s->at++;
	return true;
}

static inline bool key_is(const struct scanner *s, size_t index)
{
	return (size_t)(s->end - s->at) >= keys[index].len &&
	       memcmp(s->at, keys[index].name, keys[index].len) == 0;
}

/* Takes a known key after its opening quote. Tries the expected one first. */
static inline bool take_key(struct scanner *s, size_t expected, size_t *index)
{
	*index = expected;
	if (expected >= EVENT_FIELD_COUNT || !key_is(s, expected)) {
		for (*index = 0; *index < EVENT_FIELD_COUNT && !key_is(s, *index); (*index)++)
			;
		if (*index == EVENT_FIELD_COUNT)
			return false;
	}
	s->at += keys[*index].len;
	return true;
}

static inline bool take_text(struct scanner *s, struct event_field *field)
{
	const char *start = s->at, *p = start;

	while (p < s->end && plain[(unsigned char)*p])
		p++;
	if (p == s->end || *p != '"')
		return false;
	s->at = p + 1;
	field->kind = p == start ? FIELD_MISSING : FIELD_TEXT;
	field->text = (struct span){start, (size_t)(p - start)};
	return true;
}

static inline uint64_t take_digits(struct scanner *s, size_t max, size_t *count)
{
	uint64_t value = 0;

	for (*count = 0; s->at < s->end && *count < max && *s->at >= '0' && *s->at <= '9';
	     s->at++, (*count)++)
		value = value * 10 + (uint64_t)(*s->at - '0');
	return value;
}

/* The caller checks that the number has ended: a digit, a point or an exponent after it is neither
 * a comma nor a brace. */
static inline bool take_number(struct scanner *s, struct event_field *field)
{
	const char *start = s->at;
	size_t digits, decimals;
	uint64_t value = take_digits(s, INTEGER_DIGITS_MAX, &digits), fraction;

	if (digits == 0 || (*start == '0' && digits > 1) || value > INT64_MAX)
		return false;
	field->kind = FIELD_INTEGER;
	field->integer = (int64_t)value;
	if (!take(s, '.'))
		return true;
	fraction = take_digits(s, 2, &decimals);
	if (decimals == 0 || digits > DECIMAL_DIGITS_MAX)
		return false;
	field->kind = FIELD_DECIMAL;
	field->integer = (int64_t)(value * 100 + (decimals == 1 ? fraction * 10 : fraction));
	return true;
}

static bool take_nan(struct scanner *s, struct event_field *field)
{
	if (s->end - s->at < 3 || memcmp(s->at, "NaN", 3) != 0)
		return false;
	s->at += 3;
	field->kind = FIELD_MISSING;
	return true;
}

static inline bool take_value(struct scanner *s, struct event_field *field)
{
	if (take(s, '"'))
		return take_text(s, field);
	if (s->end - s->at >= 4 && memcmp(s->at, "null", 4) == 0) {
		s->at += 4;
		field->kind = FIELD_MISSING;
		return true;
	}
	if (s->at < s->end && *s->at == 'N')
		return take_nan(s, field);
	return take_number(s, field);
}

static bool scan_object(struct scanner *s, struct event_field fields[EVENT_FIELD_COUNT])
{
	unsigned seen = 0;
	size_t expected = 0, index;

	skip_space(s);
	if (!take(s, '{'))
		return false;
	do {
		skip_space(s);
		if (!take(s, '"') || !take_key(s, expected, &index) || (seen & 1u << index))
			return false;
		seen |= 1u << index;
		expected = index + 1;
		skip_space(s);
		if (!take(s, ':'))
			return false;
		skip_space(s);
		if (!take_value(s, &fields[index]))
			return false;
		skip_space(s);
	} while (take(s, ','));
	if (!take(s, '}'))
		return false;
	skip_space(s);
	return s->at == s->end;
}

bool event_parse_json_fast(struct span value, const struct event_rules *rules, struct event *event,
                           enum reason *reason)
{
	struct event_field fields[EVENT_FIELD_COUNT];
	struct scanner s;

	if (value.len == 0 || value.len > EVENT_VALUE_MAX)
		return false;
	s = (struct scanner){value.at, value.at + value.len};
	for (size_t i = 0; i < EVENT_FIELD_COUNT; i++)
		fields[i].kind = FIELD_MISSING;
	if (!scan_object(&s, fields) ||
	    event_validate(fields, rules, event, NULL, 0) != REASON_NONE)
		return false;
	*reason = REASON_NONE;
	return true;
}
