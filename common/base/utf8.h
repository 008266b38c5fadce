/* UTF-8 as Unicode defines it: no overlong forms, no surrogates, no character above U+10FFFF. */
#ifndef FUNNEL_UTF8_H
#define FUNNEL_UTF8_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

/* The offset of the first byte that does not belong to a well-formed character, or text.len. */
size_t utf8_valid_length(struct span text);
static inline bool utf8_is_valid(struct span text)
{
	return utf8_valid_length(text) == text.len;
}

#endif
