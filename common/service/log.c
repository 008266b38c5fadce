/* Builds a line on the stack and writes it with one write(2), outside any lock.
 *
 * The two forms differ only in the separators and quotes; numbers and escapes are the same.
 * An escape or a character is added completely or not at all, so a cut line is still valid.
 * Limits: 64 event names, compared by their first 39 bytes; further ones share one rate limit. */
#include "service/log.h"

#include <inttypes.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/span.h"
#include "base/utf8.h"

#define LINE_CAP         8192
#define LINE_TAIL        96 /* reserved for a closing quote, cut, suppressed and the line end */
#define NUMBER_CAP       32 /* the longest number with its terminator */
#define LINES_PER_SECOND 20
#define EVENT_COUNT      64

struct line {
	char text[LINE_CAP];
	size_t len, cap;
	bool json, cut;
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
		unsigned long suppressed;
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

enum log_level log_level_of(const char *name)
{
	enum log_level level = LOG_ERROR;

	while (level < LOG_DEBUG && strcmp(level_name(level), name) != 0)
		level++;
	return level;
}

/* Appends all bytes or none. After a cut, none. */
static void put(struct line *line, const char *at, size_t len)
{
	if (line->cut || line->len + len > line->cap) {
		line->cut = true;
		return;
	}
	memcpy(line->text + line->len, at, len);
	line->len += len;
}

static bool is_control(char byte)
{
	return (unsigned char)byte < 0x20 || byte == 0x7f;
}

/* Length of the character at text, whose first `valid` bytes are UTF-8. */
static size_t character_len(const char *text, size_t valid)
{
	size_t len = 1;

	while (len < valid && ((unsigned char)text[len] & 0xc0) == 0x80)
		len++;
	return len;
}

static void put_character(struct line *line, const char *text, size_t valid)
{
	char escape[8];

	if (valid == 0 || (is_control(*text) && *text != '\n' && *text != '\t'))
		put(line, escape,
		    (size_t)snprintf(escape, sizeof(escape), "\\u%04x", (unsigned char)*text));
	else if (is_control(*text))
		put(line, *text == '\n' ? "\\n" : "\\t", 2);
	else if (*text == '"' || *text == '\\')
		put(line, *text == '"' ? "\\\"" : "\\\\", 2);
	else
		put(line, text, character_len(text, valid));
}

static void put_escaped(struct line *line, struct span text)
{
	size_t valid = utf8_valid_length(text);

	while (text.len > 0 && !line->cut) {
		size_t used = valid ? character_len(text.at, valid) : 1;

		put_character(line, text.at, valid);
		text.at += used;
		text.len -= used;
		valid = valid ? valid - used : utf8_valid_length(text);
	}
}

static bool is_plain(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (is_control(text.at[i]) || strchr(" \"\\=", text.at[i]))
			return false;
	return text.len > 0 && utf8_is_valid(text);
}

static void put_text(struct line *line, struct span text)
{
	if (!line->json && is_plain(text)) {
		put_escaped(line, text);
		return;
	}
	put(line, "\"", 1);
	put_escaped(line, text);
	line->text[line->len++] = '"'; /* also after a cut: LINE_TAIL is free */
}

static void put_value(struct line *line, struct log_field field)
{
	char number[NUMBER_CAP];

	switch (field.type) {
	case LOG_TEXT: put_text(line, span_of(field.value.text)); return;
	case LOG_INTEGER: snprintf(number, sizeof(number), "%" PRId64, field.value.integer); break;
	case LOG_UNSIGNED: snprintf(number, sizeof(number), "%" PRIu64, field.value.natural); break;
	case LOG_BOOLEAN:
		snprintf(number, sizeof(number), "%s", field.value.truth ? "true" : "false");
		break;
	case LOG_SECONDS:
	case LOG_PERCENT:
		snprintf(number, sizeof(number), "%.3f", (double)field.value.integer / 1e6);
		break;
	}
	put(line, number, strlen(number));
}

/* Leaves the field out if its key and a number do not fit; cuts a text. */
static void put_field(struct line *line, struct log_field field)
{
	size_t key_len = strlen(field.key);

	if (field.type == LOG_TEXT && !field.value.text)
		return;
	if (line->len + key_len + NUMBER_CAP > line->cap)
		line->cut = true;
	if (line->cut)
		return;
	if (line->json)
		put(line, line->len ? ",\"" : "{\"", 2);
	else if (line->len)
		put(line, " ", 1);
	put(line, field.key, key_len);
	put(line, line->json ? "\":" : "=", line->json ? 2 : 1);
	put_value(line, field);
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
	put_field(line, log_str("ts", ts));
	put_field(line, log_str("level", level_name(level)));
	put_field(line, log_str("service", logger.service));
	put_field(line, log_str("instance", logger.instance));
	put_field(line, log_str("event", event));
}

static void put_tail(struct line *line, unsigned long suppressed)
{
	bool was_cut = line->cut;

	line->cap = LINE_CAP;
	line->cut = false;
	if (was_cut)
		put_field(line, log_bool("cut", true));
	if (suppressed)
		put_field(line, log_uint("suppressed", suppressed));
	put(line, line->json ? "}\n" : "\n", line->json ? 2 : 1);
}

static void write_all(const char *at, size_t len)
{
	while (len > 0) {
		ssize_t done = write(STDERR_FILENO, at, len);

		if (done <= 0)
			return; /* nowhere to report this */
		at += done;
		len -= (size_t)done;
	}
}

/* False: suppress this line. *suppressed: lines suppressed since the last one that passed. */
static bool event_passes(const char *event, unsigned long *suppressed)
{
	struct timespec now;
	struct event_limit *limit = limits.events;
	bool passes;

	clock_gettime(CLOCK_MONOTONIC, &now);
	pthread_mutex_lock(&limits.lock);
	while (limit < limits.events + EVENT_COUNT - 1 && limit->event[0] &&
	       strncmp(limit->event, event, sizeof(limit->event) - 1) != 0)
		limit++;
	if (!limit->event[0])
		snprintf(limit->event, sizeof(limit->event), "%s", event);
	if (limit->second != now.tv_sec) {
		limit->second = now.tv_sec;
		limit->lines = 0;
	}
	passes = limit->lines < LINES_PER_SECOND;
	*suppressed = limit->suppressed;
	if (passes) {
		limit->lines++;
		limit->suppressed = 0;
	} else {
		limit->suppressed++;
	}
	pthread_mutex_unlock(&limits.lock);
	return passes;
}

void log_event(enum log_level level, const char *event, const struct log_field *fields)
{
	struct line line = {.len = 0};
	unsigned long suppressed;

	if (level > logger.level || !event_passes(event, &suppressed))
		return;
	line.cap = LINE_CAP - LINE_TAIL;
	line.json = logger.json;
	put_head(&line, level, event);
	for (; fields->key; fields++)
		put_field(&line, *fields);
	put_tail(&line, suppressed);
	write_all(line.text, line.len);
}
