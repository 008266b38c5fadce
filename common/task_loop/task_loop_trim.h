/* Deletes records of internal topics that no restore can need any more. */
#ifndef FUNNEL_TASK_LOOP_TRIM_H
#define FUNNEL_TASK_LOOP_TRIM_H

#include "task_loop/task_loop_state.h"

/* Call it after each commit; it does something once a minute. */
void trim_inputs(struct task_loop *loop);

#endif
