/* How long a transaction collects records before it is committed, although no more records wait.
 *
 * Usually not at all: near the log end, a commit without a wait makes records visible soonest. But
 * each transaction has costs of its own, here and in the brokers, and small ones have more outputs
 * for an event. On a machine without free CPU time, commits become slow, and many small ones make
 * the machine slower. So if commits take more than twice the time of the fastest one, and more than
 * COMMIT_PACE_QUICK_US, transactions collect for COMMIT_PACE_FACTOR times as long as commits take
 * too long. A single slow commit changes little, because the mean counts.
 *
 * Only many rows are worth a wait: records of inputs with `rows` (task_loop.h), not the partials
 * that funnel-aggregator sends to itself. So transactions with fewer rows in a millisecond than
 * COMMIT_PACE_FROM do not wait, and others at most COMMIT_PACE_RATE_US for each row above that:
 * 200 ms at 30,000 rows a second, a second at 50,000. At 5,000 and at 20,000 rows a second, waits
 * had doubled the time until an aggregate was visible. A wait may be longer than COMMIT_INTERVAL;
 * catch_up.h has the longest.
 * Pure. */
#ifndef FUNNEL_COMMIT_PACE_H
#define FUNNEL_COMMIT_PACE_H

#include <stdint.h>

#define COMMIT_PACE_FACTOR      10
#define COMMIT_PACE_QUICK_US    10000
#define COMMIT_PACE_FROM        25
#define COMMIT_PACE_RATE_US     40000
#define COMMIT_PACE_TOOK_MAX_US 250000
/* The mean moves by this part of the difference to each new time. */
#define COMMIT_PACE_MEAN 8

/* All 0: nothing was committed yet. */
struct commit_pace {
	int64_t fastest_us, mean_us;
};

/* A commit with outputs has succeeded, took_us after its start. A time above
 * COMMIT_PACE_TOOK_MAX_US counts as that: it may include retries. */
void commit_pace_took(struct commit_pace *pace, int64_t took_us);

/* From the first record of a transaction to its commit. rows: those of the transaction so far,
 * which have arrived since the last commit began, since_us ago. timeout_us: TRANSACTION_TIMEOUT. */
int64_t commit_pace_us(const struct commit_pace *pace, int64_t rows, int64_t since_us,
                       int64_t timeout_us);

#endif
