/* A hash map from 64-bit keys to 32-bit numbers.
 *
 * Single entries cannot be removed; the owner clears or frees the map. Exhausted memory ends the
 * process. */
#ifndef FUNNEL_U64_MAP_H
#define FUNNEL_U64_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialised: empty, owns nothing. */
struct u64_map {
	struct u64_map_slot {
		uint64_t key;
		uint32_t value;
		uint32_t taken;
	} * slots; /* mask + 1 of them, or NULL */
	uint32_t mask, used;
};
void u64_map_free(struct u64_map *map);
/* Removes all entries. Keeps the memory, unless the map is far too big for what it held. */
void u64_map_clear(struct u64_map *map);
/* Makes room for a number of entries, so that the map need not grow while it has fewer. count: at
 * most 2^30. */
void u64_map_reserve(struct u64_map *map, uint32_t count);
/* The value of a key. A new key is added with the value `initial`, and *added is true. */
uint32_t u64_map_put(struct u64_map *map, uint64_t key, uint32_t initial, bool *added);
/* Allocated bytes. */
size_t u64_map_bytes(const struct u64_map *map);

#endif
