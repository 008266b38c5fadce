/* Kafka settings, guarded properties, error classes and statistics. Needs no broker. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_conf.h"
#include "kafka/kafka_error.h"
#include "kafka/kafka_stats.h"
#include "kafka/kafka_topic.h"
#include "service/metrics.h"

static rd_kafka_conf_t *conf_of(enum kafka_role role, const char *properties, struct err *err)
{
	static const char *const extra[] = {"group.id", "g", NULL}, *const extra_transactional[] = {
									    "transactional.id", "t",
									    NULL};
	const struct kafka_config config = {.brokers = "127.0.0.1:1",
	                                    .properties = properties,
	                                    .topic_prefix = ""};

	return kafka_conf_new(&config, role, "client",
	                      role == KAFKA_CONSUMER                 ? extra
	                      : role == KAFKA_PRODUCER_TRANSACTIONAL ? extra_transactional
	                                                             : NULL,
	                      err);
}

static const char *value_of(const rd_kafka_conf_t *conf, const char *name)
{
	static char value[256];
	size_t len = sizeof(value);

	return rd_kafka_conf_get(conf, name, value, &len) == RD_KAFKA_CONF_OK ? value : "(unknown)";
}

Test(kafka, guarded_properties_are_set_for_each_role)
{
	static const struct {
		enum kafka_role role;
		const char *name, *value;
	} table[] = {
		{KAFKA_CONSUMER, "enable.auto.commit", "false"},
		{KAFKA_CONSUMER, "enable.auto.offset.store", "false"},
		{KAFKA_CONSUMER, "isolation.level", "read_committed"},
		{KAFKA_CONSUMER, "enable.partition.eof", "true"},
		{KAFKA_CONSUMER, "partition.assignment.strategy", "range"},
		{KAFKA_CONSUMER, "group.id", "g"},
		{KAFKA_PRODUCER_IDEMPOTENT, "enable.idempotence", "true"},
		{KAFKA_PRODUCER_IDEMPOTENT, "compression.codec", "lz4"},
		{KAFKA_PRODUCER_TRANSACTIONAL, "enable.idempotence", "true"},
		{KAFKA_PRODUCER_TRANSACTIONAL, "transactional.id", "t"},
		{KAFKA_PRODUCER_TRANSACTIONAL, "transaction.timeout.ms", "10000"},
		{KAFKA_PRODUCER_TRANSACTIONAL, "retry.backoff.ms", "5"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct err err = {0};
		rd_kafka_conf_t *conf = conf_of(table[i].role, "", &err);

		cr_assert(conf, "%s", err.message);
		cr_expect_str_eq(value_of(conf, table[i].name), table[i].value, "%s",
		                 table[i].name);
		rd_kafka_conf_destroy(conf);
	}
}

Test(kafka, every_role_makes_a_client_with_its_own_settings)
{
	for (int role = KAFKA_CONSUMER; role <= KAFKA_PRODUCER_TRANSACTIONAL; role++) {
		struct err err = {0};
		rd_kafka_conf_t *conf = conf_of((enum kafka_role)role, "log_level=0", &err);
		rd_kafka_t *client =
			conf ? kafka_client_new(conf, (enum kafka_role)role, &err) : NULL;

		cr_assert(client, "role %d: %s", role, err.message);
		rd_kafka_destroy(client);
	}
}

Test(kafka, a_library_that_moves_positions_at_the_end_of_a_partition_is_refused)
{
	static const struct {
		int version;
		const char *refused; /* the version in the message */
	} table[] = {
		{0x020002ff, NULL},     {0x020101ff, NULL},     {0x0201ffff, NULL},
		{0x02020001, "2.2.0"},  {0x020200ff, "2.2.0"},  {0x020800ff, "2.8.0"},
		{0x020c01ff, "2.12.1"}, {0x020d00ff, "2.13.0"}, {0x020d01ff, "2.13.1"},
		{0x020d02ff, NULL},     {0x020e02ff, NULL},     {0x020f01ff, NULL},
		{0x030000ff, NULL},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct err err = {0};
		bool usable = kafka_library_check(table[i].version, &err);

		cr_expect_eq(usable, table[i].refused == NULL, "%08x", (unsigned)table[i].version);
		if (!table[i].refused)
			continue;
		cr_expect_eq(err.class, ERR_OPERATOR, "%08x", (unsigned)table[i].version);
		cr_expect(strstr(err.message, table[i].refused), "%s", err.message);
		cr_expect(strstr(err.message, "#5213"), "%s", err.message);
	}
}

Test(kafka, users_may_set_other_properties)
{
	static const struct {
		const char *properties, *name, *value;
	} table[] = {
		{"linger.ms=3", "linger.ms", "3"},
		{" linger.ms=3, retry.backoff.ms=50,", "retry.backoff.ms", "50"},
		{"debug=cgrp,topic,linger.ms=4", "debug", "topic,cgrp"},
		{"debug=cgrp,topic,linger.ms=4", "linger.ms", "4"},
		{"sasl.password=a\\,b=c,linger.ms=4", "sasl.password", "a,b=c"},
		{"client.id=a=b", "client.id", "a=b"},
		{"max.in.flight=4", "max.in.flight.requests.per.connection", "4"},
		{"fetch.wait.max.ms=7", "fetch.wait.max.ms", "7"}, /* of the other role: accepted */
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct err err = {0};
		rd_kafka_conf_t *conf =
			conf_of(KAFKA_PRODUCER_TRANSACTIONAL, table[i].properties, &err);

		cr_assert(conf, "%s: %s", table[i].properties, err.message);
		cr_expect_str_eq(value_of(conf, table[i].name), table[i].value, "%s: %s",
		                 table[i].properties, value_of(conf, table[i].name));
		rd_kafka_conf_destroy(conf);
	}
}

Test(kafka, guarded_unknown_and_malformed_properties_are_refused_by_name)
{
	static const char *const table[] = {
		"enable.auto.commit=false",
		"auto.commit.enable=true",
		"enable.auto.offset.store=true",
		"isolation.level=read_uncommitted",
		"auto.offset.reset=latest",
		"enable.partition.eof=true",
		"transactional.id=x",
		"enable.idempotence=false",
		"acks=1",
		"request.required.acks=1",
		"group.id=x",
		"partition.assignment.strategy=roundrobin",
		"bootstrap.servers=x",
		"metadata.broker.list=x",
		"partitioner=random",
		"max.in.flight=6",
		"max.in.flight.requests.per.connection=1000000",
		"max.in.flight=",
		"no.such.property=1",
		"linger.ms=abc",
		"word",
		"linger.ms=1, group.id=x",
		"=x",
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		for (int role = KAFKA_CONSUMER; role <= KAFKA_PRODUCER_TRANSACTIONAL; role++) {
			struct err err = {0};

			cr_expect_null(conf_of((enum kafka_role)role, table[i], &err), "%s",
			               table[i]);
			cr_expect_eq(err.class, ERR_INPUT, "%s", table[i]);
			cr_expect(strstr(err.message, "KAFKA_PROPERTIES"), "%s", err.message);
		}
	}
}

Test(kafka, errors_have_the_class_of_the_action)
{
	static const struct {
		rd_kafka_resp_err_t code;
		enum err_class class;
	} table[] = {
		{RD_KAFKA_RESP_ERR_NO_ERROR, ERR_NONE},
		{RD_KAFKA_RESP_ERR__FENCED, ERR_FENCED},
		{RD_KAFKA_RESP_ERR_PRODUCER_FENCED, ERR_FENCED},
		{RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, ERR_FENCED},
		{RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, ERR_FENCED},
		{RD_KAFKA_RESP_ERR__TRANSPORT, ERR_RETRY},
		{RD_KAFKA_RESP_ERR__TIMED_OUT, ERR_RETRY},
		{RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, ERR_ABORT},
		{RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST, ERR_ABORT},
		{RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, ERR_OPERATOR},
		{RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, ERR_OPERATOR},
		{RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, ERR_OPERATOR},
		{RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, ERR_RETRY},
		{RD_KAFKA_RESP_ERR__BAD_MSG, ERR_FATAL},
		{(rd_kafka_resp_err_t)-12345, ERR_FATAL},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		cr_expect_eq(kafka_err_class(table[i].code), table[i].class, "%s",
		             rd_kafka_err2name(table[i].code));
}

Test(kafka, a_missing_right_needs_an_operator_and_is_reported_with_its_context)
{
	static const rd_kafka_resp_err_t table[] = {
		RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
		RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
		RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
		RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED,
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct err err = {0};

		cr_expect_not(kafka_err_take(&err, rd_kafka_error_new(table[i], "no right to t"),
		                             "produce"));
		cr_expect_eq(err.class, ERR_OPERATOR, "%s", rd_kafka_err2name(table[i]));
		cr_expect(strstr(err.message, "produce: no right to t"), "%s", err.message);
	}
}

Test(kafka, request_times_of_the_slowest_broker_are_shown_in_seconds_and_by_the_old_name)
{
	char stats[] = "{\"client_id\":\"c\",\"brokers\":{\"a\":{\"rtt\":{\"p95\":1500}},"
		       "\"b\":{\"rtt\":{\"p95\":2000001}}}}";
	struct err err = {0};
	rd_kafka_conf_t *conf = conf_of(KAFKA_PRODUCER_IDEMPOTENT, "log_level=0", &err);
	rd_kafka_t *client = conf ? kafka_client_new(conf, KAFKA_PRODUCER_IDEMPOTENT, &err) : NULL;
	size_t len;
	char *text;

	cr_assert(client, "%s", err.message);
	cr_expect_eq(kafka_on_stats(client, stats, strlen(stats), NULL), 0);
	text = metrics_render(&len);
	cr_assert(text);
	cr_expect(strstr(text, "\nfunnel_kafka_rtt_p95_seconds{client=\"c\",type=\"producer\"} "
	                       "2.000001\n"),
	          "%s", text);
	cr_expect(strstr(text, "\nfunnel_kafka_rtt_p95_microseconds{client=\"c\","
	                       "type=\"producer\"} 2000001\n"),
	          "%s", text);
	free(text);
	rd_kafka_destroy(client);
}

Test(kafka, a_topic_cannot_be_queried_without_a_broker)
{
	struct err err = {0};
	rd_kafka_conf_t *conf = conf_of(KAFKA_CONSUMER, "log_level=0", &err);
	rd_kafka_t *client = conf ? kafka_client_new(conf, KAFKA_CONSUMER, &err) : NULL;
	int32_t count = -1;

	cr_assert(client, "%s", err.message);
	cr_expect_not(kafka_partition_count(client, "t", 100, &count, &err));
	cr_expect_eq(err.class, ERR_RETRY);
	rd_kafka_destroy(client);
}
