/* FNV-1a, 64 bits: the same number for the same bytes in every run; used for names. Hash tables use
 * base/hash.h. */
#ifndef FUNNEL_FNV_H
#define FUNNEL_FNV_H

#include <stddef.h>
#include <stdint.h>

#define FNV1A_START UINT64_C(0xcbf29ce484222325)

/* Adds bytes to a hash. Begin with FNV1A_START. */
static inline uint64_t fnv1a(uint64_t hash, const void *at, size_t len)
{
	const unsigned char *bytes = at;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

#endif
