/* The raw topic's idempotent producer: what it takes is delivered once and in order per partition, or the
 * sender has failed. Nothing is dropped when its queue is full: the caller waits. */
#ifndef FUNNEL_SENDER_H
#define FUNNEL_SENDER_H

#include "acks.h"
#include "base/err.h"
#include "base/span.h"
#include "kafka/kafka_conf.h"

struct sender;
/* timeout_us: how long a message may wait for a broker; 0: for ever. */
struct sender *sender_new(const struct kafka_config *config, const char *client_id,
                          int64_t timeout_us, struct err *err);
/* Drops what is not delivered. */
void sender_free(struct sender *sender);

/* Asks for the topic's partitions. ERR_RETRY: no broker yet. ERR_OPERATOR: no such topic. */
MUST_USE bool sender_connect(struct sender *sender, int timeout_ms, int32_t *partition_count,
                             struct err *err);
const char *sender_topic(const struct sender *sender);
/* "" where the broker did not say. */
const char *sender_cluster(const struct sender *sender);
/* Whether a record with this offset may be in the partition: the log's end lies behind it. */
MUST_USE bool sender_log_reaches(struct sender *sender, int32_t partition, int64_t offset,
                                 bool *reaches, struct err *err);

struct sender_header {
	const char *name;
	struct span value;
};
enum send_verdict { SEND_TAKEN, SEND_FULL, SEND_FAILED /* err */ };
/* Copies all it is given; ack is marked when the broker has the record. value.at == NULL: null. */
enum send_verdict sender_send(struct sender *sender, int32_t partition, struct span key,
                              struct span value, const struct sender_header *headers,
                              size_t header_count, struct ack *ack, struct err *err);
/* Serves delivery reports. False: a message could not be delivered. */
MUST_USE bool sender_poll(struct sender *sender, int timeout_ms, struct err *err);
/* Logs what the topic lacks, if anything. */
void sender_tell_partitions(struct sender *sender);
int64_t sender_acknowledged(const struct sender *sender);

#endif
