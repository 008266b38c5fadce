/* Creates Kafka clients, and destroys them within a time. */
#ifndef FUNNEL_KAFKA_CLIENT_H
#define FUNNEL_KAFKA_CLIENT_H

#include <librdkafka/rdkafka.h>

#include "base/err.h"
#include "kafka/kafka_conf.h"

/* False with ERR_OPERATOR: this librdkafka breaks our guarantees. version: of
 * rd_kafka_version(). */
MUST_USE bool kafka_library_check(int version, struct err *err);
/* Takes conf in every case. NULL with ERR_OPERATOR: no client, or kafka_library_check refuses the
 * loaded library. */
rd_kafka_t *kafka_client_new(rd_kafka_conf_t *conf, enum kafka_role role, struct err *err);

/* rd_kafka_destroy with a timeout, because it may hang (seen before librdkafka 2.4, after a
 * broker went away). ERR_FENCED: it has not returned. The client is still in use then: free none
 * of the memory that it was given. */
MUST_USE bool kafka_destroy_within(rd_kafka_t *client, int timeout_ms, struct err *err);
/* Leaves the group and destroys the consumer, which may be NULL. False, with a log line: the
 * client has not ended within 2 s. Free none of the memory that it was given. */
bool kafka_consumer_end(rd_kafka_t *consumer);

#endif
