/* HMAC-SHA256 (RFC 2104 with SHA-256): a signature that only the holders of a key can make. */
#ifndef FUNNEL_HMAC_H
#define FUNNEL_HMAC_H

#include "base/span.h"

#define HMAC_HEX_BYTES 65 /* with the NUL */

/* Writes the signature of the texts, one after the other, as lower-case hex, terminated. */
void hmac_sha256_hex(struct span key, const struct span *texts, size_t count,
                     char hex[HMAC_HEX_BYTES]);

#endif
