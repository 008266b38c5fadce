/* Times, durations and money as text. Times are UTC, in microseconds since 1970-01-01. */
#ifndef FUNNEL_TIMETEXT_H
#define FUNNEL_TIMETEXT_H

#include <stdint.h>

#include "base/span.h"

#define US_PER_SECOND INT64_C(1000000)
#define US_PER_MINUTE (60 * US_PER_SECOND)
#define US_PER_HOUR   (60 * US_PER_MINUTE)
#define US_PER_DAY    (24 * US_PER_HOUR)

/* Parses YYYY-MM-DD, ' ' or 'T', HH:MM:SS, an optional fraction of 1 to 9 digits, and an optional
 * zone: UTC, GMT, Z, +hh, +hhmm or +hh:mm, with a blank before it or without. Letters may be lower
 * case; an offset may be negative; digits beyond microseconds are cut. The time is UTC, in the
 * years 1 to 9999; leap seconds are refused. */
bool time_parse(struct span text, int64_t *time_us);

/* "YYYY-MM-DD HH:MM:SS[.fraction]", the fraction without trailing zeros. Event ids are hashes of
 * this form. Returns the length; out is terminated. */
size_t time_format_plain(int64_t time_us, char out[32]);
/* "YYYY-MM-DDTHH:MM:SS[.fraction]Z", the form in keys and logs. Returns the length. */
size_t time_format_iso(int64_t time_us, char out[32]);

/* Rounds down to a multiple of unit_us, also for negative times. */
static inline int64_t time_floor(int64_t time_us, int64_t unit_us)
{
	int64_t rest = time_us % unit_us;
	return time_us - (rest < 0 ? rest + unit_us : rest);
}

/* Parses "12", "12.3" and "12.34" to cents. Refuses signs, exponents, more than two decimals and
 * more than 15 digits before the point. */
bool money_parse(struct span text, int64_t *cents);
/* "12.34" or "-12.34"; returns the length. */
size_t money_format(int64_t cents, char out[32]);

/* Durations of settings: "5us", "250ms", "5s", "10m", "1h", "7d". A number without a unit is
 * refused. Formatting takes the largest unit that divides the duration. */
bool duration_parse(struct span text, int64_t *duration_us);
size_t duration_format(int64_t duration_us, char out[32]);

#endif
