/* Properties are set in layers; a later one wins: tuning, encryption and passwords, guarded
 * properties, those of the program (extra), and KAFKA_PROPERTIES, which cannot contain guarded
 * names or their aliases.
 *
 * The tuning is for small transactions in quick succession. The broker may answer
 * CONCURRENT_TRANSACTIONS to the first request of the next transaction, AddOffsetsToTxn
 * (task_loop_transaction.c). Then the client waits for retry.backoff.ms (default 100 ms, here 5
 * ms). A flush ignores linger.ms. librdkafka warns of a property of the other role; our log shows
 * that warning at level debug.
 * Limits: KAFKA_PROPERTIES has at most 4 KiB. */
#include "kafka/kafka_conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka/kafka_log.h"
#include "kafka/kafka_stats.h"

#define PROPERTIES_CAP 4096
#define IN_FLIGHT_MAX  5 /* with more, the idempotent producer could reorder */

struct property {
	const char *name, *value;
};

static const struct property tuning_all[] = {
	/* With true, 2.15.1 may never connect again to its only broker after that has stopped. */
	{"enable.sparse.connections", "false"},
	{"reconnect.backoff.ms", "50"},
	{"reconnect.backoff.max.ms", "2000"},
	{"topic.metadata.refresh.interval.ms", "30000"},
	{"socket.nagle.disable", "true"},
	{"socket.keepalive.enable", "true"},
	/* A record of 4 MiB with its headers, and room for the headers of a dead letter. */
	{"message.max.bytes", "8388608"},
	{"receive.message.max.bytes", "67108864"},
	{"statistics.interval.ms", "5000"},
	{"log.connection.close", "false"},
	{NULL, NULL},
};
static const struct property tuning_consumer[] = {
	/* The broker returns available records immediately. An idle consumer fetches this often. */
	{"fetch.wait.max.ms", "50"},
	{"fetch.error.backoff.ms", "20"},
	/* Of one partition. A larger batch of records is returned too, if it is the first. */
	{"fetch.message.max.bytes", "524288"},
	/* Bounds each response: librdkafka derives fetch.max.bytes from this, if it is larger than
	 * queued.max.messages.kbytes. It limits what a consumer sends, not what it reads. */
	{"message.max.bytes", "1048576"},
	/* Of each queue: partition_queues.h. */
	{"queued.max.messages.kbytes", "512"},
	{"queued.min.messages", "20000"},
	{"session.timeout.ms", "10000"},
	{"heartbeat.interval.ms", "1000"},
	{"max.poll.interval.ms", "300000"},
	{"fetch.queue.backoff.ms", "5"}, /* since librdkafka 2.2; older ones skip it */
	{NULL, NULL},
};
static const struct property tuning_producer[] = {
	/* Measured: 1 ms costs up to a third of the rate. It gains nothing, because a commit
	 * flushes. */
	{"linger.ms", "5"},
	{"retry.backoff.ms", "5"},
	{"queue.buffering.max.messages", "1000000"},
	{"queue.buffering.max.kbytes", "524288"},
	{"batch.num.messages", "10000"},
	{"batch.size", "1048576"},
	{"compression.codec", "lz4"},
	{NULL, NULL},
};
static const struct property tuning_transactional[] = {
	{"transaction.timeout.ms", "10000"},
	{NULL, NULL},
};

static const struct property guarded_consumer[] = {
	{"enable.auto.commit", "false"},
	{"enable.auto.offset.store", "false"},
	{"isolation.level", "read_committed"},
	{"auto.offset.reset", "error"},
	{"enable.partition.eof", "true"},
	{"partition.assignment.strategy", "range"},
	{NULL, NULL},
};
static const struct property guarded_producer[] = {
	{"enable.idempotence", "true"},
	{"acks", "all"},
	{"max.in.flight.requests.per.connection", "5"},
	{"partitioner", "murmur2_random"},
	{NULL, NULL},
};

/* Names that KAFKA_PROPERTIES cannot set. A comment names the property of an alias. */
static const char *const guarded_names[] = {
	"enable.auto.commit",
	"auto.commit.enable", /* enable.auto.commit */
	"enable.auto.offset.store",
	"isolation.level",
	"auto.offset.reset",
	"enable.partition.eof",
	"partition.assignment.strategy",
	"group.id",
	"transactional.id",
	"enable.idempotence",
	"acks",
	"request.required.acks", /* acks */
	"partitioner",
	"bootstrap.servers",
	"metadata.broker.list", /* bootstrap.servers */
};

/* Empty, but needed. Every commit begins with a flush. Without delivery reports, the flush of
 * librdkafka (2.0.2 and 2.15.1) does not wake up at the last acknowledgement, but polls every 10
 * ms. Measured at 5,000 events/s through both services: p99 from raw append to visible aggregate
 * fell from 201 to 96 ms. */
static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
	(void)client;
	(void)message;
	(void)opaque;
}

static bool set_property(rd_kafka_conf_t *conf, const char *name, const char *value,
                         struct err *err)
{
	char why[512];

	if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
		return true;
	return err_set(err, ERR_INPUT, "Kafka property %s: %s", name, why);
}

static bool set_properties(rd_kafka_conf_t *conf, const struct property *properties,
                           struct err *err)
{
	for (; properties->name; properties++) {
		char why[512];

		if (rd_kafka_conf_set(conf, properties->name, properties->value, why,
		                      sizeof(why)) == RD_KAFKA_CONF_INVALID)
			return err_set(err, ERR_INPUT, "Kafka property %s: %s", properties->name,
			               why);
	}
	return true;
}

static bool check_user_property(const char *name, const char *value, struct err *err)
{
	bool in_flight = strcmp(name, "max.in.flight") == 0 ||
	                 strcmp(name, "max.in.flight.requests.per.connection") == 0;

	for (size_t i = 0; i < sizeof(guarded_names) / sizeof(*guarded_names); i++)
		if (strcmp(name, guarded_names[i]) == 0)
			return err_set(
				err, ERR_INPUT,
				"%s cannot be set, because exactly-once depends on it: remove it",
				name);
	if (in_flight) {
		char *end;
		long number = strtol(value, &end, 10);

		if (*end || end == value || number < 1 || number > IN_FLIGHT_MAX)
			return err_set(
				err, ERR_INPUT,
				"invalid value \"%s\" for %s: expected 1 to %d; a higher value "
				"could reorder messages",
				value, name, IN_FLIGHT_MAX);
	}
	return kafka_security_check_property(name, value, err);
}

/* Ends the item at its comma. A part without = belongs to the value before it: debug=cgrp,topic
 * is one property. \, is a comma within a value, and does not end the item. Returns the next
 * item; NULL: none. */
static char *split_property(char *item)
{
	char *to = item, *from = item;

	for (; *from; from++) {
		if (*from == '\\' && from[1] == ',') {
			*to++ = *++from;
			continue;
		}
		if (*from == ',' &&
		    (strcspn(from + 1, ",") == 0 || memchr(from + 1, '=', strcspn(from + 1, ","))))
			break;
		*to++ = *from;
	}
	from = *from ? from + 1 : NULL;
	*to = '\0';
	return from;
}

static bool set_user_properties(rd_kafka_conf_t *conf, const char *text, struct err *err)
{
	char copy[PROPERTIES_CAP], *item = copy, *next;
	bool good = true;

	if (!text)
		return true;
	if (strlen(text) >= sizeof(copy))
		return err_set(err, ERR_INPUT, "expected at most %d bytes", PROPERTIES_CAP - 1);
	snprintf(copy, sizeof(copy), "%s", text);
	for (; good && item; item = next) {
		char *equals;

		next = split_property(item);
		item += strspn(item, " ");
		equals = strchr(item, '=');
		if (!*item)
			continue;
		if (!equals || equals == item)
			good = err_set(err, ERR_INPUT, "expected name=value,name=value");
		else {
			*equals = '\0';
			good = check_user_property(item, equals + 1, err) &&
			       set_property(conf, item, equals + 1, err);
		}
	}
	explicit_bzero(copy, sizeof(copy));
	return good;
}

bool kafka_properties_check(const char *properties, struct err *err)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	bool good = set_user_properties(conf, properties, err);

	rd_kafka_conf_destroy(conf);
	return good;
}

bool kafka_config_check(const char *config, struct err *err)
{
	const struct kafka_config *kafka = (const void *)config;

	return kafka_security_check(&kafka->security, err);
}

static bool set_role(rd_kafka_conf_t *conf, enum kafka_role role, struct err *err)
{
	switch (role) {
	case KAFKA_CONSUMER:
		return set_properties(conf, tuning_consumer, err) &&
		       set_properties(conf, guarded_consumer, err);
	case KAFKA_PRODUCER_IDEMPOTENT:
		return set_properties(conf, tuning_producer, err) &&
		       set_properties(conf, guarded_producer, err);
	case KAFKA_PRODUCER_TRANSACTIONAL:
		rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
		return set_properties(conf, tuning_producer, err) &&
		       set_properties(conf, tuning_transactional, err) &&
		       set_properties(conf, guarded_producer, err);
	case KAFKA_ADMIN: return true;
	}
	return err_set(err, ERR_FATAL, "unknown Kafka role");
}

static bool set_extra(rd_kafka_conf_t *conf, const char *const *extra, struct err *err)
{
	for (; extra && extra[0]; extra += 2)
		if (!set_property(conf, extra[0], extra[1], err))
			return false;
	return true;
}

rd_kafka_conf_t *kafka_conf_new(const struct kafka_config *config, enum kafka_role role,
                                const char *client_id, const char *const *extra, struct err *err)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	bool good;

	rd_kafka_conf_set_log_cb(conf, kafka_on_log);
	rd_kafka_conf_set_error_cb(conf, kafka_on_error);
	rd_kafka_conf_set_stats_cb(conf, kafka_on_stats);
	good = set_properties(conf, tuning_all, err) &&
	       set_property(conf, "bootstrap.servers", config->brokers, err) &&
	       set_property(conf, "client.id", client_id, err) &&
	       kafka_security_set(conf, &config->security, err) && set_role(conf, role, err) &&
	       set_extra(conf, extra, err) &&
	       (set_user_properties(conf, config->properties, err) ||
	        err_prefix(err, "KAFKA_PROPERTIES"));
	if (good)
		return conf;
	rd_kafka_conf_destroy(conf);
	return NULL;
}
