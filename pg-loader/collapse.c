/* Open addressing at most half full; FNV-1a, as keys are short and a batch is bounded (a flood of colliding keys costs
 * a bounded number of comparisons). Clearing only starts a new generation: an idle loader commits small batches
 * often, and should not wipe a table that was once grown for a big one. */
#include "collapse.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/memory.h"

#define SLOTS_MIN 1024

void collapse_free(struct collapse *collapse)
{
	buffer_free(&collapse->keys);
	free(collapse->slots);
	*collapse = (struct collapse){0};
}

void collapse_clear(struct collapse *collapse)
{
	collapse->keys.len = 0;
	collapse->used = 0;
	collapse->generation++;
	if (collapse->generation == 0) { /* wrapped: no stamp may look like a current one */
		for (uint32_t i = 0; collapse->slots && i <= collapse->mask; i++)
			collapse->slots[i].generation = 0;
		collapse->generation = 1;
	}
}

static uint64_t hash_bytes(struct span key)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < key.len; i++)
		hash = (hash ^ (unsigned char)key.at[i]) * UINT64_C(0x100000001b3);
	return mix64(hash);
}

static struct collapse_slot *find(struct collapse *collapse, uint64_t hash, struct span key)
{
	for (uint32_t i = (uint32_t)hash & collapse->mask;; i = (i + 1) & collapse->mask) {
		struct collapse_slot *slot = &collapse->slots[i];

		if (slot->generation != collapse->generation)
			return slot;
		if (slot->hash == hash && slot->len == key.len && memcmp(collapse->keys.at + slot->at, key.at, key.len) == 0)
			return slot;
	}
}

static void grow(struct collapse *collapse)
{
	struct collapse_slot *old = collapse->slots;
	uint32_t count = old ? collapse->mask + 1 : 0, wanted = old ? count * 2 : SLOTS_MIN;

	collapse->slots = xrealloc(NULL, wanted * sizeof(*old));
	memset(collapse->slots, 0, wanted * sizeof(*old));
	collapse->mask = wanted - 1;
	if (collapse->generation == 0)
		collapse->generation = 1;
	for (uint32_t i = 0; i < count; i++)
		if (old[i].generation == collapse->generation)
			*find(collapse, old[i].hash, (struct span){collapse->keys.at + old[i].at, old[i].len}) = old[i];
	free(old);
}

uint32_t *collapse_put(struct collapse *collapse, struct span key, uint32_t fresh, bool *added)
{
	uint64_t hash = hash_bytes(key);
	struct collapse_slot *slot;

	if (!collapse->slots || collapse->used > collapse->mask / 2)
		grow(collapse);
	slot = find(collapse, hash, key);
	*added = slot->generation != collapse->generation;
	if (*added) {
		*slot = (struct collapse_slot){hash, collapse->keys.len, (uint32_t)key.len, fresh, collapse->generation};
		buffer_append(&collapse->keys, key.at, key.len);
		collapse->used++;
	}
	return &slot->row;
}

bool collapse_supersedes(enum target later, int64_t earlier_order, int64_t later_order)
{
	switch (later) {
	case TARGET_AGGREGATES:
	case TARGET_COUNTS:
		return later_order > earlier_order;
	case TARGET_VISITS:
	case TARGET_VISIT_REMOVALS:
	case TARGET_EVENTS:
	case TARGET_LATE_EVENTS:
	case TARGET_DEAD_LETTERS:
	case TARGET_REDRIVEN:
	case TARGET_CONTROLS:
	case TARGET_COUNT:
		break;
	}
	return true;
}

int64_t collapse_order(int64_t revision, bool final)
{
	return (int64_t)((uint64_t)revision * 2 + final);
}
