/* What the brokers say of a topic: partitions, offsets, health. */
#ifndef FUNNEL_KAFKA_TOPIC_H
#define FUNNEL_KAFKA_TOPIC_H

#include <librdkafka/rdkafka.h>

#include "base/err.h"

/* Waits up to timeout_ms for the topic's metadata. ERR_RETRY: no broker; ERR_OPERATOR: no such topic, and asking again for up to
 * 5 s (at most timeout_ms) has not changed that. */
MUST_USE bool kafka_partition_count(rd_kafka_t *client, const char *topic, int timeout_ms,
                                    int32_t *count, struct err *err);

/* First offset of a partition, and the one behind the last that its client's isolation level lets it read. ERR_OPERATOR: a right is
 * missing; ERR_RETRY: anything else. */
MUST_USE bool kafka_offset_range(rd_kafka_t *client, const char *topic, int32_t partition,
                                 int timeout_ms, int64_t *low, int64_t *high, struct err *err);

/* Logs which of the client's topics lack a leader or replicas, since librdkafka itself tries on in silence. For calls that have
 * failed for a while; does something every 10 s at most. */
void kafka_log_partition_health(rd_kafka_t *client, int timeout_ms);

#endif
