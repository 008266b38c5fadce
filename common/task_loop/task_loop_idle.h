/* Idle partitions: held records, and announcements to the folds. */
#ifndef FUNNEL_TASK_LOOP_IDLE_H
#define FUNNEL_TASK_LOOP_IDLE_H

#include "task_loop/task_loop_state.h"

void idle_task_init(struct assigned_task *assigned);
/* A record of the task was folded. */
void idle_task_moved(struct assigned_task *assigned);
/* The task's partition is no longer read here. */
void idle_task_stop(struct assigned_task *assigned);
/* Called in every step in which the outbox takes outputs: looks which partitions are held back, and
 * lets the folds announce partitions that became idle or active. */
void idle_watch(struct task_loop *loop);
void idle_close(struct task_loop *loop);

#endif
