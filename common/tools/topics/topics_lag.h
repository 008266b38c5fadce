/* topics lag: what each consumer group of a set has not read yet. */
#ifndef FUNNEL_TOPICS_LAG_H
#define FUNNEL_TOPICS_LAG_H

#include <librdkafka/rdkafka.h>

#include "base/err.h"
#include "wire/topics.h"

/* Prints a line per group and topic: the offsets from the committed ones to the high watermarks. A
 * partition without a committed offset counts from its first record. partitions: number of
 * partitions of each topic; 0: it does not exist, and is left out. */
MUST_USE bool topics_lag_print(rd_kafka_t *client, const char *prefix,
                               const int32_t partitions[TOPIC_COUNT], int timeout_ms,
                               struct err *err);

#endif
