/* Watches assigned partitions for held records and idleness, and lets the folds announce idle
 * partitions. */
#ifndef FUNNEL_TASK_LOOP_IDLE_H
#define FUNNEL_TASK_LOOP_IDLE_H

#include "task_loop/task_loop_state.h"

void idle_task_init(struct assigned_task *assigned);
/* Call it after a record of the task was folded. */
void idle_task_moved(struct assigned_task *assigned);
/* The task's partition is revoked. */
void idle_task_stop(struct assigned_task *assigned);
/* Call it in each step, unless a commit has begun: announcements are outputs. Looks for held
 * records, and lets the folds announce partitions that became idle or active. */
void idle_watch(struct task_loop *loop);
void idle_close(struct task_loop *loop);

#endif
