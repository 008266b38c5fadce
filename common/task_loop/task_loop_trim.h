/* Deletes records of inputs that no restore needs any more. */
#ifndef FUNNEL_TASK_LOOP_TRIM_H
#define FUNNEL_TASK_LOOP_TRIM_H

#include "task_loop/task_loop_state.h"

/* Called after commits; does something about once a minute. */
void trim_inputs(struct task_loop *loop);

#endif
