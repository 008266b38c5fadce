/* Assigned and revoked partitions: creates, parks and drops their tasks. */
#ifndef FUNNEL_TASK_LOOP_ASSIGNMENT_H
#define FUNNEL_TASK_LOOP_ASSIGNMENT_H

#include "base/err.h"
#include "task_loop/task_loop_state.h"

/* Carries out a rebalance, if the intake has one. Call it between batches. ERR_RETRY: call
 * again. */
MUST_USE bool assignment_apply(struct task_loop *loop, bool stopping, struct err *err);
/* Drops the batch. The next assignment_apply starts the tasks again from the committed offsets. */
MUST_USE bool assignment_restart(struct task_loop *loop, struct err *err);
/* Frees all tasks. */
void assignment_drop_all(struct task_loop *loop);
/* Sets the reason of /readyz: no assignment yet, restoring, held records, or refused schemas. */
void assignment_report_health(const struct task_loop *loop);

#endif
