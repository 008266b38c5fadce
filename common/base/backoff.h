/* Exponential back-off: decides when to try again after failures. The delay is 0.1 s at first, and
 * doubles up to 5 s. Each wait is a random time between half of the delay and the delay, so that
 * clients that failed together do not try again together. Pure: the caller passes the time. */
#ifndef FUNNEL_BACKOFF_H
#define FUNNEL_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#define BACKOFF_MIN_US INT64_C(100000)
#define BACKOFF_MAX_US INT64_C(5000000)

/* Zero-initialised: due immediately. */
struct backoff {
	int64_t next_us;
	int64_t delay_us;
	unsigned seed; /* of the random waits; the owner sets it */
};

/* Call after a success: due immediately, and the next delay is 0.1 s. */
void backoff_reset(struct backoff *backoff);
/* Call after a failure: sets the time of the next try. */
void backoff_grow(struct backoff *backoff, int64_t now_us);
bool backoff_is_due(const struct backoff *backoff, int64_t now_us);

#endif
