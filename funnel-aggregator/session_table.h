/* The session entries of one window: a hash table from an accumulator and a session to 64 bits,
 * whose meaning is the owner's. 16 bytes per slot; at least a quarter of the slots is free.
 *
 * Single entries cannot be removed. Exhausted memory ends the process. */
#ifndef FUNNEL_SESSION_TABLE_H
#define FUNNEL_SESSION_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialised: empty, owns nothing. */
struct session_table {
	struct session_slot {
		uint64_t key; /* 0: free */
		uint64_t entry;
	} * slots; /* slot_count of them, or NULL */
	uint32_t slot_count, used;
};
void session_table_free(struct session_table *table);
/* Makes room for a number of entries, at most 2^30, so that the table need not grow while it has
 * fewer. */
void session_table_reserve(struct session_table *table, uint32_t count);
/* The entry of a session of an accumulator. A new one is 0, and *added is true. session: less than
 * UINT32_MAX. The result is valid until the next put. */
uint64_t *session_table_put(struct session_table *table, uint32_t accumulator, uint32_t session,
                            bool *added);
/* Begins to load the memory of an entry, for a session_table_put that comes soon. */
void session_table_prefetch(const struct session_table *table, uint32_t accumulator,
                            uint32_t session);
/* Allocated bytes. */
size_t session_table_bytes(const struct session_table *table);

#endif
