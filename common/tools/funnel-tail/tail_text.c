#include "tail_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/timetext.h"

/* Writes a number that is not negative with a comma before each group of three digits. */
static size_t group_digits(int64_t number, char out[TAIL_TEXT_MAX])
{
	char digits[24];
	size_t len = (size_t)snprintf(digits, sizeof(digits), "%" PRId64, number), used = 0;

	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0 && digits[i - 1] != '-')
			out[used++] = ',';
		out[used++] = digits[i];
	}
	out[used] = '\0';
	return used;
}

const char *tail_count(int64_t number, char out[TAIL_TEXT_MAX])
{
	group_digits(number, out);
	return out;
}

const char *tail_money(int64_t cents, char out[TAIL_TEXT_MAX])
{
	size_t len = group_digits(cents / 100, out);

	snprintf(out + len, TAIL_TEXT_MAX - len, ".%02d", (int)(cents % 100));
	return out;
}

const char *tail_percent(int64_t part, int64_t of, char out[TAIL_TEXT_MAX])
{
	if (of <= 0)
		snprintf(out, TAIL_TEXT_MAX, "-");
	else
		snprintf(out, TAIL_TEXT_MAX, "%.1f %%", 100.0 * (double)part / (double)of);
	return out;
}

const char *tail_age(int64_t age_us, char out[TAIL_TEXT_MAX])
{
	if (age_us < 0)
		age_us = 0;
	if (age_us < 10 * US_PER_SECOND)
		snprintf(out, TAIL_TEXT_MAX, "%.1f s", (double)age_us / 1e6);
	else if (age_us < 2 * US_PER_MINUTE)
		snprintf(out, TAIL_TEXT_MAX, "%" PRId64 " s", age_us / US_PER_SECOND);
	else if (age_us < 2 * US_PER_HOUR)
		snprintf(out, TAIL_TEXT_MAX, "%" PRId64 " min", age_us / US_PER_MINUTE);
	else if (age_us < 2 * US_PER_DAY)
		snprintf(out, TAIL_TEXT_MAX, "%" PRId64 " h", age_us / US_PER_HOUR);
	else {
		group_digits(age_us / US_PER_DAY, out);
		strcat(out, " d");
	}
	return out;
}

const char *tail_clock(int64_t time_us, int with_day, char out[TAIL_TEXT_MAX])
{
	char text[32];

	time_format_plain(time_floor(time_us, US_PER_SECOND), text);
	snprintf(out, TAIL_TEXT_MAX, "%s", with_day ? text : text + 11);
	return out;
}
