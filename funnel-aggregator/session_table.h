/* The session entries of one window: a hash table from an accumulator and a session to an entry,
 * whose meaning is the owner's. 12 bytes per slot; at least a quarter of the slots is free.
 *
 * Single entries cannot be removed. Exhausted memory ends the process. */
#ifndef FUNNEL_SESSION_TABLE_H
#define FUNNEL_SESSION_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_ENTRY_BITS 50

/* A session of an accumulator. Its accumulator takes the bits that the entry leaves free. */
struct session_slot {
	uint32_t session; /* + 1; 0: free */
	uint32_t high;    /* accumulator of the part, then the high bits of the entry */
	uint32_t low;     /* of the entry */
};
#define SESSION_HIGH_BITS (SESSION_ENTRY_BITS - 32)
#define SESSION_HIGH_MASK ((UINT32_C(1) << SESSION_HIGH_BITS) - 1)

/* Zero-initialised: empty, owns nothing. */
struct session_table {
	/* Each part has the accumulators of a range of 2^(32 - SESSION_HIGH_BITS) numbers. Most
	 * windows have only the first one. */
	struct session_part {
		struct session_slot *slots; /* slot_count of them, or NULL */
		uint32_t slot_count, used;
	} first, *others;
	uint32_t other_count;
};
void session_table_free(struct session_table *table);
/* Makes room for a number of entries, at most 2^30, so that the table need not grow while it has
 * fewer, all of them of the first part. */
void session_table_reserve(struct session_table *table, uint32_t count);
/* The slot of a session of an accumulator. The entry of a new one is 0, and *added is true.
 * session: less than UINT32_MAX. The result is valid until the next put. */
struct session_slot *session_table_put(struct session_table *table, uint32_t accumulator,
                                       uint32_t session, bool *added);
/* Begins to load the memory of an entry, for a session_table_put that comes soon. */
void session_table_prefetch(const struct session_table *table, uint32_t accumulator,
                            uint32_t session);
/* Number of entries. */
size_t session_table_count(const struct session_table *table);
/* Allocated bytes. */
size_t session_table_bytes(const struct session_table *table);

static inline uint64_t session_entry(const struct session_slot *slot)
{
	return (uint64_t)(slot->high & SESSION_HIGH_MASK) << 32 | slot->low;
}

/* entry: less than 2^SESSION_ENTRY_BITS. */
static inline void session_entry_set(struct session_slot *slot, uint64_t entry)
{
	slot->high = (slot->high & ~SESSION_HIGH_MASK) | (uint32_t)(entry >> 32);
	slot->low = (uint32_t)entry;
}

#endif
