/* Finds a Kafka client that no longer connects. librdkafka (2.0.2 to 2.15.1) may stop connecting
 * for good after an orderly stop of its only broker. The process has to be replaced then. */
#ifndef FUNNEL_LOST_CLIENT_H
#define FUNNEL_LOST_CLIENT_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

#include "kafka/kafka_conf.h"

/* Whether the brokers answer a new client, and not this one. Takes up to 15 s, so call it only if
 * the client has made no progress for a long time. topic: one that exists. */
bool lost_client(rd_kafka_t *client, const struct kafka_config *config, const char *topic);
/* Whether the brokers answer a new client. */
bool lost_client_new_one_connects(const struct kafka_config *config, const char *topic);

#endif
