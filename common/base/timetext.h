/* Times and money as text. All times are UTC; microseconds since 1970-01-01. */
#ifndef FUNNEL_TIMETEXT_H
#define FUNNEL_TIMETEXT_H

#include <stdint.h>

#include "base/span.h"

#define US_PER_SECOND INT64_C(1000000)
#define US_PER_MINUTE (60 * US_PER_SECOND)
#define US_PER_HOUR   (60 * US_PER_MINUTE)
#define US_PER_DAY    (24 * US_PER_HOUR)

/* Accepts YYYY-MM-DD, ' ' or 'T', HH:MM:SS, an optional fraction of 1 to 6 digits, then
 * nothing, " UTC", "Z" or "+00:00". Years 1 to 9999; no leap second. */
bool time_parse(struct span text, int64_t *time_us);

/* "YYYY-MM-DD HH:MM:SS" and the fraction with trailing zeros cut where there is one (the
 * form event ids are made of). Returns the length; out needs 27 bytes and is terminated. */
size_t time_format_plain(int64_t time_us, char out[32]);
/* "YYYY-MM-DDTHH:MM:SS[.fraction]Z": the form used in keys and logs. */
size_t time_format_iso(int64_t time_us, char out[32]);

/* Floor to a multiple of unit_us, also below zero. */
static inline int64_t time_floor(int64_t time_us, int64_t unit_us)
{
	int64_t rest = time_us % unit_us;
	return time_us - (rest < 0 ? rest + unit_us : rest);
}

/* "12", "12.3", "12.34" to cents; refuses signs, exponents, more than two decimals and more
 * than 15 digits before the point. */
bool money_parse(struct span text, int64_t *cents);
/* "12.34"; returns the length. Takes negative values too. */
size_t money_format(int64_t cents, char out[32]);

/* Durations as people write them in settings: "250ms", "5s", "10m", "1h", "7d"; a bare
 * number is refused. */
bool duration_parse(struct span text, int64_t *duration_us);
size_t duration_format(int64_t duration_us, char out[32]);

#endif
