/* Partitions that come and go: their tasks, where they start, and what is kept. */
#ifndef FUNNEL_TASK_LOOP_ASSIGNMENT_H
#define FUNNEL_TASK_LOOP_ASSIGNMENT_H

#include "base/err.h"
#include "task_loop/task_loop_state.h"

/* Carries out what the intake has announced, between batches. ERR_RETRY: call again. */
MUST_USE bool assignment_carry_out(struct task_loop *loop, bool stopping, struct err *err);
void assignment_drop_all(struct task_loop *loop);
void assignment_report_health(const struct task_loop *loop);

#endif
