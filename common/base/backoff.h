/* When to try again: after 0.1 s first, then after twice the time of before, up to 5 s. Each wait
 * is between half of that and all of it, so that clients that failed together do not try again
 * together. Pure: the caller passes the time. */
#ifndef FUNNEL_BACKOFF_H
#define FUNNEL_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#define BACKOFF_MIN_US INT64_C(100000)
#define BACKOFF_MAX_US INT64_C(5000000)

/* Zero-initialised: due at once. */
struct backoff {
	int64_t next_us;
	int64_t delay_us;
	unsigned seed; /* of the waits; the owner sets it */
};

/* Due at once, and the next wait is a short one. */
void backoff_reset(struct backoff *backoff);
/* After a failure: sets when to try again. */
void backoff_grow(struct backoff *backoff, int64_t now_us);
bool backoff_is_due(const struct backoff *backoff, int64_t now_us);

#endif
