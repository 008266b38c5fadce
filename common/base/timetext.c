/* The calendar is the proleptic Gregorian one. Days are counted from 0001-01-01, where the leap
 * rule has no special case: y complete years have 365 y + y/4 - y/100 + y/400 days. A constant
 * moves them to 1970.
 *
 * Rejected: strptime and strftime. They depend on the locale, do not support fractions, and are ten
 * times too slow for a function that is called per record.
 *
 * Limits: parsing takes the years 1 to 9999. Formatting takes every int64_t; outside of these
 * years, the year has more digits or a sign. */
#include "base/timetext.h"

#include <stdio.h>

#include "base/number.h"

#define DAYS_TO_1970       INT64_C(719162)              /* 1969 years: 1969 * 365 + 492 - 19 + 4 */
#define TIME_MIN_US        (-DAYS_TO_1970 * US_PER_DAY) /* 0001-01-01 00:00:00 */
#define TIME_END_US        (INT64_C(2932897) * US_PER_DAY) /* 10000-01-01 00:00:00 */
#define OFFSET_HOURS_MAX   15                              /* as PostgreSQL; zones go to +14:00 */
#define DAYS_PER_400_YEARS INT64_C(146097)
#define DAYS_PER_100_YEARS INT64_C(36524) /* the fourth century has one more */
#define DAYS_PER_4_YEARS   INT64_C(1461)
#define DAYS_PER_YEAR      INT64_C(365) /* the fourth year has one more */

static const short days_before_month[2][13] = {
	{0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365},
	{0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335, 366},
};

static unsigned is_leap(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static inline unsigned digit_of(char c)
{
	return (unsigned)(unsigned char)c - '0'; /* over 9: not a digit */
}

/* The value of two digits; at least 100: they are not two digits. */
static inline unsigned two_digits(const char *p)
{
	unsigned tens = digit_of(p[0]), ones = digit_of(p[1]);

	return tens > 9 || ones > 9 ? 100 : tens * 10 + ones;
}

static bool date_parse(const char *p, int64_t *days)
{
	unsigned century = two_digits(p), in_century = two_digits(p + 2), month = two_digits(p + 5),
		 day = two_digits(p + 8);
	unsigned year = century * 100 + in_century, leap;
	int64_t before = (int64_t)year - 1;

	if (century > 99 || in_century > 99 || year == 0 || p[4] != '-' || p[7] != '-' ||
	    month < 1 || month > 12)
		return false;
	leap = is_leap(year);
	if (day < 1 ||
	    (int)day > days_before_month[leap][month] - days_before_month[leap][month - 1])
		return false;
	*days = 365 * before + before / 4 - before / 100 + before / 400 +
	        days_before_month[leap][month - 1] + (int64_t)day - 1 - DAYS_TO_1970;
	return true;
}

#define FRACTION_DIGITS_MAX 9

/* Takes a fraction such as ".123" from the front of *rest; without one, *us is 0. Digits after the
 * sixth are cut. */
static bool fraction_parse(struct span *rest, int64_t *us)
{
	size_t count = 0;
	int64_t value = 0;

	*us = 0;
	if (rest->len == 0 || rest->at[0] != '.')
		return true;
	rest->at++, rest->len--;
	while (count < rest->len && digit_of(rest->at[count]) <= 9) {
		if (count < 6)
			value = value * 10 + digit_of(rest->at[count]);
		count++;
	}
	if (count == 0 || count > FRACTION_DIGITS_MAX)
		return false;
	rest->at += count, rest->len -= count;
	for (; count < 6; count++)
		value *= 10;
	*us = value;
	return true;
}

static bool names_utc(struct span zone)
{
	static const char *const names[] = {"UTC", "Z", "GMT", "utc", "z", "gmt"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (span_is(zone, names[i]))
			return true;
	return false;
}

/* Takes [+-]hh, [+-]hhmm or [+-]hh:mm from the front of *zone. */
static bool offset_parse(struct span *zone, int64_t *offset_us)
{
	bool negative = zone->len > 0 && zone->at[0] == '-';
	unsigned hour, minute = 0;
	size_t len = 3;

	if (zone->len < len || (!negative && zone->at[0] != '+'))
		return false;
	hour = two_digits(zone->at + 1);
	if (zone->len > len && zone->at[len] != ' ') {
		len += zone->at[len] == ':';
		if (zone->len < len + 2)
			return false;
		minute = two_digits(zone->at + len);
		len += 2;
	}
	if (hour > OFFSET_HOURS_MAX || minute > 59)
		return false;
	*offset_us = hour * US_PER_HOUR + minute * US_PER_MINUTE;
	if (negative)
		*offset_us = -*offset_us;
	zone->at += len, zone->len -= len;
	return true;
}

/* A zone may have a blank before it. Go writes both: "+0000 UTC". */
static bool zone_parse(struct span zone, int64_t *offset_us)
{
	*offset_us = 0;
	if (zone.len == 0 || (zone.len == 4 && memcmp(zone.at, " UTC", 4) == 0))
		return true;
	if (zone.at[0] == ' ')
		zone.at++, zone.len--;
	if (names_utc(zone))
		return true;
	if (!offset_parse(&zone, offset_us))
		return false;
	return zone.len == 0 || (*offset_us == 0 && zone.at[0] == ' ' &&
	                         names_utc((struct span){zone.at + 1, zone.len - 1}));
}

bool time_parse(struct span text, int64_t *time_us)
{
	const char *p = text.at;
	unsigned hour, minute, second;
	int64_t days, fraction_us, offset_us, us;
	struct span rest;

	if (text.len < 19 || (p[10] != ' ' && p[10] != 'T' && p[10] != 't') || p[13] != ':' ||
	    p[16] != ':')
		return false;
	hour = two_digits(p + 11), minute = two_digits(p + 14), second = two_digits(p + 17);
	if (hour > 23 || minute > 59 || second > 59 || !date_parse(p, &days))
		return false;
	rest = (struct span){p + 19, text.len - 19};
	if (!fraction_parse(&rest, &fraction_us) || !zone_parse(rest, &offset_us))
		return false;
	us = days * US_PER_DAY + ((int64_t)hour * 3600 + minute * 60 + second) * US_PER_SECOND +
	     fraction_us - offset_us;
	if (us < TIME_MIN_US || us >= TIME_END_US)
		return false;
	*time_us = us;
	return true;
}

static inline char *put_two(char *p, int64_t value)
{
	p[0] = (char)('0' + value / 10);
	p[1] = (char)('0' + value % 10);
	return p + 2;
}

static char *put_date(char *p, int64_t days_since_1970)
{
	int64_t days = days_since_1970 + DAYS_TO_1970, year, part;
	int month = 0;
	unsigned leap;

	part = days / DAYS_PER_400_YEARS - (days % DAYS_PER_400_YEARS < 0);
	days -= part * DAYS_PER_400_YEARS, year = part * 400 + 1;
	part = days / DAYS_PER_100_YEARS - (days / DAYS_PER_100_YEARS == 4);
	days -= part * DAYS_PER_100_YEARS, year += part * 100;
	part = days / DAYS_PER_4_YEARS;
	days -= part * DAYS_PER_4_YEARS, year += part * 4;
	part = days / DAYS_PER_YEAR - (days / DAYS_PER_YEAR == 4);
	days -= part * DAYS_PER_YEAR, year += part;

	leap = is_leap(year);
	month = (int)(days / 31); /* the month, or the one before it */
	if (days >= days_before_month[leap][month + 1])
		month++;
	if (year >= 1 && year <= 9999)
		p = put_two(put_two(p, year / 100), year % 100);
	else
		p += snprintf(p, 9, "%04lld", (long long)year);
	*p++ = '-';
	p = put_two(p, month + 1);
	*p++ = '-';
	return put_two(p, days - days_before_month[leap][month] + 1);
}

static char *put_clock(char *p, int64_t us_of_day)
{
	int64_t seconds = us_of_day / US_PER_SECOND, fraction_us = us_of_day % US_PER_SECOND;

	p = put_two(p, seconds / 3600);
	*p++ = ':';
	p = put_two(p, seconds / 60 % 60);
	*p++ = ':';
	p = put_two(p, seconds % 60);
	if (fraction_us == 0)
		return p;
	*p++ = '.';
	put_two(put_two(put_two(p, fraction_us / 10000), fraction_us / 100 % 100),
	        fraction_us % 100);
	p += 6;
	while (p[-1] == '0')
		p--;
	return p;
}

static size_t time_format(int64_t time_us, char separator, const char *zone, char out[32])
{
	int64_t us_of_day = time_us % US_PER_DAY, days = time_us / US_PER_DAY;
	char *p;

	if (us_of_day < 0)
		us_of_day += US_PER_DAY, days--;
	p = put_date(out, days);
	*p++ = separator;
	p = put_clock(p, us_of_day);
	while (*zone)
		*p++ = *zone++;
	*p = '\0';
	return (size_t)(p - out);
}

size_t time_format_plain(int64_t time_us, char out[32])
{
	return time_format(time_us, ' ', "", out);
}

size_t time_format_iso(int64_t time_us, char out[32])
{
	return time_format(time_us, 'T', "Z", out);
}

/* The number of digits at the front of text. */
static size_t digit_count(struct span text)
{
	size_t count = 0;

	while (count < text.len && digit_of(text.at[count]) <= 9)
		count++;
	return count;
}

#define MONEY_DIGITS_MAX 15 /* before the point */

bool money_parse(struct span text, int64_t *cents)
{
	return digit_count(text) <= MONEY_DIGITS_MAX && decimal_parse(text, 2, INT64_MAX, cents);
}

size_t money_format(int64_t cents, char out[32])
{
	uint64_t magnitude = cents < 0 ? -(uint64_t)cents : (uint64_t)cents;

	return (size_t)snprintf(out, 32, "%s%llu.%02u", cents < 0 ? "-" : "",
	                        (unsigned long long)(magnitude / 100), (unsigned)(magnitude % 100));
}

static const struct {
	const char *name;
	int64_t us;
} duration_units[] = {
	/* The largest first: formatting takes the first that divides the duration. */
	{"d", US_PER_DAY},    {"h", US_PER_HOUR}, {"m", US_PER_MINUTE},
	{"s", US_PER_SECOND}, {"ms", 1000},       {"us", 1},
};

#define DURATION_DIGITS_MAX 18
#define DURATION_UNIT_COUNT (sizeof(duration_units) / sizeof(*duration_units))

bool duration_parse(struct span text, int64_t *duration_us)
{
	size_t digits = digit_count(text);
	int64_t value;

	if (digits == 0 || digits > DURATION_DIGITS_MAX)
		return false;
	for (size_t unit = 0; unit < DURATION_UNIT_COUNT; unit++) {
		if (!span_is((struct span){text.at + digits, text.len - digits},
		             duration_units[unit].name))
			continue;
		if (!number_parse_span((struct span){text.at, digits},
		                       INT64_MAX / duration_units[unit].us, &value))
			return false;
		*duration_us = value * duration_units[unit].us;
		return true;
	}
	return false;
}

size_t duration_format(int64_t duration_us, char out[32])
{
	size_t unit = 0;

	if (duration_us == 0)
		return (size_t)snprintf(out, 32, "0s");
	while (duration_us % duration_units[unit].us != 0)
		unit++; /* ends, as the last unit divides every duration */
	return (size_t)snprintf(out, 32, "%lld%s",
	                        (long long)(duration_us / duration_units[unit].us),
	                        duration_units[unit].name);
}
