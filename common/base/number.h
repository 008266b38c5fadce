/* Parses decimal numbers. A number has only digits, and a '-' before them where the function allows
 * it: no '+', blanks or exponent. Leading zeros are allowed, so a caller that limits the length of
 * a text checks it. A function that returns false changes nothing. */
#ifndef FUNNEL_NUMBER_H
#define FUNNEL_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

/* Takes an optional '-' and digits, within int64_t. Moves *text past them. */
bool number_take(const char **text, int64_t *value);
/* Takes `count` such numbers with commas between them. */
bool number_take_list(const char **text, int64_t *values, size_t count);
/* The complete text is one number: an optional '-' and digits, within int64_t. */
bool number_parse(const char *text, int64_t *value);
bool number_parse_signed(struct span text, int64_t *value);

/* The complete text is one number of digits, from 0 to max. */
bool number_parse_span(struct span text, int64_t max, int64_t *value);
/* The complete text is digits, or digits, a point and 1 to `places` digits. The value is in units
 * of the last place, from 0 to max: "1.5" with 3 places is 1500. */
bool decimal_parse(struct span text, size_t places, int64_t max, int64_t *value);

/* The sum of two numbers that are not negative, or INT64_MAX if it is too large. The order of
 * additions does not matter. A few absurd prices are valid, and must not make a total overflow to a
 * value that readers refuse. */
static inline int64_t sum_capped(int64_t a, int64_t b)
{
	return a > INT64_MAX - b ? INT64_MAX : a + b;
}

#endif
