/* The sum is negative while digits are added, as INT64_MIN has no positive counterpart.
 *
 * Rejected: sscanf, which does not report a number out of range; strtoll, which skips blanks, takes
 * a '+' and depends on the locale. */
#include "base/number.h"

#define DIGITS "0123456789"

/* Appends digits to a sum that is zero or negative. */
static bool append_digits(int64_t *sum, struct span digits)
{
	int64_t value = *sum;

	for (size_t i = 0; i < digits.len; i++) {
		int digit = digits.at[i] - '0';

		if (digit < 0 || digit > 9 || value < INT64_MIN / 10 ||
		    (value == INT64_MIN / 10 && digit > -(INT64_MIN % 10)))
			return false;
		value = value * 10 - digit;
	}
	*sum = value;
	return true;
}

static bool signed_value(bool negative, struct span digits, int64_t *value)
{
	int64_t sum = 0;

	if (digits.len == 0 || !append_digits(&sum, digits) || (!negative && sum == INT64_MIN))
		return false;
	*value = negative ? sum : -sum;
	return true;
}

bool number_take(const char **text, int64_t *value)
{
	bool negative = **text == '-';
	struct span digits = {*text + negative, strspn(*text + negative, DIGITS)};

	if (!signed_value(negative, digits, value))
		return false;
	*text = digits.at + digits.len;
	return true;
}

bool number_take_list(const char **text, int64_t *values, size_t count)
{
	const char *at = *text;

	for (size_t i = 0; i < count; i++) {
		if (i > 0 && *at++ != ',')
			return false;
		if (!number_take(&at, &values[i]))
			return false;
	}
	*text = at;
	return true;
}

bool number_parse(const char *text, int64_t *value)
{
	return number_parse_signed(span_of(text), value);
}

bool number_parse_signed(struct span text, int64_t *value)
{
	bool negative = text.len > 0 && *text.at == '-';

	return text.len > 0 &&
	       signed_value(negative, (struct span){text.at + negative, text.len - negative},
	                    value);
}

bool number_parse_span(struct span text, int64_t max, int64_t *value)
{
	int64_t sum = 0;

	if (text.len == 0 || !append_digits(&sum, text) || sum < -max)
		return false;
	*value = -sum;
	return true;
}

bool decimal_parse(struct span text, size_t places, int64_t max, int64_t *value)
{
	const char *point = text.len ? memchr(text.at, '.', text.len) : NULL;
	struct span integer = {text.at, point ? (size_t)(point - text.at) : text.len};
	struct span decimals = {point ? point + 1 : NULL, point ? text.len - integer.len - 1 : 0};
	int64_t sum = 0;

	if (integer.len == 0 || (point && decimals.len == 0) || decimals.len > places ||
	    !append_digits(&sum, integer) || !append_digits(&sum, decimals))
		return false;
	for (size_t i = decimals.len; i < places; i++)
		if (!append_digits(&sum, SPAN("0")))
			return false;
	if (sum < -max)
		return false;
	*value = -sum;
	return true;
}
