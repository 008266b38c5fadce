/* Queries brokers about a topic: number of partitions, offset range, health. */
#ifndef FUNNEL_KAFKA_TOPIC_H
#define FUNNEL_KAFKA_TOPIC_H

#include <librdkafka/rdkafka.h>

#include "base/err.h"

/* Waits up to timeout_ms for the topic's metadata. ERR_RETRY: no broker answers. ERR_OPERATOR:
 * the topic does not exist, and *count is 0; the function has asked again for 5 s (at most
 * timeout_ms). Or the brokers refuse the client (kafka_refusal.h), and *count is -1. */
MUST_USE bool kafka_partition_count(rd_kafka_t *client, const char *topic, int timeout_ms,
                                    int32_t *count, struct err *err);

/* *low: first offset of the partition. *high: end (exclusive) of the records that the client's
 * isolation level lets it read. ERR_OPERATOR: a right is missing; ERR_RETRY: any other error. */
MUST_USE bool kafka_offset_range(rd_kafka_t *client, const char *topic, int32_t partition,
                                 int timeout_ms, int64_t *low, int64_t *high, struct err *err);

/* Sets the offset of each entry: RD_KAFKA_OFFSET_BEGINNING gives the first offset of the partition,
 * RD_KAFKA_OFFSET_END the end as above. Makes one request per broker for all entries, where
 * kafka_offset_range makes two for each partition. Each partition is in the list once. The classes
 * of errors are those of kafka_offset_range. */
MUST_USE bool kafka_offsets_at(rd_kafka_t *client, rd_kafka_topic_partition_list_t *list,
                               int64_t which, int timeout_ms, struct err *err);

/* Logs which of the client's topics have a partition without a leader or with too few replicas,
 * because librdkafka retries without a log line. For callers whose calls have failed for some
 * time. Does nothing if the last query was less than 10 s ago. */
void kafka_log_partition_health(rd_kafka_t *client, int timeout_ms);

#endif
