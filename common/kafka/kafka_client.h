/* Kafka clients: made, destroyed within a time. */
#ifndef FUNNEL_KAFKA_CLIENT_H
#define FUNNEL_KAFKA_CLIENT_H

#include <librdkafka/rdkafka.h>

#include "base/err.h"
#include "kafka/kafka_conf.h"

/* False and ERR_OPERATOR for a librdkafka that breaks our guarantees. version: as rd_kafka_version()
 * returns it. */
MUST_USE bool kafka_library_check(int version, struct err *err);
/* Takes conf in every case. Refuses where kafka_library_check refuses the library that runs. */
rd_kafka_t *kafka_client_new(rd_kafka_conf_t *conf, enum kafka_role role, struct err *err);

/* rd_kafka_destroy, which may hang (seen before librdkafka 2.4, after a broker went away). ERR_FENCED if it takes longer: then the
 * client still lives, and so must all memory that it was given. */
MUST_USE bool kafka_destroy_within(rd_kafka_t *client, int timeout_ms, struct err *err);
/* Leaves the group and destroys the consumer, which may be NULL. False, with a line in the log: the
 * client still lives after 2 s, and so must all memory that it was given. */
bool kafka_consumer_end(rd_kafka_t *consumer);

#endif
