/* rd_kafka_send_offsets_to_transaction(), with a deadline that holds.
 *
 * librdkafka checks no timeout while it waits for the group coordinator (upstream #5456). It also
 * does not look for another coordinator when that broker has left the metadata, as a stopped broker
 * does (#5511). The call then never returns: seen with 2.15.1 in tests/e2e/32_outages.sh. */
#ifndef FUNNEL_SEND_OFFSETS_H
#define FUNNEL_SEND_OFFSETS_H

#include <librdkafka/rdkafka.h>

#include "base/err.h"

/* Takes offsets and group. Classes as kafka_err_take() gives them. ERR_FENCED also where librdkafka has
 * not returned in time: the client is still inside the call, so the process has to end. */
MUST_USE bool send_offsets_within(rd_kafka_t *producer, rd_kafka_topic_partition_list_t *offsets,
                                  rd_kafka_consumer_group_metadata_t *group, int timeout_ms,
                                  struct err *err);

#endif
