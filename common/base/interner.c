/* Open addressing with linear probing, at most 3/4 full. Slots are not freed one by one: if the
 * table is full, old texts are removed and the table is built again. */
#include "base/interner.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/memory.h"

#define FIRST_SLOTS 64

static void free_texts(struct interner *interner)
{
	for (uint32_t i = 0; i < interner->count; i++)
		free((void *)(uintptr_t)interner->at[i].at);
}

void interner_free(struct interner *interner)
{
	free_texts(interner);
	free(interner->at);
	free(interner->slots);
	free(interner->unused);
	*interner = (struct interner){0};
}

void interner_clear(struct interner *interner)
{
	free_texts(interner);
	if (interner->slots)
		memset(interner->slots, 0, ((size_t)interner->mask + 1) * sizeof(*interner->slots));
	interner->count = interner->live = interner->unused_count = 0;
}

static void insert(struct interner *interner, uint32_t number)
{
	uint32_t at = interner->at[number].hash & interner->mask;

	while (interner->slots[at])
		at = (at + 1) & interner->mask;
	interner->slots[at] = number + 1;
}

static void sweep(struct interner *interner, int64_t keep_from_us)
{
	for (uint32_t i = 0; i < interner->count; i++) {
		if (!interner->at[i].at || interner->at[i].last_us >= keep_from_us)
			continue;
		free((void *)(uintptr_t)interner->at[i].at);
		interner->at[i].at = NULL;
		GROW(interner->unused, interner->unused_count, interner->unused_capacity);
		interner->unused[interner->unused_count++] = i;
		interner->live--;
	}
}

/* Removes old texts. Doubles the table if it is still half full, so that sweeps stay rare. */
static void make_room(struct interner *interner, int64_t keep_from_us)
{
	uint32_t slot_count = interner->slots ? interner->mask + 1 : FIRST_SLOTS;

	sweep(interner, keep_from_us);
	if (interner->live >= slot_count / 2)
		slot_count *= 2;
	free(interner->slots);
	interner->slots = xzalloc(slot_count, sizeof(*interner->slots));
	interner->mask = slot_count - 1;
	for (uint32_t i = 0; i < interner->count; i++)
		if (interner->at[i].at)
			insert(interner, i);
}

static uint32_t add(struct interner *interner, struct span text, uint32_t hash, int64_t time_us)
{
	char *copy = xrealloc(NULL, text.len ? text.len : 1);
	uint32_t number;

	memcpy(copy, text.at, text.len);
	if (interner->unused_count) {
		number = interner->unused[--interner->unused_count];
	} else {
		GROW(interner->at, interner->count, interner->capacity);
		number = interner->count++;
	}
	interner->at[number] =
		(struct interned){copy, (uint32_t)text.len, hash, time_us, INTERNED_NONE};
	interner->live++;
	insert(interner, number);
	return number;
}

/* The table must have slots. */
static inline uint32_t find(const struct interner *interner, struct span text, uint32_t hash)
{
	for (uint32_t at = hash & interner->mask; interner->slots[at];
	     at = (at + 1) & interner->mask) {
		uint32_t number = interner->slots[at] - 1;
		const struct interned *known = &interner->at[number];

		if (known->hash == hash && known->len == text.len &&
		    memcmp(known->at, text.at, text.len) == 0)
			return number;
	}
	return INTERNED_NONE;
}

uint32_t interner_find(const struct interner *interner, struct span text)
{
	return interner->slots ? find(interner, text, (uint32_t)hash_text(text)) : INTERNED_NONE;
}

uint32_t interner_put(struct interner *interner, struct span text, int64_t time_us,
                      int64_t keep_from_us)
{
	uint32_t hash = (uint32_t)hash_text(text), number;

	if (!interner->slots || interner->live >= interner->mask / 4 * 3)
		make_room(interner, keep_from_us);
	number = find(interner, text, hash);
	if (number == INTERNED_NONE)
		return add(interner, text, hash, time_us);
	if (time_us > interner->at[number].last_us)
		interner->at[number].last_us = time_us;
	return number;
}

size_t interner_bytes(const struct interner *interner)
{
	return interner->capacity * sizeof(*interner->at) +
	       (interner->slots ? ((size_t)interner->mask + 1) * sizeof(*interner->slots) : 0) +
	       interner->unused_capacity * sizeof(*interner->unused);
}
