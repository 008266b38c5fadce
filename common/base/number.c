/* By hand: sscanf says nothing of a number that does not fit, and strtoll takes blanks and depends on the locale.
 * The sum runs below zero, where there is room for INT64_MIN. */
#include "base/number.h"

bool number_take(const char **text, int64_t *value)
{
	const char *at = *text;
	bool negative = *at == '-';
	int64_t sum = 0;

	if (negative)
		at++;
	if (*at < '0' || *at > '9')
		return false;
	for (; *at >= '0' && *at <= '9'; at++) {
		int digit = *at - '0';

		if (sum < (INT64_MIN + digit) / 10)
			return false;
		sum = sum * 10 - digit;
	}
	if (!negative && sum == INT64_MIN)
		return false;
	*value = negative ? sum : -sum;
	*text = at;
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
	return number_take(&text, value) && *text == '\0';
}

bool number_parse_span(struct span text, int64_t max, int64_t *value)
{
	int64_t sum = 0;

	if (text.len == 0)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		int digit = text.at[i] - '0';

		if (digit < 0 || digit > 9 || sum > (max - digit) / 10)
			return false;
		sum = sum * 10 + digit;
	}
	*value = sum;
	return true;
}
