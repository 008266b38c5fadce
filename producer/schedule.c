/* A start time in the future, from a host with a wrong clock, counts as now. So it delays the next
 * run by at most one interval. */
#include "schedule.h"

void schedule_init(struct schedule *schedule, const struct months *months, int64_t every_us)
{
	*schedule = (struct schedule){.every_us = every_us, .months = *months};
}

void schedule_take(struct schedule *schedule, const struct run_state *state)
{
	for (int32_t i = 0; i < schedule->months.count; i++) {
		if (schedule->months.at[i] != state->month)
			continue;
		schedule->runs[i].complete = state->status == RUN_COMPLETE;
		schedule->runs[i].started_us = state->started_us;
		schedule->runs[i].attempts = state->attempt;
	}
}

/* When the run before this one began; 0: there was none. */
static int64_t started_before(const struct schedule *schedule, int32_t index)
{
	int64_t newest_us = 0;

	for (int32_t i = 0; i < index; i++)
		if (schedule->runs[i].started_us > newest_us)
			newest_us = schedule->runs[i].started_us;
	return newest_us;
}

static int64_t due_us(const struct schedule *schedule, int32_t index, int64_t now_us)
{
	int64_t before_us;

	if (schedule->runs[index].attempts > 0)
		return schedule->backoff.next_us;
	before_us = started_before(schedule, index);
	if (before_us == 0)
		return now_us;
	return (before_us < now_us ? before_us : now_us) + schedule->every_us;
}

enum schedule_result schedule_next(const struct schedule *schedule, int64_t now_us, int32_t *index,
                                   int64_t *wait_us)
{
	int64_t due;

	for (*index = 0; *index < schedule->months.count; ++*index)
		if (!schedule->runs[*index].complete)
			break;
	if (*index == schedule->months.count)
		return SCHEDULE_DONE;
	due = due_us(schedule, *index, now_us);
	*wait_us = due > now_us ? due - now_us : 0;
	return due > now_us ? SCHEDULE_WAIT : SCHEDULE_RUN;
}

void schedule_begun(struct schedule *schedule, int32_t index, int64_t now_us)
{
	if (schedule->runs[index].started_us == 0)
		schedule->runs[index].started_us = now_us;
	schedule->runs[index].attempts++;
}

void schedule_ended(struct schedule *schedule, int32_t index, bool complete, int64_t now_us)
{
	schedule->runs[index].complete = complete;
	if (complete)
		backoff_reset(&schedule->backoff);
	else
		backoff_grow(&schedule->backoff, now_us);
}
