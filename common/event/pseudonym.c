/* The first 20 hexadecimal digits of the SHA-256 of salt, kind, a colon and the id. */
#include "event/pseudonym.h"

#include "base/sha256.h"

void pseudonym(const char *salt, const char *kind, struct span id, char out[PSEUDONYM_MAX])
{
	const struct span texts[] = {span_of(salt), span_of(kind), SPAN(":"), id};
	uint8_t digest[SHA256_BYTES];

	sha256_of(texts, sizeof(texts) / sizeof(*texts), digest);
	write_hex(digest, PSEUDONYM_MAX / 2, out);
}
