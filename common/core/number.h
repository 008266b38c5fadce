/* Decimal integers out of restore metadata: taken from the front of a text, within their range, or not at all. */
#ifndef FUNNEL_NUMBER_H
#define FUNNEL_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Moves *text behind the number: an optional '-' and digits. False: there is none, or it does not fit; *text stays. */
bool number_take(const char **text, int64_t *value);
/* Numbers with commas between them. */
bool number_take_list(const char **text, int64_t *values, size_t count);
/* The whole text is one number. */
bool number_parse(const char *text, int64_t *value);

#endif
