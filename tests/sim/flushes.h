/* The points at which the processes have flushed their tasks. After a lost transaction the task
 * loop flushes again before it sends the batch again, so a transaction may have the outputs of
 * several flushes. The oracle repeats them. And the number of tasks of a process. The linker's --wrap
 * leads the calls of the task's functions here. */
#ifndef SIM_FLUSHES_H
#define SIM_FLUSHES_H

#include <stddef.h>
#include <stdint.h>

#include "stream/fold.h"

void flushes_begin(void);
/* Takes out the oldest flush of this task with a position up to `to`; -1: none. */
int64_t flushes_take(uint32_t life, const struct fold_ops *ops, int32_t partition, int64_t to);
/* The current process reads these partitions: it must not have more tasks. */
void flushes_check_tasks(size_t partitions);

#endif
