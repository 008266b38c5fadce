/* Which month of a sequence is sent next, and when. Pure: times are parameters.
 *
 * The months are sent in order, each by a run of its own. A run begins when the interval since the
 * start of the run before it has passed. A run that has failed begins again after a back-off. */
#ifndef FUNNEL_SCHEDULE_H
#define FUNNEL_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/backoff.h"
#include "months.h"
#include "run_state.h"

struct schedule {
	int64_t every_us;
	struct months months;
	struct {
		bool complete;
		int64_t started_us; /* of its first attempt; 0: none */
		int64_t attempts;
	} runs[MONTHS_MAX]; /* as in months */
	struct backoff backoff;
};

/* months: not empty. */
void schedule_init(struct schedule *schedule, const struct months *months, int64_t every_us);
/* Takes the state of a run of an earlier process, the newest last. Ignores other months. */
void schedule_take(struct schedule *schedule, const struct run_state *state);

enum schedule_result { SCHEDULE_RUN, SCHEDULE_WAIT, SCHEDULE_DONE };
/* *index: the next run. *wait_us: until it begins, with SCHEDULE_WAIT. */
enum schedule_result schedule_next(const struct schedule *schedule, int64_t now_us, int32_t *index,
                                   int64_t *wait_us);
void schedule_begun(struct schedule *schedule, int32_t index, int64_t now_us);
void schedule_ended(struct schedule *schedule, int32_t index, bool complete, int64_t now_us);

#endif
