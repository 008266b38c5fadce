/* Open addressing with linear probing. The first slot of a key is its hash, scaled to the number of
 * slots. So that number need not be a power of two, and the table grows by half: large tables have
 * less unused memory than with doubling.
 *
 * A larger table has its entries in nearly the same order. So it grows in its own memory: the
 * entries move from the last one to the first, each to a place at or after its own. The few that
 * have no such place (near the start, and past the end) are put in afterwards.
 *
 * Rejected: 16 bytes per slot with accumulators of 32 bits, which took a third more memory. */
#include "session_table.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/memory.h"

#define FIRST_SLOTS 8
#define PART_BITS   (32 - SESSION_HIGH_BITS) /* of an accumulator; the others are its part */

static size_t slot_bytes(uint32_t slot_count)
{
	return slot_count * sizeof(struct session_slot);
}

static void part_free(struct session_part *part)
{
	table_free(part->slots, slot_bytes(part->slot_count));
}

void session_table_free(struct session_table *table)
{
	part_free(&table->first);
	for (uint32_t i = 0; i < table->other_count; i++)
		part_free(&table->others[i]);
	table_free(table->others, table->other_count * sizeof(*table->others));
	*table = (struct session_table){0};
}

/* A session and its accumulator in the part, as in a slot. */
struct key {
	uint32_t session, high;
};

static inline struct key key_of(uint32_t accumulator, uint32_t session)
{
	return (struct key){session + 1, accumulator << SESSION_HIGH_BITS};
}

static inline uint32_t first_slot(const struct session_part *part, struct key key)
{
	return (uint32_t)((hash_u64((uint64_t)key.high << 32 | key.session) >> 32) *
	                          part->slot_count >>
	                  32);
}

/* The slot that has the key, or the free one that is for it. The part must have slots. */
static inline struct session_slot *slot_of(const struct session_part *part, struct key key)
{
	uint32_t at = first_slot(part, key);

	while (part->slots[at].session && (part->slots[at].session != key.session ||
	                                   (part->slots[at].high & ~SESSION_HIGH_MASK) != key.high))
		if (++at == part->slot_count)
			at = 0;
	return &part->slots[at];
}

static struct key key_in(const struct session_slot *slot)
{
	return (struct key){slot->session, slot->high & ~SESSION_HIGH_MASK};
}

/* Moves the entry at `from` to a free slot at or after it. The slots after it already have their
 * entries. Returns false if the entry belongs before it, or to the start. */
static bool move_up(struct session_part *part, uint32_t from)
{
	struct session_slot slot = part->slots[from];
	uint32_t at = first_slot(part, key_in(&slot));

	if (at < from)
		return false;
	part->slots[from].session = 0;
	while (at < part->slot_count && part->slots[at].session)
		at++;
	if (at == part->slot_count) {
		part->slots[from].session = slot.session;
		return false;
	}
	part->slots[at] = slot;
	return true;
}

static void part_resize(struct session_part *part, uint32_t slot_count)
{
	struct session_slot *left = NULL;
	uint32_t left_count = 0, left_capacity = 0, from = part->slot_count;

	part->slots = table_grow(part->slots, slot_bytes(from), slot_bytes(slot_count));
	part->slot_count = slot_count;
	while (from-- > 0) {
		if (!part->slots[from].session || move_up(part, from))
			continue;
		GROW(left, left_count, left_capacity);
		left[left_count++] = part->slots[from];
		part->slots[from].session = 0;
	}
	for (uint32_t i = 0; i < left_count; i++)
		*slot_of(part, key_in(&left[i])) = left[i];
	free(left);
}

/* Entries that a part of this size takes: 3/4. */
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
	uint32_t slot_count = table->first.slot_count;

	while (room_of(slot_count) < count)
		slot_count = next_size(slot_count);
	if (slot_count > table->first.slot_count)
		part_resize(&table->first, slot_count);
}

static void add_parts(struct session_table *table, uint32_t count)
{
	if (count <= table->other_count)
		return;
	table->others = table_grow(table->others, table->other_count * sizeof(*table->others),
	                           count * sizeof(*table->others));
	table->other_count = count;
}

static struct session_slot *part_put(struct session_part *part, struct key key, bool *added)
{
	struct session_slot *slot = part->slots ? slot_of(part, key) : NULL;

	*added = !slot || !slot->session;
	if (!*added)
		return slot;
	if (part->used == room_of(part->slot_count)) {
		part_resize(part, next_size(part->slot_count));
		slot = slot_of(part, key);
	}
	part->used++;
	*slot = (struct session_slot){.session = key.session, .high = key.high};
	return slot;
}

struct session_slot *session_table_put(struct session_table *table, uint32_t accumulator,
                                       uint32_t session, bool *added)
{
	uint32_t number = accumulator >> PART_BITS;

	if (number == 0)
		return part_put(&table->first, key_of(accumulator, session), added);
	add_parts(table, number);
	return part_put(&table->others[number - 1], key_of(accumulator, session), added);
}

void session_table_prefetch(const struct session_table *table, uint32_t accumulator,
                            uint32_t session)
{
	uint32_t number = accumulator >> PART_BITS;
	const struct session_part *part = number == 0 ? &table->first
	                                  : number <= table->other_count
	                                          ? &table->others[number - 1]
	                                          : NULL;

	if (part && part->slots)
		__builtin_prefetch(&part->slots[first_slot(part, key_of(accumulator, session))], 1);
}

size_t session_table_count(const struct session_table *table)
{
	size_t count = table->first.used;

	for (uint32_t i = 0; i < table->other_count; i++)
		count += table->others[i].used;
	return count;
}

size_t session_table_bytes(const struct session_table *table)
{
	size_t bytes =
		slot_bytes(table->first.slot_count) + table->other_count * sizeof(*table->others);

	for (uint32_t i = 0; i < table->other_count; i++)
		bytes += slot_bytes(table->others[i].slot_count);
	return bytes;
}
