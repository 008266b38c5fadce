/* Bytes in base 64 (RFC 4648, section 4), with padding. */
#ifndef FUNNEL_BASE64_H
#define FUNNEL_BASE64_H

#include "base/buffer.h"
#include "base/span.h"

/* Appends the digits. No NUL. */
void base64_append(struct buffer *out, struct span bytes);

#endif
