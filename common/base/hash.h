/* How tables in memory spread their keys. The hash decides where things lie in a table, and nothing
 * that can be seen from outside: it differs from one start of a service to the next. */
#ifndef FUNNEL_HASH_H
#define FUNNEL_HASH_H

#include <stdint.h>

/* Keys every hash, so that nobody can choose ids or texts that collide and make a table slow. A service sets it once,
 * before its first table; 0 in tests. The one global of the pure rooms: a parameter of every table would cost more
 * than it explains. */
extern uint64_t hash_key;

static inline uint64_t mix64(uint64_t x) /* the finaliser of splitmix64; not keyed */
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

#endif
