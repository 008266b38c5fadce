/* SHA-256 of several texts, one after the other, and bytes as hexadecimal digits. */
#ifndef FUNNEL_SHA256_H
#define FUNNEL_SHA256_H

#include <stdint.h>

#include "base/span.h"

#define SHA256_BYTES 32

void sha256_of(const struct span *texts, size_t count, uint8_t digest[SHA256_BYTES]);

/* Writes 2 * count lower-case digits and a NUL. */
void write_hex(const uint8_t *bytes, size_t count, char *out);

#endif
