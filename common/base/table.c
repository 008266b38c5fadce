/* Linear probing with a strong mixer needs no tombstones as long as nothing is removed one by
 * one; the text table, which does forget, is swept and rebuilt when it would have to grow. */
#include "base/table.h"

#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"

#define FIRST_SLOTS 8 /* most tables of a visit stay this small */
#define FIRST_NAME_SLOTS 64

uint64_t table_key;

void index64_free(struct index64 *index)
{
	free(index->slots);
	*index = (struct index64){0};
}

static void index64_resize(struct index64 *index, uint32_t slot_count)
{
	struct index64 old = *index;

	index->slots = xzalloc(slot_count, sizeof(*index->slots));
	index->mask = slot_count - 1;
	for (uint32_t i = 0; old.slots && i <= old.mask; i++) {
		uint32_t at = (uint32_t)mix64(old.slots[i].key ^ table_key) & index->mask;

		if (!old.slots[i].taken)
			continue;
		while (index->slots[at].taken)
			at = (at + 1) & index->mask;
		index->slots[at] = old.slots[i];
	}
	free(old.slots);
}

uint32_t index64_put(struct index64 *index, uint64_t key, uint32_t fresh, bool *added)
{
	uint32_t at;

	if (!index->slots || index->used >= index->mask / 4 * 3)
		index64_resize(index, index->slots ? (index->mask + 1) * 2 : FIRST_SLOTS);
	at = (uint32_t)mix64(key ^ table_key) & index->mask;
	while (index->slots[at].taken && index->slots[at].key != key)
		at = (at + 1) & index->mask;
	*added = !index->slots[at].taken;
	if (*added) {
		index->slots[at] = (struct index64_slot){key, fresh, 1};
		index->used++;
	}
	return index->slots[at].value;
}

void names_free(struct names *names)
{
	for (uint32_t i = 0; i < names->count; i++)
		free((void *)(uintptr_t)names->at[i].at);
	free(names->at);
	free(names->slots);
	free(names->unused);
	*names = (struct names){0};
}

static void names_insert(struct names *names, uint32_t number)
{
	uint32_t at = names->at[number].hash & names->mask;

	while (names->slots[at])
		at = (at + 1) & names->mask;
	names->slots[at] = number + 1;
}

static void names_sweep(struct names *names, int64_t keep_from_us)
{
	for (uint32_t i = 0; i < names->count; i++) {
		if (!names->at[i].at || names->at[i].last_us >= keep_from_us)
			continue;
		free((void *)(uintptr_t)names->at[i].at);
		names->at[i].at = NULL;
		GROW(names->unused, names->unused_count, names->unused_capacity);
		names->unused[names->unused_count++] = i;
		names->live--;
	}
}

/* Sweeps; grows only if that left the table more than half full, so sweeps stay rare. */
static void names_make_room(struct names *names, int64_t keep_from_us)
{
	uint32_t slot_count = names->slots ? names->mask + 1 : FIRST_NAME_SLOTS;

	names_sweep(names, keep_from_us);
	if (names->live >= slot_count / 2)
		slot_count *= 2;
	free(names->slots);
	names->slots = xzalloc(slot_count, sizeof(*names->slots));
	names->mask = slot_count - 1;
	for (uint32_t i = 0; i < names->count; i++)
		if (names->at[i].at)
			names_insert(names, i);
}

static uint32_t names_add(struct names *names, struct span text, uint32_t hash, int64_t time_us)
{
	char *copy = xrealloc(NULL, text.len ? text.len : 1);
	uint32_t number;

	memcpy(copy, text.at, text.len);
	if (names->unused_count) {
		number = names->unused[--names->unused_count];
	} else {
		GROW(names->at, names->count, names->capacity);
		number = names->count++;
	}
	names->at[number] = (struct name){copy, (uint32_t)text.len, hash, time_us, NAME_NONE};
	names->live++;
	names_insert(names, number);
	return number;
}

uint32_t names_put(struct names *names, struct span text, int64_t time_us, int64_t keep_from_us)
{
	uint32_t hash = (uint32_t)XXH3_64bits_withSeed(text.at, text.len, table_key);

	if (!names->slots || names->live >= names->mask / 4 * 3)
		names_make_room(names, keep_from_us);
	for (uint32_t at = hash & names->mask; names->slots[at]; at = (at + 1) & names->mask) {
		struct name *name = &names->at[names->slots[at] - 1];

		if (name->hash != hash || name->len != text.len || memcmp(name->at, text.at, text.len) != 0)
			continue;
		if (time_us > name->last_us)
			name->last_us = time_us;
		return names->slots[at] - 1;
	}
	return names_add(names, text, hash, time_us);
}
