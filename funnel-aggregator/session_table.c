/* Open addressing with linear probing. The first slot of a key is its hash, scaled to the number of
 * slots. So that number need not be a power of two, and the table grows by half: large tables have
 * less unused memory than with doubling. A larger table has its entries in nearly the same order,
 * so growing reads and writes memory from start to end. */
#include "session_table.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/memory.h"

#define FIRST_SLOTS 8

void session_table_free(struct session_table *table)
{
	free(table->slots);
	*table = (struct session_table){0};
}

/* Never 0, because no session is UINT32_MAX. */
static inline uint64_t key_of(uint32_t accumulator, uint32_t session)
{
	return ((uint64_t)accumulator << 32 | session) + 1;
}

static inline uint32_t first_slot(const struct session_table *table, uint64_t key)
{
	return (uint32_t)((hash_u64(key) >> 32) * table->slot_count >> 32);
}

/* The slot that has the key, or the free one that is for it. The table must have slots. */
static inline struct session_slot *slot_of(const struct session_table *table, uint64_t key)
{
	uint32_t at = first_slot(table, key);

	while (table->slots[at].key && table->slots[at].key != key)
		if (++at == table->slot_count)
			at = 0;
	return &table->slots[at];
}

static void resize(struct session_table *table, uint32_t slot_count)
{
	struct session_table old = *table;

	table->slots = xzalloc(slot_count, sizeof(*table->slots));
	table->slot_count = slot_count;
	for (uint32_t i = 0; i < old.slot_count; i++)
		if (old.slots[i].key)
			*slot_of(table, old.slots[i].key) = old.slots[i];
	free(old.slots);
}

/* Entries that a table of this size takes: 3/4. */
static uint32_t room_of(uint32_t slot_count)
{
	return slot_count / 4 * 3;
}

static uint32_t next_size(uint32_t slot_count)
{
	return slot_count ? slot_count + slot_count / 2 : FIRST_SLOTS;
}

void session_table_reserve(struct session_table *table, uint32_t count)
{
	uint32_t slot_count = table->slot_count;

	while (room_of(slot_count) < count)
		slot_count = next_size(slot_count);
	if (slot_count > table->slot_count)
		resize(table, slot_count);
}

uint64_t *session_table_put(struct session_table *table, uint32_t accumulator, uint32_t session,
                            bool *added)
{
	uint64_t key = key_of(accumulator, session);
	struct session_slot *slot = table->slots ? slot_of(table, key) : NULL;

	*added = !slot || !slot->key;
	if (!*added)
		return &slot->entry;
	if (table->used == room_of(table->slot_count)) {
		resize(table, next_size(table->slot_count));
		slot = slot_of(table, key);
	}
	table->used++;
	*slot = (struct session_slot){.key = key};
	return &slot->entry;
}

void session_table_prefetch(const struct session_table *table, uint32_t accumulator,
                            uint32_t session)
{
	if (table->slots)
		__builtin_prefetch(&table->slots[first_slot(table, key_of(accumulator, session))],
		                   1);
}

size_t session_table_bytes(const struct session_table *table)
{
	return (size_t)table->slot_count * sizeof(*table->slots);
}
