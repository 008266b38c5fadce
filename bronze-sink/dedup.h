/* Exact de-duplication over a horizon of event time.
 *
 * The event time is a part of the id, so two copies of an event always meet in the bucket of their
 * hour. So a look-up needs one small table, and forgetting drops buckets. */
#ifndef FUNNEL_DEDUP_H
#define FUNNEL_DEDUP_H

#include "event/event_id.h"

struct dedup;

/* horizon_us: how long before the clock ids are kept, in event time. */
struct dedup *dedup_new(int64_t horizon_us);
void dedup_free(struct dedup *dedup);

enum dedup_result {
	DEDUP_NEW,         /* the id is new; it is added with its price */
	DEDUP_SAME,        /* the id is known */
	DEDUP_OTHER_PRICE, /* the id is known, and its first copy had another price */
};
/* event_time_us: at most one hour before the time of the last dedup_forget. price_cents: negative:
 * none, which differs from every price. */
enum dedup_result dedup_add(struct dedup *dedup, int64_t event_time_us,
                            const uint8_t id[EVENT_ID_BYTES], int64_t price_cents);
/* Drops the buckets of the hours before the hour of this time, which is the horizon before the
 * clock. Packs those that the clock has left: look-ups in them take longer, and they need less
 * memory. */
void dedup_forget(struct dedup *dedup, int64_t before_us);

/* Allocated bytes. */
size_t dedup_bytes(const struct dedup *dedup);
/* The number of ids, and a digest of the ids and prices at or after a time that does not depend on
 * their order (to compare states). */
size_t dedup_count(const struct dedup *dedup);
uint64_t dedup_digest(const struct dedup *dedup, int64_t from_us);

#endif
