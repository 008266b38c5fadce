/* The committed offsets of the consumer groups of a set, and the bounds of its partitions. */
#ifndef FUNNEL_TOPICS_GROUPS_H
#define FUNNEL_TOPICS_GROUPS_H

#include <librdkafka/rdkafka.h>

#include "base/err.h"
#include "wire/topics.h"

/* Gets the partitions that a group reads, topic after topic. The offset of a partition without a
 * committed offset is below 0. The list is borrowed. False: err is set, and no more groups come. */
typedef bool topics_group_visit(void *context, const char *group,
                                const rd_kafka_topic_partition_list_t *list, struct err *err);

/* Visits each group, in the order of the pipeline. partitions: number of partitions of each topic;
 * 0: it does not exist, and is left out. */
MUST_USE bool topics_groups_visit(rd_kafka_t *client, const char *prefix,
                                  const int32_t partitions[TOPIC_COUNT], int timeout_ms,
                                  topics_group_visit *visit, void *context, struct err *err);

#endif
