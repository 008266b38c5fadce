/* Kafka client set-up, the same for every service: settings, guarded properties, logs.
 *
 * KAFKA_PROPERTIES ("name=value,name=value") reaches every librdkafka property but those that our
 * guarantees depend on; those are refused by name. It may hold a password, so it is never shown. A part without
 * = belongs to the value before it (debug=cgrp,topic); \, is a comma within a value. */
#ifndef FUNNEL_KAFKA_CONF_H
#define FUNNEL_KAFKA_CONF_H

#include <librdkafka/rdkafka.h>

#include "base/err.h"
#include "service/config.h"

struct kafka_config {
	const char *brokers;      /* KAFKA_BROKERS */
	const char *properties;   /* KAFKA_PROPERTIES */
	const char *topic_prefix; /* TOPIC_PREFIX */
};
/* Whether KAFKA_PROPERTIES can be read, and holds none of the guarded names. ERR_INPUT. */
MUST_USE bool kafka_properties_check(const char *properties, struct err *err);
/* A table for `struct kafka_config` at the given offset of the service's config struct:
 *   static const struct config_option kafka_options[] = KAFKA_OPTIONS(struct my_config, kafka); */
#define KAFKA_OPTIONS(type, member)                                              \
	{                                                                        \
		{"KAFKA_BROKERS",                                                \
		 CONFIG_TEXT,                                                    \
		 offsetof(type, member.brokers),                                 \
		 "127.0.0.1:19092",                                              \
		 0,                                                              \
		 0,                                                              \
		 "bootstrap servers, comma-separated",                           \
		 NULL,                                                           \
		 NULL},                                                          \
			{"KAFKA_PROPERTIES",                                     \
		         CONFIG_SECRET,                                          \
		         offsetof(type, member.properties),                      \
		         "",                                                     \
		         0,                                                      \
		         0,                                                      \
		         "further librdkafka properties: name=value,name=value", \
		         NULL,                                                   \
		         kafka_properties_check},                                \
			{"TOPIC_PREFIX",                                         \
		         CONFIG_TEXT,                                            \
		         offsetof(type, member.topic_prefix),                    \
		         "ecommerce_",                                           \
		         0,                                                      \
		         0,                                                      \
		         "what every topic's and group's name begins with",      \
		         NULL,                                                   \
		         NULL},                                                  \
		{                                                                \
			0                                                        \
		}                                                                \
	}

enum kafka_role {
	KAFKA_CONSUMER,
	KAFKA_PRODUCER_IDEMPOTENT,
	KAFKA_PRODUCER_TRANSACTIONAL,
	KAFKA_ADMIN, /* for the brokers' own matters: joins no group, and holds nothing open */
};

/* Base conf: brokers, client.id, log callback, error handling, statistics, sizes for 4 MiB messages. The role's guarded properties are set
 * (consumer: enable.auto.commit=false, isolation.level=read_committed, auto.offset.reset=error,
 * enable.partition.eof=true; producers: idempotence, lz4). Extra "name","value" pairs end with NULL.
 * KAFKA_PROPERTIES is applied last: it may hold no guarded name, and none that librdkafka does not know; one of the other role is accepted.
 * NULL and err (ERR_INPUT) on bad properties. The caller owns the conf until rd_kafka_new. */
rd_kafka_conf_t *kafka_conf_new(const struct kafka_config *config, enum kafka_role role,
                                const char *client_id, const char *const *extra, struct err *err);
#endif
