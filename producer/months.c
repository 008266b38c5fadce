/* The calendar functions count days in years that begin in March. So the leap day is the last day
 * of a year, and the months before it have a regular pattern of days (Howard Hinnant,
 * "chrono-Compatible Low-Level Date Algorithms"). */
#include "months.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "base/span.h"
#include "base/timetext.h"
#include "input_paths.h"

#define YEAR_MIN 1
#define YEAR_MAX 9999

int32_t month_of_time(int64_t time_us)
{
	int64_t days = time_floor(time_us, US_PER_DAY) / US_PER_DAY + 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t day = days - era * 146097; /* of 400 years */
	int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	int64_t in_year = day - (365 * year + year / 4 - year / 100);
	int64_t from_march = (5 * in_year + 2) / 153;

	return (int32_t)((year + era * 400) * 12 + from_march + 2);
}

size_t month_format(int32_t month, char out[16])
{
	return (size_t)snprintf(out, 16, "%04d-%02d", (int)(month / 12), (int)(month % 12) + 1);
}

bool months_have(const struct months *months, int32_t month)
{
	for (int32_t i = 0; i < months->count; i++)
		if (months->at[i] == month)
			return true;
	return false;
}

bool months_add(struct months *months, int32_t month)
{
	int32_t at = months->count;

	if (months_have(months, month))
		return true;
	if (months->count == MONTHS_MAX)
		return false;
	for (; at > 0 && months->at[at - 1] > month; at--)
		months->at[at] = months->at[at - 1];
	months->at[at] = month;
	months->count++;
	return true;
}

/* ---- lists of months */

/* Takes "2019-10" from the front of the text. */
static bool month_take(struct span *text, int32_t *month)
{
	int64_t year, number;

	if (text->len < 7 || text->at[4] != '-' ||
	    !number_parse_span((struct span){text->at, 4}, YEAR_MAX, &year) ||
	    !number_parse_span((struct span){text->at + 5, 2}, 12, &number) || year < YEAR_MIN ||
	    number < 1)
		return false;
	*month = (int32_t)(year * 12 + number - 1);
	*text = (struct span){text->at + 7, text->len - 7};
	return true;
}

/* Takes a month or a range. */
static bool range_take(struct span *text, struct months *months)
{
	int32_t first, last;

	if (!month_take(text, &first))
		return false;
	last = first;
	if (text->len >= 2 && memcmp(text->at, "..", 2) == 0) {
		*text = (struct span){text->at + 2, text->len - 2};
		if (!month_take(text, &last) || last < first)
			return false;
	}
	for (int32_t month = first; month <= last; month++)
		if (!months_add(months, month))
			return false;
	return true;
}

bool months_parse(const char *text, struct months *months, struct err *err)
{
	struct span rest = span_of(text);
	bool good;

	*months = (struct months){0};
	good = range_take(&rest, months);
	while (good && rest.len > 0) {
		good = rest.at[0] == ',';
		rest = (struct span){rest.at + 1, rest.len - 1};
		good = good && range_take(&rest, months);
	}
	return good || err_set(err, ERR_INPUT,
	                       "expected months such as 2019-10, 2019-10,2019-12 or "
	                       "2019-10..2020-04, at most %d",
	                       MONTHS_MAX);
}

int32_t month_of_name(const char *name)
{
	int year, month;

	return input_month_of(name, &year, &month) ? year * 12 + month - 1 : MONTH_NONE;
}
