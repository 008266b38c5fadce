/* The ordered funnel of one session: how far it came through a list of stages, each at or
 * after the one before. Independent of the order in which events arrive.
 *
 * Stage k is reached at C_k: C_1 is the earliest time of the first stage, C_k the earliest time of stage k at or after
 * C_(k-1). As events come, C_k can only move earlier, so of a middle stage only the times up to
 * its C_k can ever matter, and of the last stage only the latest time. */
#ifndef FUNNEL_STAGES_H
#define FUNNEL_STAGES_H

#include "base/err.h"
#include "event/event.h"

#define STAGES_MAX      EVENT_TYPE_COUNT
#define STAGE_TIMES_MAX 256 /* distinct times of one stage in one session that are kept */

struct stages {
	int count;
	enum event_type at[STAGES_MAX];
	int of_type[EVENT_TYPE_COUNT]; /* index in at, -1: no stage */
};

/* "view,cart,purchase": 2 to 5 different event types. */
MUST_USE bool stages_parse(const char *text, struct stages *stages, struct err *err);

/* Sorted, distinct times. Zero-initialised is empty. */
struct times {
	int64_t *at;
	uint32_t count, capacity;
};
void times_free(struct times *times);
/* False when there is no room for another time. */
MUST_USE bool times_add(struct times *times, int64_t time_us);
/* The earliest at or after a time; INT64_MAX if none. */
int64_t times_first_from(const struct times *times, int64_t from_us);
/* Drops those after a time. */
void times_cut(struct times *times, int64_t after_us);

struct funnel {
	int64_t first_us;     /* earliest of the first stage; INT64_MAX: none */
	int64_t last_us;      /* latest of the last stage; INT64_MIN: none */
	struct times *middle; /* stages between, count - 2 of them; NULL: none seen */
	uint8_t reached;      /* stages reached in order */
};

void funnel_init(struct funnel *funnel);
void funnel_free(struct funnel *funnel, const struct stages *stages);
/* Takes one event of a stage. False when its time could not be kept (too many): the event still
 * counts as an event, but an unusual order of arrival may no longer be recognised. */
MUST_USE bool funnel_add(struct funnel *funnel, const struct stages *stages, int stage,
                         int64_t time_us);
/* Takes all that another one holds. */
MUST_USE bool funnel_merge(struct funnel *funnel, const struct stages *stages,
                           const struct funnel *other);

#endif
