/* MurmurHash2, 32 bit, as org.apache.kafka.common.utils.Utils.murmur2 computes it: four bytes at a
 * time, little-endian on every machine, then the rest. A null key has the hash of an empty one. */
#include "wire/partitioner.h"

#define MURMUR2_SEED UINT32_C(0x9747b28c)
#define MURMUR2_M    UINT32_C(0x5bd1e995)
#define MURMUR2_R    24

static inline uint32_t byte_at(struct span key, size_t i)
{
	return (unsigned char)key.at[i];
}

uint32_t murmur2(struct span key)
{
	uint32_t hash = MURMUR2_SEED ^ (uint32_t)key.len;
	size_t i = 0, tail = key.len & 3;

	for (; i + 4 <= key.len; i += 4) {
		uint32_t k = byte_at(key, i) | byte_at(key, i + 1) << 8 |
		             byte_at(key, i + 2) << 16 | byte_at(key, i + 3) << 24;

		k *= MURMUR2_M;
		k ^= k >> MURMUR2_R;
		k *= MURMUR2_M;
		hash = (hash * MURMUR2_M) ^ k;
	}
	if (tail == 3)
		hash ^= byte_at(key, i + 2) << 16;
	if (tail >= 2)
		hash ^= byte_at(key, i + 1) << 8;
	if (tail >= 1)
		hash = (hash ^ byte_at(key, i)) * MURMUR2_M;
	hash ^= hash >> 13;
	hash *= MURMUR2_M;
	return hash ^ hash >> 15;
}

int32_t partition_of(struct span key, int32_t partition_count)
{
	return (int32_t)(murmur2(key) & UINT32_C(0x7fffffff)) % partition_count;
}
