/* The ordered funnel of one session: how many stages of a list it has reached, each at or after the
 * time of the stage before. The result does not depend on the order in which events arrive.
 *
 * Stage k is reached at time C_k. C_1 is the earliest time of the first stage. C_k is the earliest
 * time of stage k at or after C_(k-1). Later events can only make C_k earlier. So of a middle
 * stage, only the times up to its C_k can matter, and of the last stage only the latest time. */
#ifndef FUNNEL_STAGES_H
#define FUNNEL_STAGES_H

#include "base/err.h"
#include "event/event.h"

#define STAGES_MAX      EVENT_TYPE_COUNT
#define STAGE_TIMES_MAX 256 /* distinct times kept of one stage of one session */

struct stages {
	int count;
	enum event_type at[STAGES_MAX];
	int of_type[EVENT_TYPE_COUNT]; /* index in at; -1: not a stage */
	/* True if the list is view, ..., cart, ..., purchase. Its funnels then have all that
	 * funnel_bought needs. */
	bool has_purchases;
};
/* view, cart, purchase */
extern const struct stages purchase_stages;

/* "view,cart,purchase": 2 to 5 different event types. */
MUST_USE bool stages_parse(const char *text, struct stages *stages, struct err *err);

/* Sorted, distinct times. Zero-initialised is empty. */
struct times {
	int64_t *at;
	uint32_t count, capacity;
};
void times_free(struct times *times);
/* Returns false if there is no room for another time. */
MUST_USE bool times_add(struct times *times, int64_t time_us);
/* The earliest time at or after from_us; INT64_MAX if there is none. */
int64_t times_first_from(const struct times *times, int64_t from_us);
/* Removes the times after after_us. */
void times_cut(struct times *times, int64_t after_us);

struct funnel {
	int64_t first_us;     /* earliest time of the first stage; INT64_MAX: none */
	int64_t last_us;      /* latest time of the last stage; INT64_MIN: none */
	struct times *middle; /* of the count - 2 stages between; NULL: no event of any yet */
	uint8_t reached;      /* stages reached in order */
};

void funnel_init(struct funnel *funnel);
void funnel_free(struct funnel *funnel, const struct stages *stages);
/* Adds one event of a stage. Returns false if the stage has STAGE_TIMES_MAX other times, so that
 * this time is not kept. Then the funnel may miss a stage if events arrive in an unusual order. */
MUST_USE bool funnel_add(struct funnel *funnel, const struct stages *stages, int stage,
                         int64_t time_us);
/* Adds all times of another funnel. Returns false as funnel_add does. */
MUST_USE bool funnel_merge(struct funnel *funnel, const struct stages *stages,
                           const struct funnel *other);

/* Whether the session bought after its first view. */
enum bought { BOUGHT_NOT, BOUGHT_AFTER_VIEW, BOUGHT_AFTER_CART /* with a cart between */ };
/* stages: with has_purchases. */
enum bought funnel_bought(const struct funnel *funnel, const struct stages *stages);

#endif
