/* Decimal numbers out of texts. Only digits count, with a '-' before them where the function says so:
 * no '+', no blanks, no exponent. Leading zeros are taken. A function that returns false changes
 * nothing. Callers that want a shorter text check its length. */
#ifndef FUNNEL_NUMBER_H
#define FUNNEL_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

/* Moves *text past the number: an optional '-' and digits, within int64_t. */
bool number_take(const char **text, int64_t *value);
/* Numbers with commas between them. */
bool number_take_list(const char **text, int64_t *values, size_t count);
/* The complete text is one number: an optional '-' and digits. */
bool number_parse(const char *text, int64_t *value);
bool number_parse_signed(struct span text, int64_t *value);

/* The complete text is one number from 0 to max, in digits alone. */
bool number_parse_span(struct span text, int64_t max, int64_t *value);
/* The complete text is one number in digits, or digits, a point and up to `places` digits. The value
 * counts units of the last place and is from 0 to max: "1.5" with 3 places is 1500. */
bool decimal_parse(struct span text, size_t places, int64_t max, int64_t *value);

/* Sum of two numbers that are not negative. A sum too large stays at the largest number, in whatever order it was
 * made: a few absurd prices, which are valid, must not turn everybody's total into one that no reader takes. */
static inline int64_t sum_capped(int64_t a, int64_t b)
{
	return a > INT64_MAX - b ? INT64_MAX : a + b;
}

#endif
