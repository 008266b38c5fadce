/* Writes events straight into raw.event_rows, and what belongs to them: their sums, and how far
 * bronze is loaded. The caller has begun a transaction. */
#ifndef FUNNEL_LOAD_EVENTS_H
#define FUNNEL_LOAD_EVENTS_H

#include "base/buffer.h"
#include "base/err.h"
#include "event_order.h"
#include "event_sums.h"
#include "load_batch.h"
#include "postgres/postgres.h"

struct load_events { /* zero-initialised: empty */
	struct event_sums *sums;
	struct buffer bytes;
	struct event_order order;
	int64_t *loaded_up_to; /* by bronze partition; 0: not in the batch */
	size_t partition_count, partition_capacity;
};
void load_events_free(struct load_events *events);

/* rows: numbers of live rows of TARGET_EVENTS, at least one, with ids (load_entries.h).
 * *collided: an event is stored already, or twice in the batch; the call fails with ERR_INPUT. */
MUST_USE bool load_events_direct(struct load_events *events, struct postgres *pg,
                                 const struct load_batch *batch, const uint32_t *rows,
                                 uint32_t count, bool *collided, struct err *err);

#endif
