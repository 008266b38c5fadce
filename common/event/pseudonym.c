/* The first 20 hexadecimal digits of the SHA-256 of salt, kind, a colon and the id. */
#include "event/pseudonym.h"

#include <sys/types.h>

#include <sha2.h>
#include <stdint.h>
#include <stdio.h>

void pseudonym(const char *salt, const char *kind, struct span id, char out[PSEUDONYM_MAX])
{
	const struct span texts[] = {span_of(salt), span_of(kind), SPAN(":"), id};
	uint8_t digest[SHA256_DIGEST_LENGTH];
	SHA2_CTX context;

	SHA256Init(&context);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		SHA256Update(&context, (const uint8_t *)texts[i].at, texts[i].len);
	SHA256Final(digest, &context);
	for (size_t i = 0; i < PSEUDONYM_MAX / 2; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
}
