/* What topics hold, read by clients outside of the group. All functions return ERR_RETRY while the
 * brokers or the registry do not answer. */
#ifndef FUNNEL_TASK_LOOP_HISTORY_H
#define FUNNEL_TASK_LOOP_HISTORY_H

#include "base/err.h"
#include "task_loop/task_loop_state.h"

/* Whether a topic holds a committed record. Offsets do not show it: an aborted transaction takes
 * some too. */
MUST_USE bool topic_has_records(struct task_loop *loop, const char *topic, int32_t partition_count,
                                bool *holds, struct err *err);
/* For each partition of the list, the offset of the last row that this service has counted,
 * according to the counts topic; -1: none. ERR_OPERATOR if counts of ours cannot be read, since this
 * check depends on them. */
MUST_USE bool counts_topic_last(struct task_loop *loop,
                                const rd_kafka_topic_partition_list_t *partitions, int64_t *last,
                                struct err *err);
/* Checks by the counts topic that the registry is the one that the topics were written with.
 * ERR_OPERATOR: it is not. */
MUST_USE bool counts_topic_schemas_known(struct task_loop *loop, struct err *err);
/* Offsets and metadata of the list as the group has committed them, by the log that the coordinator itself is loaded from, whatever
 * that has in memory. Waits for transactions that are open. */
MUST_USE bool offsets_topic_read(struct task_loop *loop, rd_kafka_topic_partition_list_t *list,
                                 struct err *err);

#endif
