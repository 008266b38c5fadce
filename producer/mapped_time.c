/* The format is read by our own code, because strptime(3) depends on the locale and has no
 * fraction. The parts are written in the standard form, and event_time_read checks their ranges. */
#include "mapped_time.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/timetext.h"
#include "event/event_values.h"

#define CONVERSIONS "YmdHMSybBpIfzeFT%"

struct parts {
	int64_t year, month, day, hour, minute, second;
	int64_t nanoseconds;
	bool afternoon, half_day;
	bool has_zone;
	int64_t offset_us;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool take_number(struct span *text, size_t digits_max, int64_t *value)
{
	size_t n = 0;

	*value = 0;
	while (n < digits_max && n < text->len && is_digit(text->at[n]))
		*value = *value * 10 + (text->at[n++] - '0');
	*text = (struct span){text->at + n, text->len - n};
	return n > 0;
}

static bool take_fraction(struct span *text, int64_t *nanoseconds)
{
	size_t before = text->len, digits;

	if (!take_number(text, 9, nanoseconds))
		return false;
	for (digits = before - text->len; digits < 9; digits++)
		*nanoseconds *= 10;
	return true;
}

/* An English name: its first three letters, or all of it. */
static bool take_month(struct span *text, int64_t *month)
{
	static const char *const names[] = {"January",   "February", "March",    "April",
	                                    "May",       "June",     "July",     "August",
	                                    "September", "October",  "November", "December"};

	for (size_t i = 0; i < 12; i++) {
		size_t len = strlen(names[i]);

		if (text->len < 3 || strncasecmp(text->at, names[i], 3) != 0)
			continue;
		if (text->len < len || strncasecmp(text->at, names[i], len) != 0)
			len = 3;
		*text = (struct span){text->at + len, text->len - len};
		*month = (int64_t)i + 1;
		return true;
	}
	return false;
}

static bool take_half_day(struct span *text, struct parts *parts)
{
	if (text->len < 2 ||
	    (strncasecmp(text->at, "am", 2) != 0 && strncasecmp(text->at, "pm", 2) != 0))
		return false;
	parts->half_day = true;
	parts->afternoon = text->at[0] == 'p' || text->at[0] == 'P';
	*text = (struct span){text->at + 2, text->len - 2};
	return true;
}

/* The length of a zone at the start of the text. 0: none. */
static size_t zone_at(struct span text, int64_t *offset_us)
{
	struct span rest = text;
	int64_t hours, minutes = 0;
	bool west;

	*offset_us = 0;
	if (text.len >= 3 &&
	    (strncasecmp(text.at, "utc", 3) == 0 || strncasecmp(text.at, "gmt", 3) == 0))
		return 3;
	if (text.len >= 1 && (text.at[0] == 'Z' || text.at[0] == 'z'))
		return 1;
	if (text.len < 3 || (text.at[0] != '+' && text.at[0] != '-'))
		return 0;
	west = text.at[0] == '-';
	rest = (struct span){text.at + 1, text.len - 1};
	if (!take_number(&rest, 2, &hours))
		return 0;
	if (rest.len > 0 && rest.at[0] == ':')
		rest = (struct span){rest.at + 1, rest.len - 1};
	if (rest.len > 0 && !take_number(&rest, 2, &minutes))
		return 0;
	if (hours > 23 || minutes > 59)
		return 0;
	*offset_us = (west ? -1 : 1) * (hours * US_PER_HOUR + minutes * US_PER_MINUTE);
	return text.len - rest.len;
}

bool time_zone_read(struct span text, int64_t *offset_us)
{
	size_t len = zone_at(text, offset_us);

	return len > 0 && len == text.len;
}

static bool take_zone(struct span *text, struct parts *parts)
{
	size_t len = zone_at(*text, &parts->offset_us);

	*text = (struct span){text->at + len, text->len - len};
	parts->has_zone = len > 0;
	return len > 0;
}

static bool take_year_of_century(struct span *text, int64_t *year)
{
	if (!take_number(text, 2, year))
		return false;
	*year += *year < 69 ? 2000 : 1900; /* as POSIX reads it */
	return true;
}

static bool take_all(const char *format, struct span *text, struct parts *parts);

static bool take_part(char conversion, struct span *text, struct parts *parts)
{
	switch (conversion) {
	case 'Y': return take_number(text, 4, &parts->year);
	case 'y': return take_year_of_century(text, &parts->year);
	case 'm': return take_number(text, 2, &parts->month);
	case 'b':
	case 'B': return take_month(text, &parts->month);
	case 'd':
	case 'e': return take_number(text, 2, &parts->day);
	case 'H':
	case 'I': return take_number(text, 2, &parts->hour);
	case 'M': return take_number(text, 2, &parts->minute);
	case 'S': return take_number(text, 2, &parts->second);
	case 'f': return take_fraction(text, &parts->nanoseconds);
	case 'p': return take_half_day(text, parts);
	case 'z': return take_zone(text, parts);
	case 'F': return take_all("%Y-%m-%d", text, parts);
	case 'T': return take_all("%H:%M:%S", text, parts);
	default: return false;
	}
}

static void skip_blanks(struct span *text)
{
	while (text->len > 0 && text->at[0] == ' ')
		*text = (struct span){text->at + 1, text->len - 1};
}

static bool take_all(const char *format, struct span *text, struct parts *parts)
{
	for (; *format; format++) {
		if (*format == ' ') {
			skip_blanks(text);
			continue;
		}
		if (*format == '%' && format[1] != '%') {
			if (!take_part(*++format, text, parts))
				return false;
			continue;
		}
		format += *format == '%';
		if (text->len == 0 || text->at[0] != *format)
			return false;
		*text = (struct span){text->at + 1, text->len - 1};
	}
	return true;
}

static bool has_conversion(const char *format, const char *any)
{
	for (; *format; format++)
		if (*format == '%' && format[1] && strchr(any, *++format))
			return true;
	return false;
}

bool time_format_check(const char *format, struct err *err)
{
	for (const char *p = format; *p; p++)
		if (*p == '%' && (!p[1] || !strchr(CONVERSIONS, *++p)))
			return err_set(err, ERR_INPUT,
			               "time_format has the conversion %%%c, which is not known; "
			               "expected %%Y %%m %%d %%H %%M %%S %%y %%b %%B %%e %%I %%p "
			               "%%f %%z %%F %%T",
			               *p);
	if (has_conversion(format, "F") ||
	    (has_conversion(format, "Yy") && has_conversion(format, "mbB") &&
	     has_conversion(format, "de")))
		return true;
	return err_set(
		err, ERR_INPUT,
		"time_format \"%s\" is not a complete date; expected one such as %%d.%%m.%%Y "
		"%%H:%%M:%%S",
		format);
}

static bool read_format(const struct time_form *form, struct span text, int64_t *time_us,
                        bool *has_zone)
{
	struct parts parts = {0};
	char standard[128];
	int len;

	if (!take_all(form->format, &text, &parts) || text.len > 0)
		return false;
	if (parts.half_day && (parts.hour < 1 || parts.hour > 12))
		return false;
	if (parts.half_day)
		parts.hour = parts.hour % 12 + (parts.afternoon ? 12 : 0);
	len = snprintf(standard, sizeof(standard),
	               "%04lld-%02lld-%02lld %02lld:%02lld:%02lld.%06lld", (long long)parts.year,
	               (long long)parts.month, (long long)parts.day, (long long)parts.hour,
	               (long long)parts.minute, (long long)parts.second,
	               (long long)parts.nanoseconds / 1000);
	if (!event_time_read((struct span){standard, (size_t)len}, time_us))
		return false;
	*time_us -= parts.offset_us;
	*has_zone = parts.has_zone;
	return true;
}

/* Whether a text that event_time_read takes says its zone. An epoch does. */
static bool says_its_zone(struct span text)
{
	if (text.len <= 10 || text.at[4] != '-')
		return true;
	for (size_t i = 11; i < text.len; i++)
		if (text.at[i] == '+' || text.at[i] == '-' || text.at[i] == 'Z' ||
		    text.at[i] == 'U')
			return true;
	return false;
}

bool mapped_time_read(const struct time_form *form, struct span text, char out[MAPPED_TIME_MAX],
                      size_t *len)
{
	bool has_zone = false;
	int64_t time_us;

	skip_blanks(&text);
	while (text.len > 0 && text.at[text.len - 1] == ' ')
		text.len--;
	if (form->format) {
		if (!read_format(form, text, &time_us, &has_zone))
			return false;
	} else {
		if (!event_time_read(text, &time_us))
			return false;
		has_zone = says_its_zone(text);
	}
	if (form->has_zone && !has_zone)
		time_us -= form->offset_us;
	*len = time_format_plain(time_us, out);
	memcpy(out + *len, " UTC", 5);
	*len += 4;
	return true;
}
