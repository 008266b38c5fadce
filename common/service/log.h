/* Writes one line per event to stderr: key=value, or JSON.
 *
 *   log_warn("retrying", log_str("error", err->message), log_int("pause_ms", pause_ms));
 *   log_info("opened");
 *
 *   ts=2026-01-01T00:00:00.000Z level=warn service=bronze-sink instance=a event=retrying
 *   error="no leader" pause_ms=500
 *
 *   {"ts":"2026-01-01T00:00:00.000Z","level":"warn","service":"bronze-sink","instance":"a",
 *   "event":"retrying","error":"no leader","pause_ms":500}               (each on one line)
 *
 * A field has a type, so a key has the same JSON type in every line: a text is a string even if
 * it looks like a number. The settings in the start line follow the types of config.h: numbers
 * for CONFIG_INTEGER, true and false for CONFIG_BOOLEAN, strings for all others (a duration is
 * "5s").
 *
 * Fields keep their order. Keys and texts are borrowed until the line is written. Keys are of
 * letters, digits and _. The text of an error has the key error; any other sentence has the key
 * detail.
 *
 * Both forms escape control bytes, quotes and backslashes as JSON does. Bytes that are not UTF-8
 * become \u00XX. In key=value a text stands in quotes if it is empty or contains a space, an = or
 * a byte that is escaped.
 *
 * A line has at most 8 KiB. A longer one is cut within a text or before a field, and ends with
 * cut=true. Each event is limited to 20 lines a second; the next line that passes has
 * suppressed=N. Do not log per record, and never payloads or secrets. Thread-safe after
 * log_init. */
#ifndef FUNNEL_LOG_H
#define FUNNEL_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
/* name: a value of LOG_LEVEL. */
enum log_level log_level_of(const char *name);

enum log_type {
	LOG_TEXT,
	LOG_INTEGER,
	LOG_UNSIGNED,
	LOG_BOOLEAN,
	LOG_SECONDS, /* microseconds, written as seconds with three decimals */
	LOG_PERCENT, /* millionths of a percent, written as percent with three decimals */
};

struct log_field {
	const char *key; /* NULL: the end of an array of fields */
	enum log_type type;
	union {
		const char *text; /* NULL: the field is left out */
		int64_t integer;
		uint64_t natural;
		bool truth;
	} value;
};

/* Texts are copied. */
void log_init(const char *service, const char *instance, enum log_level level, bool json);

/* fields: ended by LOG_END. */
void log_event(enum log_level level, const char *event, const struct log_field *fields);

/* (EVENT [, FIELD]...) */
#define log_error(...) LOG_EVENT(LOG_ERROR, __VA_ARGS__, LOG_END)
#define log_warn(...)  LOG_EVENT(LOG_WARN, __VA_ARGS__, LOG_END)
#define log_info(...)  LOG_EVENT(LOG_INFO, __VA_ARGS__, LOG_END)
#define log_debug(...) LOG_EVENT(LOG_DEBUG, __VA_ARGS__, LOG_END)

#define LOG_END ((struct log_field){0})
#define LOG_EVENT(level, event, ...) \
	log_event(level, event, (const struct log_field[]){__VA_ARGS__})

static inline struct log_field log_str(const char *key, const char *text)
{
	return (struct log_field){key, LOG_TEXT, {.text = text}};
}

static inline struct log_field log_int(const char *key, int64_t integer)
{
	return (struct log_field){key, LOG_INTEGER, {.integer = integer}};
}

static inline struct log_field log_uint(const char *key, uint64_t natural)
{
	return (struct log_field){key, LOG_UNSIGNED, {.natural = natural}};
}

static inline struct log_field log_bool(const char *key, bool truth)
{
	return (struct log_field){key, LOG_BOOLEAN, {.truth = truth}};
}

static inline struct log_field log_seconds(const char *key, int64_t us)
{
	return (struct log_field){key, LOG_SECONDS, {.integer = us}};
}

/* The share of part in whole; 0 if whole is 0. */
static inline struct log_field log_percent(const char *key, int64_t part, int64_t whole)
{
	double share = whole > 0 ? (double)part / (double)whole : 0;

	return (struct log_field){key, LOG_PERCENT, {.integer = (int64_t)(share * 1e8)}};
}

/* Two fields: topic and partition. */
#define log_partition(topic, partition) log_str("topic", topic), log_int("partition", partition)

#endif
