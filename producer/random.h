/* Seeded random numbers, the same on every machine: splitmix64 fills the state, xoshiro256** draws
 * (Blackman and Vigna, 2018). All draws below use integer arithmetic. Not for secrets. */
#ifndef FUNNEL_RANDOM_H
#define FUNNEL_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct random {
	uint64_t s[4];
};

static inline uint64_t random_splitmix64(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static inline void random_init(struct random *random, uint64_t seed)
{
	for (size_t i = 0; i < 4; i++)
		random->s[i] = random_splitmix64(&seed);
}

static inline uint64_t random_rotate(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

static inline uint64_t random_next(struct random *random)
{
	uint64_t *s = random->s, result = random_rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = random_rotate(s[3], 45);
	return result;
}

/* 0 to limit - 1; limit: at most 2^32. The multiplication has a bias below 2^-32, which does not
 * matter here. */
static inline uint32_t random_below(struct random *random, uint64_t limit)
{
	return (uint32_t)(((random_next(random) >> 32) * limit) >> 32);
}

/* True with a probability of parts in a million. */
static inline bool random_chance(struct random *random, int64_t parts_per_million)
{
	return parts_per_million > 0 && (int64_t)random_below(random, 1000000) < parts_per_million;
}

/* A value of a distribution given by its quantiles (ascending, equally spaced), with straight lines
 * between them. */
static inline int64_t random_quantile(struct random *random, const int32_t *quantiles, size_t count)
{
	uint64_t u = (random_next(random) >> 32) * (count - 1);
	size_t i = (size_t)(u >> 32);
	int64_t fraction = (int64_t)(u & UINT32_MAX);

	return quantiles[i] + (((quantiles[i + 1] - quantiles[i]) * fraction) >> 32);
}

#endif
