/* H(key ^ opad | H(key ^ ipad | text)); a key longer than a block is replaced by its hash. */
#include "base/hmac.h"

#include <sys/types.h>

#include <sha2.h>

#define BLOCK 64

static void padded(struct span key, uint8_t pad, uint8_t block[BLOCK])
{
	uint8_t digest[SHA256_BYTES];

	if (key.len > BLOCK) {
		sha256_of(&key, 1, digest);
		key = (struct span){(const char *)digest, sizeof(digest)};
	}
	for (size_t i = 0; i < BLOCK; i++)
		block[i] = (uint8_t)((i < key.len ? (uint8_t)key.at[i] : 0) ^ pad);
}

static void digest_of(const uint8_t block[BLOCK], const struct span *texts, size_t count,
                      uint8_t digest[SHA256_BYTES])
{
	SHA2_CTX context;

	SHA256Init(&context);
	SHA256Update(&context, block, BLOCK);
	for (size_t i = 0; i < count; i++)
		SHA256Update(&context, (const uint8_t *)texts[i].at, texts[i].len);
	SHA256Final(digest, &context);
}

void hmac_sha256(struct span key, const struct span *texts, size_t count,
                 uint8_t digest[SHA256_BYTES])
{
	struct span inner = {(const char *)digest, SHA256_BYTES};
	uint8_t block[BLOCK];

	padded(key, 0x36, block);
	digest_of(block, texts, count, digest);
	padded(key, 0x5c, block);
	digest_of(block, &inner, 1, digest);
}

void hmac_sha256_hex(struct span key, const struct span *texts, size_t count,
                     char hex[HMAC_HEX_BYTES])
{
	uint8_t digest[SHA256_BYTES];

	hmac_sha256(key, texts, count, digest);
	write_hex(digest, sizeof(digest), hex);
}
