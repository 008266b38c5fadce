/* The idempotent producer of the raw topic. It delivers each accepted message once, and in order
 * within a partition, or it has failed. It drops nothing when its queue is full: the caller
 * waits. */
#ifndef FUNNEL_SENDER_H
#define FUNNEL_SENDER_H

#include <librdkafka/rdkafka.h>

#include "acks.h"
#include "base/err.h"
#include "base/span.h"
#include "kafka/kafka_conf.h"
#include "stream/outbox.h"

struct sender;
/* timeout_us: how long a message may wait for a broker; 0: no limit. linger_ms: how long a message
 * waits for others of its partition, which are sent with it; 0: as in all services. */
struct sender *sender_new(const struct kafka_config *config, const char *client_id,
                          int64_t timeout_us, int linger_ms, struct err *err);
/* Drops all messages that are not delivered yet. */
void sender_free(struct sender *sender);

/* Gets the number of partitions. ERR_RETRY: no broker answers yet. ERR_OPERATOR: the topic does not
 * exist. */
MUST_USE bool sender_connect(struct sender *sender, int timeout_ms, int32_t *partition_count,
                             struct err *err);
const char *sender_topic(const struct sender *sender);
/* The id of the cluster; "": not known. */
const char *sender_cluster(const struct sender *sender);
/* *reaches: the log end of the partition is after this offset, so a record with it can be there. */
MUST_USE bool sender_log_reaches(struct sender *sender, int32_t partition, int64_t offset,
                                 bool *reaches, struct err *err);

enum send_result { SEND_TAKEN, SEND_FULL, SEND_FAILED /* err */ };
/* Copies key, value and headers, whose names are terminated. ack is marked when the broker has the
 * record. value.at == NULL: null value. SEND_FULL: the queue is full. */
enum send_result sender_send(struct sender *sender, int32_t partition, struct span key,
                             struct span value, const struct header *headers, size_t header_count,
                             struct ack *ack, struct err *err);
/* Sends the state of a run to the topic of the producer's state. ack: ACK_ELSEWHERE, marked as
 * above; NULL: nobody waits for it, and a failed delivery is ignored. */
enum send_result sender_send_state(struct sender *sender, struct span key, struct span value,
                                   struct ack *ack, struct err *err);
/* The client, to query topics with. */
rd_kafka_t *sender_client(struct sender *sender);
/* Serves delivery reports. False and err: a message could not be delivered. */
MUST_USE bool sender_poll(struct sender *sender, int timeout_ms, struct err *err);
/* Logs partitions without a leader and with too few replicas, if there are any. */
void sender_log_partition_health(struct sender *sender);
/* Called when no record was acknowledged for a long time. librdkafka may never connect again after
 * an orderly stop of its only broker. ERR_RETRY: the brokers answer a new client, and not this
 * one. */
MUST_USE bool sender_verify_client(struct sender *sender, struct err *err);
int64_t sender_acknowledged(const struct sender *sender);

#endif
