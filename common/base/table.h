/* Hash tables for the folds: 64-bit keys to small numbers, and texts to small numbers.
 *
 * Open addressing with linear probing, grown at 3/4 full. Nothing is ever removed from an
 * index: whole tables are dropped when their window closes. Memory exhaustion ends the process. */
#ifndef FUNNEL_TABLE_H
#define FUNNEL_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

static inline uint64_t mix64(uint64_t x) /* the finaliser of splitmix64 */
{
	x ^= x >> 30;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 27;
	x *= UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* Keys every hash, so that nobody can choose ids or texts that all fall into one place and make a table slow. It decides
 * where things lie in a table, and nothing that can be seen from outside. A service sets it once, before its first table; 0 in
 * tests. The one global of core: handing it to every table would cost more than it explains. */
extern uint64_t table_key;

/* u64 -> u32. Zero-initialised is empty and owns nothing. */
struct index64 {
	struct index64_slot {
		uint64_t key;
		uint32_t value;
		uint32_t taken;
	} *slots;
	uint32_t mask, used;
};
void index64_free(struct index64 *index);
/* The value of a key; a new key gets `fresh` and sets *added. */
uint32_t index64_put(struct index64 *index, uint64_t key, uint32_t fresh, bool *added);

/* Texts to numbers, with the newest event time each was used at, so that those that can
 * no longer matter are swept. Numbers stay the same for the life of a text. */
#define NAME_NONE UINT32_MAX
struct name {
	const char *at; /* owned */
	uint32_t len;
	uint32_t hash;
	int64_t last_us;
	uint32_t attached; /* free for the user, NAME_NONE at first */
};
struct names {
	struct name *at;
	uint32_t *slots; /* number + 1 */
	uint32_t *unused;
	uint32_t count, capacity, mask, live, unused_count, unused_capacity;
};
void names_free(struct names *names);
/* Number of a text, added if new. Texts last used before keep_from_us are swept when room is needed. */
uint32_t names_put(struct names *names, struct span text, int64_t time_us, int64_t keep_from_us);
static inline struct span names_text(const struct names *names, uint32_t number)
{
	return number == NAME_NONE ? SPAN_NULL : (struct span){names->at[number].at, names->at[number].len};
}

#endif
