/* What the task loop shows of its work: metrics per partition, and a line event=summary in the log,
 * every minute and at the end. Nothing here is called per record. */
#ifndef FUNNEL_TASK_LOOP_REPORT_H
#define FUNNEL_TASK_LOOP_REPORT_H

#include "task_loop/task_loop_state.h"

void report_open(struct task_loop *loop);
/* The task was created, and its counts are those of its last commit. */
void report_task_init(struct task_loop *loop, struct assigned_task *assigned);
/* The task's partition is revoked: its gauges are not shown any more. */
void report_task_stop(struct assigned_task *assigned);
/* A commit begins: notes the size of the batch. */
void report_commit_begins(struct task_loop *loop);
/* A commit has succeeded. Call it before the loop's own state changes. */
void report_committed(struct task_loop *loop);
/* Call it in each step. Sets the gauges every few seconds, and logs the line of a minute. */
void report_step(struct task_loop *loop);
/* Logs the line of the complete run, if the loop was started. */
void report_close(struct task_loop *loop);

#endif
