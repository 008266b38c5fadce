/* Values as sources write them: times, integers, and words that mean "no value". The producer and
 * bronze-sink read them with the same functions, so that both compute the same key. */
#ifndef FUNNEL_EVENT_VALUES_H
#define FUNNEL_EVENT_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

/* ---- times */

/* Reads an event time, as UTC in microseconds since 1970: a text that time_parse takes, or an epoch
 * with 10 digits before the point (seconds), 13 (milliseconds), 16 (microseconds) or 19
 * (nanoseconds). Digits beyond microseconds are cut. The years are 2000 to 9999. False: *time_us is
 * unchanged. */
bool event_time_read(struct span text, int64_t *time_us);
/* The same for an epoch that is a JSON number. A real is rounded to the microsecond. */
bool event_time_of_integer(int64_t epoch, int64_t *time_us);
bool event_time_of_real(double epoch, int64_t *time_us);
/* Why event_time_read refuses the text, such as "no seconds". */
const char *event_time_refusal(struct span text);

/* ---- integers */

/* Reads an integer, also one that was written as a float without loss: "512742880",
 * "512742880.0", "5.1274288E8". With an exponent, it must be below 2^53, and must not look rounded:
 * "5.12743e+08" is how C and spreadsheets write any number near it. False: *value is unchanged. */
bool event_integer_read(struct span text, int64_t *value);
/* The same for a JSON number with a point or an exponent: its absolute value is below 2^53. */
bool event_integer_of_real(double number, int64_t *value);

/* ---- words that mean "no value" */

#define NULL_WORDS_DEFAULT  "nan,NaN,None,null,NULL,undefined,\\N,N/A"
#define NULL_WORDS_MAX      32
#define NULL_WORD_BYTES_MAX 31

struct null_words {
	struct span at[NULL_WORDS_MAX]; /* borrow from the list */
	size_t count;
	bool has_integers;   /* a word is an integer, such as -1 */
	uint32_t lengths;    /* bit n: a word has n bytes */
	uint8_t starts[256]; /* 1: a word begins with this byte */
};

/* Reads words with commas between them; case matters, blanks around a word do not. ERR_INPUT: the
 * message says what was expected. *words borrows from list. */
MUST_USE bool null_words_read(const char *list, struct null_words *words, struct err *err);
/* For the check of a setting. */
bool null_words_check(const char *list, struct err *err);
bool null_words_find(const struct null_words *words, struct span text);

static inline bool null_words_has(const struct null_words *words, struct span text)
{
	return text.len > 0 && text.len <= NULL_WORD_BYTES_MAX &&
	       (words->lengths >> text.len & 1) && words->starts[(unsigned char)text.at[0]] &&
	       null_words_find(words, text);
}

#endif
