/* When the loader commits its open batch. A commit of few rows takes almost as much CPU time as one
 * of hundreds, and the sums of a batch have a row for each product, session and user in it. So the
 * more records wait, the larger batches are. Pure. */
#ifndef FUNNEL_BATCH_DUE_H
#define FUNNEL_BATCH_DUE_H

#include <stdbool.h>
#include <stdint.h>

struct batch_state {
	int64_t age_us;    /* since its first record */
	int64_t rested_us; /* since the last commit */
	int64_t last_commit_took_us;
	bool full;        /* a limit of rows, days or bytes is reached */
	bool drained;     /* no more records wait */
	bool catching_up; /* many records of a partition wait: see stream/catch_up.h */
};

/* interval_us: longest time from the first record to the commit. While catching up, it is at least
 * a second, and a poll without records does not end it: a broker or the network is slow. */
bool batch_is_due(const struct batch_state *batch, int64_t interval_us);

#endif
