/* A group coordinator that is away: librdkafka's own call may wait for it forever. The mock
 * cluster of librdkafka stops the broker. Criterion's timeout fails the test if the call does not
 * return. */
#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "base/err.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_conf.h"
#include "kafka/send_offsets.h"

#define CALL_MS                 20000
#define TRANSACTION_COORDINATOR 1
#define GROUP_COORDINATOR       2

static rd_kafka_t *producer;
static rd_kafka_mock_cluster_t *cluster;

static void set_up(void)
{
	static const char *const extra[] = {"transactional.id", "id", NULL};
	const struct kafka_config config = {.brokers = "127.0.0.1:1",
	                                    .properties = "test.mock.num.brokers=2",
	                                    .topic_prefix = ""};
	struct err err;
	rd_kafka_conf_t *conf =
		kafka_conf_new(&config, KAFKA_PRODUCER_TRANSACTIONAL, "id", extra, &err);

	producer = conf ? kafka_client_new(conf, KAFKA_PRODUCER_TRANSACTIONAL, &err) : NULL;
	cr_assert(producer, "%s", err.message);
	cluster = rd_kafka_handle_mock_cluster(producer);
	rd_kafka_mock_topic_create(cluster, "input", 1, 1);
	rd_kafka_mock_coordinator_set(cluster, "transaction", "id", TRANSACTION_COORDINATOR);
	rd_kafka_mock_coordinator_set(cluster, "group", "group", GROUP_COORDINATOR);
	cr_assert_null(rd_kafka_init_transactions(producer, CALL_MS));
	cr_assert_null(rd_kafka_begin_transaction(producer));
}

static bool send_offsets(int timeout_ms, struct err *err)
{
	rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);

	rd_kafka_topic_partition_list_add(offsets, "input", 0)->offset = 7;
	return send_offsets_within(producer, offsets, rd_kafka_consumer_group_metadata_new("group"),
	                           timeout_ms, err);
}

Test(send_offsets, succeeds_if_the_coordinator_answers, .init = set_up)
{
	struct err err = {ERR_NONE, ""};

	cr_assert(send_offsets(CALL_MS, &err), "%s", err.message);
	cr_assert_null(rd_kafka_commit_transaction(producer, CALL_MS));
	rd_kafka_destroy(producer);
}

Test(send_offsets, returns_if_the_coordinator_is_away, .init = set_up, .timeout = 60)
{
	struct err err = {ERR_NONE, ""};

	cr_assert(send_offsets(CALL_MS, &err), "%s", err.message);
	rd_kafka_mock_broker_set_down(cluster, GROUP_COORDINATOR);
	cr_assert_not(send_offsets(1000, &err));
	cr_assert(err.class == ERR_RETRY || err.class == ERR_FENCED, "%s", err.message);
}
