/* rd_kafka_send_offsets_to_transaction() with a timeout that works.
 *
 * librdkafka checks no timeout while it waits for the group coordinator (upstream #5456). A
 * broker that stops leaves the metadata, and librdkafka does not look for another coordinator
 * then (#5511). So the call may never return: seen with 2.15.1 in tests/e2e/32_outages.sh. */
#ifndef FUNNEL_SEND_OFFSETS_H
#define FUNNEL_SEND_OFFSETS_H

#include <librdkafka/rdkafka.h>

#include "base/err.h"

/* Takes offsets and group. Error classes of kafka_err_take(). ERR_FENCED also if librdkafka has not
 * returned in time: a thread is still inside the call, so the process has to end. */
MUST_USE bool send_offsets_within(rd_kafka_t *producer, rd_kafka_topic_partition_list_t *offsets,
                                  rd_kafka_consumer_group_metadata_t *group, int timeout_ms,
                                  struct err *err);

#endif
