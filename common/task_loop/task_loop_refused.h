/* Finds in the dead letters which records of a restore were refused when they were first
 * folded. */
#ifndef FUNNEL_TASK_LOOP_REFUSED_H
#define FUNNEL_TASK_LOOP_REFUSED_H

#include "base/err.h"
#include "task_loop/task_loop_state.h"

/* Call it for a task that was resumed, before its first record. Does nothing if today's rules have
 * applied to all records of the restore. ERR_RETRY: a broker does not answer, or the assignment has
 * changed meanwhile. ERR_OPERATOR: dead letters are missing. */
MUST_USE bool refused_records_find(struct task_loop *loop, struct assigned_task *assigned,
                                   struct err *err);

#endif
