/* HMAC-SHA256 (RFC 2104 with SHA-256): a signature that only the holders of a key can make. */
#ifndef FUNNEL_HMAC_H
#define FUNNEL_HMAC_H

#include <stdint.h>

#include "base/sha256.h"
#include "base/span.h"

#define HMAC_HEX_BYTES 65 /* with the NUL */

/* The signature of the texts, one after the other. */
void hmac_sha256(struct span key, const struct span *texts, size_t count,
                 uint8_t digest[SHA256_BYTES]);
/* The same as lower-case hex, terminated. */
void hmac_sha256_hex(struct span key, const struct span *texts, size_t count,
                     char hex[HMAC_HEX_BYTES]);

#endif
