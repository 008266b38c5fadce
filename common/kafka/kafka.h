/* Kafka client set-up, the same for every service: settings, guarded properties, logs.
 *
 * KAFKA_PROPERTIES ("name=value,name=value") reaches every librdkafka property but those that our
 * guarantees depend on; those are refused by name. It may hold a password, so it is never shown. A part without
 * = belongs to the value before it (debug=cgrp,topic); \, is a comma within a value. */
#ifndef FUNNEL_KAFKA_H
#define FUNNEL_KAFKA_H

#include <librdkafka/rdkafka.h>

#include "base/err.h"
#include "service/config.h"
#include "stream/outbox.h"

struct kafka_config {
	const char *brokers;      /* KAFKA_BROKERS */
	const char *properties;   /* KAFKA_PROPERTIES */
	const char *topic_prefix; /* TOPIC_PREFIX */
};
/* Whether KAFKA_PROPERTIES can be read, and holds none of the guarded names. ERR_INPUT. */
MUST_USE bool kafka_properties_check(const char *properties, struct err *err);
/* A table for `struct kafka_config` at the given offset of the service's config struct:
 *   static const struct config_option kafka_options[] = KAFKA_OPTIONS(struct my_config, kafka); */
#define KAFKA_OPTIONS(type, member) \
	{ \
		{"KAFKA_BROKERS", CONFIG_TEXT, offsetof(type, member.brokers), "127.0.0.1:19092", 0, 0, "bootstrap servers, comma-separated", NULL}, \
		{"KAFKA_PROPERTIES", CONFIG_SECRET, offsetof(type, member.properties), "", 0, 0, "further librdkafka properties: name=value,name=value", NULL, \
		 kafka_properties_check}, \
		{"TOPIC_PREFIX", CONFIG_TEXT, offsetof(type, member.topic_prefix), "ecommerce_", 0, 0, "what every topic's and group's name begins with", NULL}, \
		{0} \
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
rd_kafka_conf_t *kafka_conf_new(const struct kafka_config *config, enum kafka_role role, const char *client_id, const char *const *extra,
                                struct err *err);
/* False and ERR_REFUSE for a librdkafka that breaks our guarantees. version: as rd_kafka_version()
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

/* Waits up to timeout_ms for the topic's metadata. ERR_RETRY: no broker; ERR_REFUSE: no such topic, and asking again for up to
 * 5 s (at most timeout_ms) has not changed that. */
MUST_USE bool kafka_partition_count(rd_kafka_t *client, const char *topic, int timeout_ms, int32_t *count, struct err *err);

/* First offset of a partition, and the one behind the last that its client's isolation level lets it read. ERR_REFUSE: a right is
 * missing; ERR_RETRY: anything else. */
MUST_USE bool kafka_bounds(rd_kafka_t *client, const char *topic, int32_t partition, int timeout_ms, int64_t *low, int64_t *high, struct err *err);

/* Logs which of the client's topics lack a leader or replicas, since librdkafka itself tries on in silence. For calls that have
 * failed for a while; does something every 10 s at most. */
void kafka_tell_partitions(rd_kafka_t *client, int timeout_ms);

/* Error classes of librdkafka's results. */
enum err_class kafka_err_class(rd_kafka_resp_err_t code);
/* A right is missing: somebody has to give it. */
bool kafka_err_missing_right(rd_kafka_resp_err_t code);
/* From an rd_kafka_error_t (taken and destroyed): a missing right, fenced, fatal, abortable, retriable. Returns false. */
bool kafka_err_take(struct err *err, rd_kafka_error_t *error, const char *context);

/* The broker has dropped a transactional id that was unused for transactional.id.expiration.ms; a
 * new client can go on. */
bool kafka_err_is_expired_id(const struct err *err);

/* A record's own time. Its writer may have set it to any number: cut to the years 1970 to 9999. */
int64_t kafka_time_ms(const rd_kafka_message_t *message);

/* Copies of an output's headers; given to a produce call, which takes them, or to rd_kafka_headers_destroy. */
rd_kafka_headers_t *kafka_headers_new(const struct output *output);

#endif
