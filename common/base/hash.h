/* The hash of the tables in memory. It differs from one start of a service to the next. So it may
 * only decide where an entry stands in a table, and never an output. */
#ifndef FUNNEL_HASH_H
#define FUNNEL_HASH_H

#include <stdint.h>

#include "base/span.h"

/* The key of every hash, so that nobody can choose ids or texts that collide and make a table slow.
 * A service sets it once, before its first table; it is 0 in tests. It is the only global variable
 * of the pure rooms. Rejected: a parameter of every table, which makes each call longer and no
 * clearer. */
extern uint64_t hash_key;

/* The finaliser of splitmix64, without the key. */
static inline uint64_t mix64(uint64_t x)
{
	x ^= x >> 30;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 27;
	x *= UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static inline uint64_t hash_u64(uint64_t value)
{
	return mix64(value ^ hash_key);
}

uint64_t hash_text(struct span text);

#endif
