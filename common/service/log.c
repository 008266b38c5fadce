/* A line is made on the stack and written with one write(2), outside every lock.
 *
 * The format is walked here rather than given to vsnprintf, because only so can a value be told from the text around
 * it: what a %s brings is escaped when it stands in quotes, and put in quotes when it is a value that needs
 * them. JSON is made from the finished key=value text, so both forms always say the same.
 * Escapes are JSON's (\" \\ \n \u00XX), and bytes that are not UTF-8 become \u00XX.
 * Limits: lines of 8 KiB (then cut=true), 64 events (further ones share one limit), conversions without long double. */
#include "service/log.h"

#include <ctype.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_CAP 8192
#define LINE_TAIL 64 /* room for a closing quote and suppressed=, cut= */
#define LINES_PER_SECOND 20
#define EVENT_COUNT 64

struct line {
	char text[LINE_CAP];
	size_t len;
	bool quoted; /* inside "..." of the format */
	bool cut;
};

static struct {
	char service[64], instance[128];
	enum log_level level;
	bool json;
} logger = {.service = "-", .instance = "-", .level = LOG_INFO};

static struct {
	pthread_mutex_t lock;
	struct event_limit {
		char event[40];
		time_t second;
		unsigned lines;
		unsigned long held;
	} events[EVENT_COUNT];
} limits = {.lock = PTHREAD_MUTEX_INITIALIZER};

void log_init(const char *service, const char *instance, enum log_level level, bool json)
{
	snprintf(logger.service, sizeof(logger.service), "%s", service);
	snprintf(logger.instance, sizeof(logger.instance), "%s", instance);
	logger.level = level;
	logger.json = json;
}

static const char *level_name(enum log_level level)
{
	switch (level) {
	case LOG_ERROR: return "error";
	case LOG_WARN: return "warn";
	case LOG_INFO: return "info";
	case LOG_DEBUG: return "debug";
	}
	return "unknown";
}

/* All of it or nothing, so that an escape is never cut in two. */
static void put(struct line *line, const char *at, size_t len)
{
	if (line->cut || line->len + len > LINE_CAP - LINE_TAIL) {
		line->cut = true;
		return;
	}
	memcpy(line->text + line->len, at, len);
	line->len += len;
}

/* Length of the UTF-8 sequence at text, 0 if it is none (RFC 3629: nothing overlong, no surrogates). */
static size_t utf8_len(const unsigned char *text, size_t len)
{
	unsigned char first = text[0];
	size_t want = first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : (first & 0xf0) == 0xe0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;

	if (want > len)
		return 0;
	for (size_t i = 1; i < want; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	if ((first == 0xe0 && text[1] < 0xa0) || (first == 0xed && text[1] >= 0xa0) || (first == 0xf0 && text[1] < 0x90) ||
	    (first == 0xf4 && text[1] >= 0x90))
		return 0;
	return want;
}

/* quoted: also what would end the quotes. */
static void put_escaped(struct line *line, const char *text, size_t len, bool quoted)
{
	while (len > 0) {
		const unsigned char *at = (const unsigned char *)text;
		size_t used = utf8_len(at, len);
		char escape[8];

		if (*at == '\n' || *at == '\t')
			put(line, *at == '\n' ? "\\n" : "\\t", 2);
		else if (used == 0 || *at < 0x20 || *at == 0x7f)
			put(line, escape, (size_t)snprintf(escape, sizeof(escape), "\\u%04x", *at));
		else if (quoted && (*at == '"' || *at == '\\'))
			put(line, *at == '"' ? "\\\"" : "\\\\", 2);
		else
			put(line, text, used);
		used = used ? used : 1;
		text += used;
		len -= used;
	}
}

static bool needs_quotes(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (strchr(" \"\\=", text[i]) || iscntrl((unsigned char)text[i]))
			return true;
	return len == 0;
}

static void put_value(struct line *line, const char *text, size_t len)
{
	bool is_value = line->len > 0 && line->text[line->len - 1] == '=';

	if (line->quoted) {
		put_escaped(line, text, len, true);
	} else if (is_value && (logger.json || needs_quotes(text, len))) { /* JSON: a string, even where it looks like a number */
		put(line, "\"", 1);
		line->quoted = !line->cut;
		put_escaped(line, text, len, true);
		put(line, "\"", 1);
		line->quoted = line->quoted && line->cut;
	} else {
		put_escaped(line, text, len, false);
	}
}

struct spec {
	bool zero;
	int width, precision; /* precision -1: none */
	char size;            /* 0, l, L (ll), z, j, t; h and hh are int */
	char kind;
};

static int spec_number(const char **at, va_list *args)
{
	int number = 0;

	if (**at == '*') {
		++*at;
		return va_arg(*args, int);
	}
	while (isdigit((unsigned char)**at))
		number = number * 10 + (*(*at)++ - '0');
	return number;
}

/* *at is after the %, and then after the conversion. */
static struct spec spec_read(const char **at, va_list *args)
{
	struct spec spec = {.precision = -1};

	for (; **at && strchr("-+ #0", **at); ++*at)
		spec.zero = spec.zero || **at == '0';
	spec.width = spec_number(at, args);
	if (**at == '.') {
		++*at;
		spec.precision = spec_number(at, args);
	}
	for (; **at && strchr("hlzjt", **at); ++*at)
		spec.size = **at == 'l' && spec.size == 'l' ? 'L' : **at == 'h' ? spec.size : **at;
	spec.kind = **at;
	if (**at)
		++*at;
	return spec;
}

/* Several of these are one type here and others elsewhere. */
static intmax_t signed_arg(char size, va_list *args)
{
	switch (size) {
	case 'l': return va_arg(*args, long);
	case 'L': return va_arg(*args, long long);
	case 'z': return va_arg(*args, ssize_t); /* NOLINT(bugprone-branch-clone) */
	case 'j': return va_arg(*args, intmax_t);
	case 't': return va_arg(*args, ptrdiff_t);
	default: return va_arg(*args, int);
	}
}

static uintmax_t unsigned_arg(char size, va_list *args)
{
	return size ? (uintmax_t)signed_arg(size, args) : va_arg(*args, unsigned);
}

static void put_number(struct line *line, struct spec spec, va_list *args)
{
	char text[128];
	int width = spec.width > 40 ? 40 : spec.width, precision = spec.precision < 0 ? 6 : spec.precision > 40 ? 40 : spec.precision, len;

	switch (spec.kind) {
	case 'd':
	case 'i': len = snprintf(text, sizeof(text), spec.zero ? "%0*jd" : "%*jd", width, signed_arg(spec.size, args)); break;
	case 'u': len = snprintf(text, sizeof(text), spec.zero ? "%0*ju" : "%*ju", width, unsigned_arg(spec.size, args)); break;
	case 'x':
	case 'X': len = snprintf(text, sizeof(text), spec.zero ? "%0*jx" : "%*jx", width, unsigned_arg(spec.size, args)); break;
	case 'f': len = snprintf(text, sizeof(text), "%*.*f", width, precision, va_arg(*args, double)); break;
	case 'g': len = snprintf(text, sizeof(text), "%*.*g", width, precision, va_arg(*args, double)); break;
	case 'p': len = snprintf(text, sizeof(text), "%p", va_arg(*args, void *)); break;
	default: /* a conversion this file does not know: its argument cannot be skipped, so the line ends here */
		put(line, "?", 1);
		line->cut = true;
		return;
	}
	len = len < (int)sizeof(text) ? len : (int)sizeof(text) - 1;
	if (strchr("xXp", spec.kind)) /* some of them look like decimal numbers */
		put_value(line, text, (size_t)len);
	else
		put(line, text, (size_t)len);
}

static void put_format(struct line *line, const char *format, va_list *args)
{
	while (*format) {
		struct spec spec;

		if (*format != '%') {
			line->quoted ^= *format == '"' && !line->cut;
			put(line, format++, 1);
			continue;
		}
		format++;
		spec = spec_read(&format, args);
		if (spec.kind == '%') {
			put(line, "%", 1);
		} else if (spec.kind == 's') {
			const char *text = va_arg(*args, const char *);

			text = text ? text : "(none)";
			put_value(line, text, spec.precision < 0 ? strlen(text) : strnlen(text, (size_t)spec.precision));
		} else if (spec.kind == 'c') {
			char byte = (char)va_arg(*args, int);

			put_value(line, &byte, 1);
		} else {
			put_number(line, spec, args);
		}
	}
}

__attribute__((format(printf, 2, 3))) static void put_pairs(struct line *line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put_format(line, format, &args);
	va_end(args);
}

static void put_head(struct line *line, enum log_level level, const char *event)
{
	struct timespec now;
	struct tm utc;
	char text[32], ts[48];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(ts, sizeof(ts), "%s.%03ldZ", text, now.tv_nsec / 1000000);
	put_pairs(line, "ts=%s level=%s service=%s instance=%s event=%s ", ts, level_name(level), logger.service, logger.instance, event);
}

static void put_tail(struct line *line, unsigned long held)
{
	bool cut = line->cut;
	char text[LINE_TAIL];
	int len = snprintf(text, sizeof(text), "%s%s", cut && line->quoted ? "\"" : "", cut ? " cut=true" : "");

	if (held)
		len += snprintf(text + len, sizeof(text) - (size_t)len, " suppressed=%lu", held);
	while (!cut && line->len && line->text[line->len - 1] == ' ')
		line->len--;
	memcpy(line->text + line->len, text, (size_t)len); /* LINE_TAIL was kept free */
	line->len += (size_t)len;
}

static bool is_json_word(const char *at, size_t len)
{
	size_t digits = len && at[0] == '-' ? len - 1 : len, dots = 0;
	const char *first = at + (len - digits);

	if ((len == 4 && memcmp(at, "true", 4) == 0) || (len == 5 && memcmp(at, "false", 5) == 0))
		return true;
	if (digits == 0 || digits > 18 || !isdigit((unsigned char)first[0]) || !isdigit((unsigned char)first[digits - 1]))
		return false;
	for (size_t i = 0; i < digits; i++) {
		if (first[i] == '.')
			dots++;
		else if (!isdigit((unsigned char)first[i]))
			return false;
	}
	return dots <= 1 && (first[0] != '0' || digits == 1 || first[1] == '.');
}

/* Length of our own escape at text, 0 if it is none. */
static size_t escape_len(const char *text, size_t len, bool quoted)
{
	if (len < 2 || text[0] != '\\')
		return 0;
	if (text[1] == 'n' || text[1] == 't' || (quoted && (text[1] == '"' || text[1] == '\\')))
		return 2;
	for (size_t i = 2; i < 6; i++)
		if (text[1] != 'u' || i >= len || !isxdigit((unsigned char)text[i]))
			return 0;
	return 6;
}

/* A JSON string of text, whose escapes stay as they are. */
static size_t json_string(const char *text, size_t len, bool quoted, char *out)
{
	size_t used = 0;

	out[used++] = '"';
	while (len > 0) {
		size_t step = escape_len(text, len, quoted);

		if (step == 0) {
			step = 1;
			if (*text == '"' || *text == '\\')
				out[used++] = '\\';
		}
		memcpy(out + used, text, step);
		used += step;
		text += step;
		len -= step;
	}
	out[used++] = '"';
	return used;
}

/* Length of a value in quotes, with them; 0 if it is none or does not end. */
static size_t quoted_len(const char *value)
{
	size_t len = 1;

	if (value[0] != '"')
		return 0;
	while (value[len] && value[len] != '"')
		len += value[len] == '\\' && value[len + 1] ? 2 : 1;
	return value[len] ? len + 1 : 0;
}

/* One pair from *at (terminated) into JSON; a word that is no pair becomes the value of "text". */
static size_t json_pair(const char **at, char *out)
{
	static const char key_bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	const char *key = *at, *value;
	size_t key_len = strspn(key, key_bytes), len, used;

	if (key_len > 0 && key[key_len] == '=') {
		value = key + key_len + 1;
	} else {
		value = key;
		key = "text";
		key_len = 4;
	}
	used = json_string(key, key_len, false, out);
	out[used++] = ':';
	len = quoted_len(value);
	if (len) {
		used += json_string(value + 1, len - 2, true, out + used);
	} else {
		len = strcspn(value, " ");
		if (is_json_word(value, len)) {
			memcpy(out + used, value, len);
			used += len;
		} else {
			used += json_string(value, len, false, out + used);
		}
	}
	*at = value + len;
	return used;
}

static void write_all(const char *at, size_t len)
{
	while (len > 0) {
		ssize_t done = write(STDERR_FILENO, at, len);

		if (done <= 0)
			return; /* there is nowhere to say so */
		at += done;
		len -= (size_t)done;
	}
}

static void write_json(struct line *line)
{
	/* Worst case: pairs of 2 bytes ("a ") that each become "text":"a", and a comma. */
	static _Thread_local char out[8 * LINE_CAP];
	const char *at = line->text, *end = line->text + line->len;
	size_t len = 0;

	line->text[line->len] = '\0';
	out[len++] = '{';
	while (at < end) {
		if (*at == ' ') {
			at++;
			continue;
		}
		if (len > 1)
			out[len++] = ',';
		len += json_pair(&at, out + len);
	}
	out[len++] = '}';
	out[len++] = '\n';
	write_all(out, len);
}

/* False: this line is held back. *held: lines held back since the last that passed. */
static bool event_passes(const char *event, unsigned long *held)
{
	struct timespec now;
	struct event_limit *limit = limits.events;
	bool passes;

	clock_gettime(CLOCK_MONOTONIC, &now);
	pthread_mutex_lock(&limits.lock);
	while (limit < limits.events + EVENT_COUNT - 1 && limit->event[0] && strncmp(limit->event, event, sizeof(limit->event) - 1) != 0)
		limit++;
	if (!limit->event[0])
		snprintf(limit->event, sizeof(limit->event), "%s", event);
	if (limit->second != now.tv_sec) {
		limit->second = now.tv_sec;
		limit->lines = 0;
	}
	passes = limit->lines < LINES_PER_SECOND;
	*held = limit->held;
	if (passes) {
		limit->lines++;
		limit->held = 0;
	} else {
		limit->held++;
	}
	pthread_mutex_unlock(&limits.lock);
	return passes;
}

void log_event(enum log_level level, const char *event, const char *format, ...)
{
	struct line line = {.len = 0};
	unsigned long held;
	va_list args;

	if (level > logger.level || !event_passes(event, &held))
		return;
	put_head(&line, level, event);
	va_start(args, format);
	put_format(&line, format, &args);
	va_end(args);
	put_tail(&line, held);
	if (logger.json) {
		write_json(&line);
	} else {
		line.text[line.len++] = '\n';
		write_all(line.text, line.len);
	}
}
