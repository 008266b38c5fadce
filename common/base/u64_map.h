/* A hash map from 64-bit keys to small numbers, for the folds.
 *
 * Nothing is removed one by one: a map is dropped when its window closes. Memory exhaustion ends the process. */
#ifndef FUNNEL_U64_MAP_H
#define FUNNEL_U64_MAP_H

#include <stdbool.h>
#include <stdint.h>

/* Zero-initialised is empty and owns nothing. */
struct u64_map {
	struct u64_map_slot {
		uint64_t key;
		uint32_t value;
		uint32_t taken;
	} * slots; /* mask + 1, or NULL */
	uint32_t mask, used;
};
void u64_map_free(struct u64_map *map);
/* The value of a key; a new key gets `fresh` and sets *added. */
uint32_t u64_map_put(struct u64_map *map, uint64_t key, uint32_t fresh, bool *added);

#endif
