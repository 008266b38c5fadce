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

/* The slot that has the key, or the free one that is for it. The map must have slots. */
static inline uint32_t slot_of(const struct u64_map *map, uint64_t key)
{
	uint32_t at = (uint32_t)hash_u64(key) & map->mask;

	while (map->slots[at].taken && map->slots[at].key != key)
		at = (at + 1) & map->mask;
	return at;
}

static void u64_map_resize(struct u64_map *map, uint32_t slot_count)
{
	struct u64_map old = *map;

	map->slots = xzalloc(slot_count, sizeof(*map->slots));
	map->mask = slot_count - 1;
	for (uint32_t i = 0; old.slots && i <= old.mask; i++)
		if (old.slots[i].taken)
			map->slots[slot_of(map, old.slots[i].key)] = old.slots[i];
	free(old.slots);
}

/* Entries that a table of this size takes: 3/4. */
static uint32_t room_of(uint32_t slot_count)
{
	return slot_count / 4 * 3;
}

void u64_map_reserve(struct u64_map *map, uint32_t count)
{
	uint32_t slot_count = FIRST_SLOTS;

	while (room_of(slot_count) < count)
		slot_count *= 2;
	if (!map->slots || slot_count > map->mask + 1)
		u64_map_resize(map, slot_count);
}

uint32_t u64_map_put(struct u64_map *map, uint64_t key, uint32_t initial, bool *added)
{
	uint32_t at;

	if (!map->slots)
		u64_map_resize(map, FIRST_SLOTS);
	at = slot_of(map, key);
	*added = !map->slots[at].taken;
	if (*added) {
		if (map->used >= room_of(map->mask + 1)) {
			u64_map_resize(map, (map->mask + 1) * 2);
			at = slot_of(map, key);
		}
		map->slots[at] = (struct u64_map_slot){key, initial, 1};
		map->used++;
	}
	return map->slots[at].value;
}

size_t u64_map_bytes(const struct u64_map *map)
{
	return map->slots ? ((size_t)map->mask + 1) * sizeof(*map->slots) : 0;
}
