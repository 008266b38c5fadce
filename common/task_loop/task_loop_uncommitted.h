/* How much the open transaction has read. Markers between the records count too; records that a
 * restore reads do not. Pure. */
#ifndef FUNNEL_TASK_LOOP_UNCOMMITTED_H
#define FUNNEL_TASK_LOOP_UNCOMMITTED_H

#include <stdint.h>

#include "task_loop/task_loop_state.h"

int64_t task_loop_uncommitted_records(const struct task_loop *loop);
/* Of inputs with `rows` (task_loop.h). */
int64_t task_loop_uncommitted_rows(const struct task_loop *loop);

#endif
