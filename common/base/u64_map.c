/* Open addressing with linear probing; the table doubles when it is 3/4 full. There are no
 * removals, so there are no tombstones. */
#include "base/u64_map.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"

#define FIRST_SLOTS 8 /* enough for most maps of a visit */
#define KEPT_SLOTS  1024

void u64_map_free(struct u64_map *map)
{
	free(map->slots);
	*map = (struct u64_map){0};
}

void u64_map_clear(struct u64_map *map)
{
	/* A clear takes time for every slot, also if few are taken. */
	if (map->slots && map->mask >= KEPT_SLOTS && map->used < map->mask / 32) {
		u64_map_free(map);
		return;
	}
	if (map->slots)
		memset(map->slots, 0, ((size_t)map->mask + 1) * sizeof(*map->slots));
	map->used = 0;
}

static void u64_map_resize(struct u64_map *map, uint32_t slot_count)
{
	struct u64_map old = *map;

	map->slots = xzalloc(slot_count, sizeof(*map->slots));
	map->mask = slot_count - 1;
	for (uint32_t i = 0; old.slots && i <= old.mask; i++) {
		uint32_t at = (uint32_t)hash_u64(old.slots[i].key) & map->mask;

		if (!old.slots[i].taken)
			continue;
		while (map->slots[at].taken)
			at = (at + 1) & map->mask;
		map->slots[at] = old.slots[i];
	}
	free(old.slots);
}

uint32_t u64_map_put(struct u64_map *map, uint64_t key, uint32_t initial, bool *added)
{
	uint32_t at;

	if (!map->slots || map->used >= map->mask / 4 * 3)
		u64_map_resize(map, map->slots ? (map->mask + 1) * 2 : FIRST_SLOTS);
	at = (uint32_t)hash_u64(key) & map->mask;
	while (map->slots[at].taken && map->slots[at].key != key)
		at = (at + 1) & map->mask;
	*added = !map->slots[at].taken;
	if (*added) {
		map->slots[at] = (struct u64_map_slot){key, initial, 1};
		map->used++;
	}
	return map->slots[at].value;
}

void u64_map_prefetch(const struct u64_map *map, uint64_t key)
{
	if (map->slots)
		__builtin_prefetch(&map->slots[(uint32_t)hash_u64(key) & map->mask], 1);
}

size_t u64_map_bytes(const struct u64_map *map)
{
	return map->slots ? ((size_t)map->mask + 1) * sizeof(*map->slots) : 0;
}
