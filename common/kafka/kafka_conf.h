/* Kafka client set-up, the same for every program: settings, guarded properties, callbacks.
 *
 * KAFKA_PROPERTIES ("name=value,name=value") can set every librdkafka property except those that
 * our guarantees depend on: an error names these. It may contain a password, so it is never
 * shown. A part without = belongs to the value before it (debug=cgrp,topic); \, is a comma within
 * a value. */
#ifndef FUNNEL_KAFKA_CONF_H
#define FUNNEL_KAFKA_CONF_H

#include <librdkafka/rdkafka.h>

#include "base/err.h"
#include "kafka/kafka_security.h"
#include "service/config.h"

struct kafka_config {
	const char *brokers;            /* KAFKA_BROKERS */
	const char *properties;         /* KAFKA_PROPERTIES */
	const char *topic_prefix;       /* TOPIC_PREFIX */
	struct kafka_security security; /* KAFKA_SECURITY_PROTOCOL, KAFKA_SSL_*, KAFKA_SASL_* */
};
/* Whether the settings fit together, for the check of a table of settings. config: a struct
 * kafka_config. ERR_INPUT. */
MUST_USE bool kafka_config_check(const char *config, struct err *err);
/* Whether KAFKA_PROPERTIES can be parsed and has no guarded name. ERR_INPUT. */
MUST_USE bool kafka_properties_check(const char *properties, struct err *err);
/* A table of settings for the member of type struct kafka_config in the program's config struct:
 *   static const struct config_option kafka_options[] = KAFKA_OPTIONS(struct my_config, kafka); */
/* clang-format off */
#define KAFKA_OPTIONS(config, member)                                            \
	{                                                                        \
		{                                                                \
			.name = "KAFKA_BROKERS",                                 \
			.type = CONFIG_TEXT,                                     \
			.offset = offsetof(config, member.brokers),              \
			.default_value = "127.0.0.1:19092",                      \
			.help = "bootstrap servers, comma-separated",            \
		},                                                               \
		{                                                                \
			.name = "KAFKA_PROPERTIES",                              \
			.type = CONFIG_SECRET,                                   \
			.offset = offsetof(config, member.properties),           \
			.default_value = "",                                     \
			.help = "further librdkafka properties: name=value,...", \
			.check = kafka_properties_check,                         \
		},                                                               \
		{                                                                \
			.name = "TOPIC_PREFIX",                                  \
			.type = CONFIG_TEXT,                                     \
			.offset = offsetof(config, member.topic_prefix),         \
			.default_value = "ecommerce_",                           \
			.help = "prefix of the names of all topics and groups",  \
		},                                                               \
		KAFKA_SECURITY_ROWS(config, member.security),                    \
		{                                                                \
			.offset = offsetof(config, member),                      \
			.check = kafka_config_check,                             \
		},                                                               \
	}
/* clang-format on */

enum kafka_role {
	KAFKA_CONSUMER,
	KAFKA_PRODUCER_IDEMPOTENT,
	KAFKA_PRODUCER_TRANSACTIONAL,
	KAFKA_ADMIN, /* administration: joins no group and begins no transaction */
};

/* Creates a configuration for the role: brokers, client.id, callbacks for logs, errors and
 * statistics, sizes for 4 MiB messages, and the guarded properties (consumer:
 * enable.auto.commit=false, isolation.level=read_committed, auto.offset.reset=error,
 * enable.partition.eof=true; producers: idempotence, lz4). extra: pairs of name and value, then
 * NULL; may be NULL. KAFKA_PROPERTIES is applied last. A guarded or unknown name in it is an
 * error; a property of the other role is accepted. NULL with ERR_INPUT: invalid properties. The
 * caller owns the result. */
rd_kafka_conf_t *kafka_conf_new(const struct kafka_config *config, enum kafka_role role,
                                const char *client_id, const char *const *extra, struct err *err);
#endif
