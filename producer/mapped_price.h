/* Prices with a decimal comma, as spreadsheets of many countries write them. Pure. */
#ifndef FUNNEL_MAPPED_PRICE_H
#define FUNNEL_MAPPED_PRICE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

#define MAPPED_PRICE_MAX 64

/* Reads "12,99", "1.299,00", "1 299,00" or "1.299", and writes it with a decimal point and without
 * separators: "12.99", "1299.00", "1299.00" or "1299". A separator is a point, a blank or U+00A0:
 * the same one before each group of three digits, and the first group does not begin with 0. False:
 * the text does not have this form, or is too long. */
bool mapped_price_read(struct span text, char out[MAPPED_PRICE_MAX], size_t *len);

#endif
