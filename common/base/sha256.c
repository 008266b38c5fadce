#include "base/sha256.h"

#include <sys/types.h>

#include <sha2.h>
#include <stdio.h>

void sha256_of(const struct span *texts, size_t count, uint8_t digest[SHA256_BYTES])
{
	SHA2_CTX context;

	SHA256Init(&context);
	for (size_t i = 0; i < count; i++)
		SHA256Update(&context, (const uint8_t *)texts[i].at, texts[i].len);
	SHA256Final(digest, &context);
}

void write_hex(const uint8_t *bytes, size_t count, char *out)
{
	for (size_t i = 0; i < count; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}
