/* What the loader shows of its work: metrics, and a line event=summary in the log, every minute and
 * at the end. Only the latency is looked at per row, after the commit. */
#ifndef FUNNEL_LOADER_REPORT_H
#define FUNNEL_LOADER_REPORT_H

#include "loader_state.h"

void loader_report_open(struct loader *loader);
void loader_report_task_init(struct loader *loader, struct loader_task *task);
/* The task's partition is revoked: its gauges are not shown any more. */
void loader_report_task_stop(struct loader_task *task);
/* The log end of a partition is known. */
void loader_report_lag(struct loader_task *task);
/* The batch is committed, and not cleared yet. */
void loader_report_committed(struct loader *loader, int64_t began_us);
/* Call it in each step: logs the line of a minute. */
void loader_report_step(struct loader *loader);
/* Logs the line of the complete run, if the loader has subscribed. */
void loader_report_close(struct loader *loader);

#endif
