/* Decimal integers out of restore metadata: taken from the front of a text, within their range, or not at all. */
#ifndef FUNNEL_NUMBER_H
#define FUNNEL_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

/* Moves *text behind the number: an optional '-' and digits. False: there is none, or it does not fit; *text stays. */
bool number_take(const char **text, int64_t *value);
/* Numbers with commas between them. */
bool number_take_list(const char **text, int64_t *values, size_t count);
/* The whole text is one number. */
bool number_parse(const char *text, int64_t *value);

/* The whole text is one number from 0 to max, in digits alone. */
bool number_parse_span(struct span text, int64_t max, int64_t *value);

/* Sum of two numbers that are not negative. A sum too large stays at the largest number, in whatever order it was
 * made: a few absurd prices, which are valid, must not turn everybody's total into one that no reader takes. */
static inline int64_t sum_capped(int64_t a, int64_t b)
{
	return a > INT64_MAX - b ? INT64_MAX : a + b;
}

#endif
