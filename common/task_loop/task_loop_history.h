/* Reads the contents of topics, with clients outside the group. All functions fail with ERR_RETRY
 * while brokers or the registry do not answer. */
#ifndef FUNNEL_TASK_LOOP_HISTORY_H
#define FUNNEL_TASK_LOOP_HISTORY_H

#include "base/err.h"
#include "task_loop/task_loop_state.h"

/* *holds: the topic has a committed record. *deleted: records were deleted from its start. Offsets
 * do not show that a record was committed: an aborted transaction takes offsets too. */
MUST_USE bool topic_has_records(struct task_loop *loop, const char *topic, int32_t partition_count,
                                bool *holds, bool *deleted, struct err *err);
/* Sets last[i] to the offset of the last row that this service has counted in partition i of the
 * list, according to the counts topic; -1: none. ERR_OPERATOR: the service's counts cannot be
 * decoded. */
MUST_USE bool counts_topic_last(struct task_loop *loop,
                                const rd_kafka_topic_partition_list_t *partitions, int64_t *last,
                                struct err *err);
/* Checks with the counts topic that this is the registry that the topics were written with.
 * ERR_OPERATOR: it is not. */
MUST_USE bool counts_topic_schemas_known(struct task_loop *loop, struct err *err);
/* Sets offsets and metadata of the list to those that the group has committed. Reads them from
 * __consumer_offsets, the log that the coordinator itself loads. Waits for the end of open
 * transactions. */
MUST_USE bool offsets_topic_read(struct task_loop *loop, rd_kafka_topic_partition_list_t *list,
                                 struct err *err);

#endif
