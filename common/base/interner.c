/* Open addressing with linear probing, at most 3/4 full. Slots are not freed one by one: if the
 * table is full, old texts are removed and the table is built again.
 *
 * The bytes of the texts are in chunks, one after the other, so that a text takes no allocation of
 * its own. If texts were removed, the others are copied into new chunks. */
#include "base/interner.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/memory.h"

#define FIRST_SLOTS     64
#define CHUNK_BYTES     512 /* of the first one; the next ones double */
#define CHUNK_MAX_BYTES 65536

struct text_chunk {
	struct text_chunk *next; /* an older one */
	size_t used, size;
	char bytes[];
};

static void free_chunks(struct text_chunk *chunk)
{
	while (chunk) {
		struct text_chunk *next = chunk->next;

		free(chunk);
		chunk = next;
	}
}

static struct text_chunk *new_chunk(struct text_chunk *last, size_t room)
{
	size_t size = !last                               ? CHUNK_BYTES
	              : last->size * 2 <= CHUNK_MAX_BYTES ? last->size * 2
	                                                  : CHUNK_MAX_BYTES;
	struct text_chunk *chunk;

	size = room > size ? room : size;
	chunk = xrealloc(NULL, sizeof(*chunk) + size);
	*chunk = (struct text_chunk){.next = last, .size = size};
	return chunk;
}

static const char *keep_text(struct interner *interner, struct span text)
{
	struct text_chunk *chunk = interner->chunks;
	char *copy;

	if (!chunk || chunk->size - chunk->used < text.len)
		chunk = interner->chunks = new_chunk(chunk, text.len);
	copy = chunk->bytes + chunk->used;
	chunk->used += text.len;
	if (text.len)
		memcpy(copy, text.at, text.len);
	return copy;
}

static size_t slot_bytes(const struct interner *interner)
{
	return interner->slots ? ((size_t)interner->mask + 1) * sizeof(*interner->slots) : 0;
}

void interner_free(struct interner *interner)
{
	free_chunks(interner->chunks);
	table_free(interner->at, interner->capacity * sizeof(*interner->at));
	table_free(interner->slots, slot_bytes(interner));
	free(interner->unused);
	*interner = (struct interner){0};
}

void interner_clear(struct interner *interner)
{
	if (interner->chunks) { /* keeps the newest chunk */
		free_chunks(interner->chunks->next);
		interner->chunks->next = NULL;
		interner->chunks->used = 0;
	}
	if (interner->slots)
		memset(interner->slots, 0, slot_bytes(interner));
	interner->count = interner->live = interner->unused_count = 0;
}

static void insert(struct interner *interner, uint32_t number)
{
	uint32_t at = interner->at[number].hash & interner->mask;

	while (interner->slots[at])
		at = (at + 1) & interner->mask;
	interner->slots[at] = number + 1;
}

/* Copies the texts that are left, and frees the memory of the removed ones. */
static void move_texts(struct interner *interner)
{
	struct text_chunk *old = interner->chunks;

	interner->chunks = NULL;
	for (uint32_t i = 0; i < interner->count; i++)
		if (interner->at[i].at)
			interner->at[i].at = keep_text(interner, interner_text(interner, i));
	free_chunks(old);
}

static void sweep(struct interner *interner, int64_t keep_from_us)
{
	uint32_t before = interner->live;

	for (uint32_t i = 0; i < interner->count; i++) {
		if (!interner->at[i].at || interner->at[i].last_us >= keep_from_us)
			continue;
		interner->at[i].at = NULL;
		GROW(interner->unused, interner->unused_count, interner->unused_capacity);
		interner->unused[interner->unused_count++] = i;
		interner->live--;
	}
	if (interner->live < before)
		move_texts(interner);
}

/* Removes old texts. Doubles the table if it is still half full, so that sweeps stay rare. */
static void make_room(struct interner *interner, int64_t keep_from_us)
{
	uint32_t slot_count = interner->slots ? interner->mask + 1 : FIRST_SLOTS;

	sweep(interner, keep_from_us);
	if (interner->live >= slot_count / 2)
		slot_count *= 2;
	table_free(interner->slots, slot_bytes(interner));
	interner->slots = table_grow(NULL, 0, slot_count * sizeof(*interner->slots));
	interner->mask = slot_count - 1;
	for (uint32_t i = 0; i < interner->count; i++)
		if (interner->at[i].at)
			insert(interner, i);
}

static uint32_t add(struct interner *interner, struct span text, uint32_t hash, int64_t time_us)
{
	uint32_t number;

	if (interner->unused_count) {
		number = interner->unused[--interner->unused_count];
	} else {
		GROW_TABLE(interner->at, interner->count, interner->capacity);
		number = interner->count++;
	}
	interner->at[number] = (struct interned){keep_text(interner, text), (uint32_t)text.len,
	                                         hash, time_us, INTERNED_NONE};
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
	return interner->capacity * sizeof(*interner->at) + slot_bytes(interner) +
	       interner->unused_capacity * sizeof(*interner->unused);
}
