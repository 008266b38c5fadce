/* The intake: its own decisions, and a consumer in a group of librdkafka's mock cluster. The
 * scenarios of tests/e2e test rebalances between members. */
#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/span.h"
#include "kafka/intake.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_conf.h"
#include "service/metrics.h"
#include "service/monotime.h"
#include "stream/record.h"
#include "stream/record_mark.h"

Test(intake, a_consumer_error_ends_the_service_only_if_waiting_does_not_help)
{
	static const struct {
		rd_kafka_resp_err_t code;
		enum err_class want;
	} table[] = {
		/* librdkafka tries again. */
		{RD_KAFKA_RESP_ERR__TRANSPORT, ERR_RETRY},
		{RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, ERR_RETRY},
		{RD_KAFKA_RESP_ERR_NOT_COORDINATOR, ERR_RETRY},
		{RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, ERR_RETRY},
		/* The group assigns the partitions to others, or to us again. */
		{RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED, ERR_RETRY},
		{RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, ERR_RETRY},
		{RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, ERR_RETRY},
		/* A missing topic may come back. */
		{RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, ERR_RETRY},
		{RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, ERR_RETRY},
		/* An operator has to act. */
		{RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, ERR_OPERATOR},
		{RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, ERR_OPERATOR},
		{RD_KAFKA_RESP_ERR__AUTHENTICATION, ERR_OPERATOR},
		{RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, ERR_OPERATOR},
		/* A new process can continue. */
		{RD_KAFKA_RESP_ERR__FATAL, ERR_FENCED},
		{RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, ERR_FENCED},
		/* Unknown: records may be missing. */
		{RD_KAFKA_RESP_ERR__BAD_MSG, ERR_FATAL},
		{RD_KAFKA_RESP_ERR__BAD_COMPRESSION, ERR_FATAL},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		cr_expect_eq(intake_error_class(table[i].code), table[i].want, "%s",
		             rd_kafka_err2name(table[i].code));
}

/* ---- with the mock cluster of librdkafka */

#define TOPIC   "p_input"
#define WAIT_MS 100
#define STORED  5
#define ON_MOCK .init = set_up, .fini = tear_down, .timeout = 60

static rd_kafka_t *producer;
static char brokers[256];
static struct kafka_config kafka = {.brokers = brokers, .properties = "", .topic_prefix = "p_"};
static struct metric *stale;
static struct intake *intake;
static struct record_mark last = {.offset = -1};

static void produce(int count)
{
	static char value[] = "value";

	for (int i = 0; i < count; i++)
		cr_assert_eq(rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(TOPIC),
		                               RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_KEY("key", 3),
		                               RD_KAFKA_V_VALUE(value, strlen(value)),
		                               RD_KAFKA_V_TIMESTAMP(INT64_MAX - 1),
		                               RD_KAFKA_V_HEADER("name", "text", 4),
		                               RD_KAFKA_V_END),
		             RD_KAFKA_RESP_ERR_NO_ERROR);
	cr_assert_eq(rd_kafka_flush(producer, 20000), RD_KAFKA_RESP_ERR_NO_ERROR);
}

/* A topic of two partitions. The first has STORED records. */
static void set_up(void)
{
	static const struct kafka_config mock = {.brokers = "127.0.0.1:1",
	                                         .properties = "test.mock.num.brokers=1",
	                                         .topic_prefix = ""};
	const struct intake_topic topic = {.suffix = "input"};
	struct err err = {ERR_NONE, ""};
	rd_kafka_conf_t *conf =
		kafka_conf_new(&mock, KAFKA_PRODUCER_IDEMPOTENT, "writer", NULL, &err);
	struct intake_config config = {.kafka = &kafka, .group = "group", .client_id = "reader"};

	producer = conf ? kafka_client_new(conf, KAFKA_PRODUCER_IDEMPOTENT, &err) : NULL;
	cr_assert(producer, "%s", err.message);
	rd_kafka_mock_topic_create(rd_kafka_handle_mock_cluster(producer), TOPIC, 2, 1);
	snprintf(brokers, sizeof(brokers), "%s",
	         rd_kafka_mock_cluster_bootstraps(rd_kafka_handle_mock_cluster(producer)));
	produce(STORED);
	config.stale = stale = metric_get(METRIC_COUNTER, "stale", "", "");
	intake = intake_new(&config, &err);
	cr_assert(intake && intake_set_topics(intake, NULL, &topic, 1, &err) &&
	                  intake_subscribe(intake, &err),
	          "%s", err.message);
	cr_assert_eq(intake_topic(intake, 0)->partition_count, 2);
}

static void tear_down(void)
{
	intake_close(intake);
	rd_kafka_destroy(producer);
}

/* Accepts the partitions, which are held then. */
static void accept_partitions(void)
{
	struct err err = {ERR_NONE, ""};

	while (intake_change(intake) == INTAKE_SAME)
		cr_assert_eq(intake_poll(intake, WAIT_MS, 10), 0,
		             "no records before the partitions are accepted");
	cr_assert_eq(intake_change(intake), INTAKE_ASSIGNED);
	cr_assert(intake_accept(intake, &err), "%s", err.message);
	cr_assert_eq(intake_change(intake), INTAKE_SAME);
	cr_assert_eq(intake_partition_count(intake), 2);
}

static struct assigned_partition *first_partition(void)
{
	return intake_partition(intake, intake_partition(intake, 0)->partition == 0 ? 0 : 1);
}

static void start(int64_t position)
{
	struct err err = {ERR_NONE, ""};

	first_partition()->position = position;
	first_partition()->last = &last;
	cr_assert(intake_start(intake, &err), "%s", err.message);
}

/* The next item of the first partition. */
static struct intake_item next_item(void)
{
	struct err err = {ERR_NONE, ""};
	struct intake_item item;

	for (;;) {
		cr_assert(intake_peek(intake, &item, &err), "%s", err.message);
		if (item.kind == INTAKE_NOTHING)
			intake_poll(intake, WAIT_MS, 10);
		else if (item.from->partition == 0)
			return item;
		else
			intake_next(intake);
	}
}

Test(intake, records_are_delivered_from_the_position_to_the_end, ON_MOCK)
{
	struct err err = {ERR_NONE, ""};
	struct intake_item item;

	accept_partitions();
	cr_assert(intake_log_starts(intake, &err), "%s", err.message);
	cr_assert(intake_log_ends(intake, &err), "%s", err.message);
	cr_expect_eq(first_partition()->low, 0);
	cr_expect_eq(first_partition()->high, STORED);
	start(2);
	for (int64_t offset = 2; offset < STORED; offset++) {
		item = next_item();
		cr_assert_eq(item.kind, INTAKE_RECORD);
		cr_assert_eq(item.record.offset, offset);
		item = next_item();
		cr_assert_eq(item.record.offset, offset, "the same again until intake_next");
		cr_expect(span_is(item.record.topic, TOPIC) && span_is(item.record.key, "key"));
		cr_expect(span_is(item.record.value, "value") &&
		          span_is(item.record.body, "value"));
		cr_expect(span_is(record_header(&item.record, "name"), "text"));
		cr_expect_eq(item.record.timestamp_ms, record_time_clamp_ms(INT64_MAX),
		             "the year 9999");
		cr_expect_eq(first_partition()->position, offset);
		rd_kafka_message_destroy(intake_keep(intake));
		cr_expect_eq(first_partition()->position, offset + 1);
	}
	item = next_item();
	cr_assert_eq(item.kind, INTAKE_END);
	cr_expect_eq(item.offset, STORED);
	intake_next(intake);
	cr_expect_eq(first_partition()->watch.end.offset, STORED);
}

Test(intake, held_partitions_deliver_nothing_and_polled_records_are_discarded, ON_MOCK)
{
	struct intake_item item;

	accept_partitions();
	for (int i = 0; i < 5; i++)
		cr_expect_eq(intake_poll(intake, WAIT_MS, 10), 0, "held");
	start(0);
	item = next_item();
	cr_assert_eq(item.record.offset, 0);
	cr_expect_eq(intake_poll(intake, 0, 10), 0, "messages of the last poll are left");
	intake_hold(intake);
	cr_expect_not(intake_is_reading(intake));
	cr_expect_eq(intake_partition_count(intake), 2, "the partitions stay");
	start(3);
	item = next_item();
	cr_expect_eq(item.record.offset, 3);
	cr_expect_eq(metric_value(stale), 0, "discarded by intake_hold, so not counted");
}

Test(intake, records_before_the_position_are_discarded_and_counted, ON_MOCK)
{
	struct intake_item item;

	accept_partitions();
	start(0);
	first_partition()->position = 4; /* the client reads from 0 */
	item = next_item();
	cr_assert_eq(item.kind, INTAKE_RECORD);
	cr_expect_eq(item.record.offset, 4);
	cr_expect_eq(metric_value(stale), 4);
}

Test(intake, a_log_without_the_last_record_is_refused, ON_MOCK)
{
	struct err err = {ERR_NONE, ""};
	struct intake_item item;

	accept_partitions();
	start(0);
	item = next_item();
	last = record_mark_of(0, item.record.timestamp_ms, item.record.key, item.record.value);
	intake_hold(intake);
	start(1);
	cr_expect(intake_recognises(intake, &err), "%s", err.message);
	intake_hold(intake);
	last.hash++;
	cr_expect_not(intake_start(intake, &err));
	cr_expect_eq(err.class, ERR_OPERATOR);
	cr_expect(strstr(err.message, "deleted and created again"), "%s", err.message);
	cr_expect_not(intake_is_reading(intake));
}

Test(intake, a_topic_that_has_grown_is_refused, ON_MOCK)
{
	struct err err = {ERR_NONE, ""};

	/* As if the topic had had one partition at the start. */
	((struct intake_topic *)(uintptr_t)intake_topic(intake, 0))->partition_count = 1;
	while (intake_change(intake) == INTAKE_SAME)
		intake_poll(intake, WAIT_MS, 10);
	cr_expect_not(intake_accept(intake, &err));
	cr_expect_eq(err.class, ERR_OPERATOR);
	cr_expect(strstr(err.message, TOPIC " had 1 partitions"), "%s", err.message);
}

Test(intake, an_intake_without_an_assignment_delivers_nothing_and_ends, ON_MOCK)
{
	struct err err = {ERR_NONE, ""};
	struct intake_item item;

	cr_assert(intake_peek(intake, &item, &err));
	cr_expect_eq(item.kind, INTAKE_NOTHING);
	cr_expect_not(intake_is_reading(intake));
	cr_expect(intake_recognises(intake, &err), "nothing was read, so nothing is in doubt");
	intake_close(NULL);
}

/* ---- a client that no longer connects */

#define SECONDS INT64_C(1000000)

Test(intake, without_partitions_it_is_given_up_after_two_minutes_if_the_brokers_answer, ON_MOCK)
{
	struct err err = {ERR_NONE, ""};
	int64_t now_us = monotonic_us();

	cr_expect(intake_verify_client(intake, now_us + 20 * SECONDS, &err));
	cr_expect(intake_verify_client(intake, now_us + 60 * SECONDS, &err),
	          "the client gets answers: %s", err.message);
	cr_expect(intake_verify_client(intake, now_us + 70 * SECONDS, &err), "checked before");
	cr_assert_not(intake_verify_client(intake, now_us + 130 * SECONDS, &err));
	cr_expect_eq(err.class, ERR_FENCED);
	cr_expect(strstr(err.message, "no partitions"), "%s", err.message);
}

Test(intake, with_partitions_its_client_is_not_checked, ON_MOCK)
{
	struct err err = {ERR_NONE, ""};

	accept_partitions();
	cr_expect(intake_verify_client(intake, monotonic_us() + 900 * SECONDS, &err), "%s",
	          err.message);
}

Test(intake, a_client_without_answers_is_given_up_if_a_new_client_gets_them)
{
	static const struct kafka_config mock = {.brokers = "127.0.0.1:1",
	                                         .properties = "test.mock.num.brokers=1",
	                                         .topic_prefix = ""};
	const struct intake_topic topic = {.suffix = "input"};
	struct kafka_config own = {.properties = "", .topic_prefix = ""};
	struct intake_config config = {.kafka = &own, .group = "group", .client_id = "reader"};
	struct err err = {ERR_NONE, ""};
	rd_kafka_t *first, *second;
	int64_t later_us;
	struct intake *lost;

	first = kafka_client_new(kafka_conf_new(&mock, KAFKA_ADMIN, "first", NULL, &err),
	                         KAFKA_ADMIN, &err);
	second = kafka_client_new(kafka_conf_new(&mock, KAFKA_ADMIN, "second", NULL, &err),
	                          KAFKA_ADMIN, &err);
	cr_assert(first && second);
	rd_kafka_mock_topic_create(rd_kafka_handle_mock_cluster(first), "input", 2, 1);
	rd_kafka_mock_topic_create(rd_kafka_handle_mock_cluster(second), "input", 2, 1);
	own.brokers = rd_kafka_mock_cluster_bootstraps(rd_kafka_handle_mock_cluster(first));
	config.stale = metric_get(METRIC_COUNTER, "stale_lost", "", "");
	lost = intake_new(&config, &err);
	cr_assert(lost && intake_set_topics(lost, NULL, &topic, 1, &err) &&
	                  intake_subscribe(lost, &err),
	          "%s", err.message);
	later_us = monotonic_us() + 31 * SECONDS;
	rd_kafka_destroy(first);
	cr_expect(intake_verify_client(lost, later_us, &err), "nobody answers: %s", err.message);
	own.brokers = rd_kafka_mock_cluster_bootstraps(rd_kafka_handle_mock_cluster(second));
	cr_expect_not(intake_verify_client(lost, later_us + 31 * SECONDS, &err));
	cr_expect_eq(err.class, ERR_FENCED);
	intake_close(lost);
	rd_kafka_destroy(second);
}
