/* Exact de-duplication over a horizon of event time.
 *
 * An event's id is made of its time among other things, so two copies of it always meet in
 * the bucket of that hour: a look-up touches one small table, and forgetting is dropping buckets. */
#ifndef FUNNEL_DEDUP_H
#define FUNNEL_DEDUP_H

#include "event/event_id.h"

struct dedup;

/* horizon_us: how far behind the clock ids are kept. */
struct dedup *dedup_new(int64_t horizon_us);
void dedup_free(struct dedup *dedup);
/* True when the id was not there. event_time_us must not lie below the last dedup_forget by more than an hour. */
bool dedup_add(struct dedup *dedup, int64_t event_time_us, const uint8_t id[EVENT_ID_BYTES]);
/* Drops the buckets that end before this time. */
void dedup_forget(struct dedup *dedup, int64_t before_us);

/* Ids held, and an order-free digest of those at or after a time (for comparing states). */
size_t dedup_count(const struct dedup *dedup);
uint64_t dedup_digest(const struct dedup *dedup, int64_t from_us);

#endif
