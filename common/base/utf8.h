/* UTF-8 as Unicode defines it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef FUNNEL_UTF8_H
#define FUNNEL_UTF8_H

#include <stddef.h>

#include "base/span.h"

/* Offset of the first byte that is not part of a well-formed character; text.len when all are. */
size_t utf8_valid_length(struct span text);

#endif
