/* Offsets of many partitions at once, from the mock cluster of librdkafka. */
#include "kafka/kafka_topic.h"

#include <criterion/criterion.h>
#include <librdkafka/rdkafka_mock.h>
#include <string.h>

#include "base/err.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_conf.h"

#define CALL_MS         20000
#define LIST_OFFSETS    2 /* key of the request */
#define REQUESTS_SHOWN  (RD_KAFKA_VERSION >= 0x02040000)
#define PARTITION_COUNT 3

static rd_kafka_t *client;
static rd_kafka_mock_cluster_t *cluster;

static void set_up(void)
{
	const struct kafka_config config = {.brokers = "127.0.0.1:1",
	                                    .properties = "test.mock.num.brokers=1",
	                                    .topic_prefix = ""};
	struct err err;
	rd_kafka_conf_t *conf =
		kafka_conf_new(&config, KAFKA_PRODUCER_IDEMPOTENT, "offsets", NULL, &err);

	client = conf ? kafka_client_new(conf, KAFKA_PRODUCER_IDEMPOTENT, &err) : NULL;
	cr_assert(client, "%s", err.message);
	cluster = rd_kafka_handle_mock_cluster(client);
	rd_kafka_mock_topic_create(cluster, "input", PARTITION_COUNT, 1);
}

static void tear_down(void)
{
	rd_kafka_destroy(client);
}

static void write_records(int32_t partition, int count)
{
	static char byte[1] = "x";

	for (int i = 0; i < count; i++)
		cr_assert_eq(rd_kafka_producev(client, RD_KAFKA_V_TOPIC("input"),
		                               RD_KAFKA_V_PARTITION(partition),
		                               RD_KAFKA_V_VALUE(byte, sizeof(byte)),
		                               RD_KAFKA_V_END),
		             RD_KAFKA_RESP_ERR_NO_ERROR);
	cr_assert_eq(rd_kafka_flush(client, CALL_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
}

static rd_kafka_topic_partition_list_t *all_partitions(const char *topic)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTITION_COUNT);

	rd_kafka_topic_partition_list_add_range(list, topic, 0, PARTITION_COUNT - 1);
	return list;
}

Test(kafka_topic, offsets_of_all_partitions_are_those_of_each, .init = set_up, .fini = tear_down)
{
	rd_kafka_topic_partition_list_t *lows = all_partitions("input"),
					*ends = all_partitions("input");
	static const int64_t written[PARTITION_COUNT] = {0, 3, 1};
	struct err err = {ERR_NONE, ""};

	write_records(1, 3);
	write_records(2, 1);
	cr_assert(kafka_offsets_at(client, lows, RD_KAFKA_OFFSET_BEGINNING, CALL_MS, &err), "%s",
	          err.message);
	cr_assert(kafka_offsets_at(client, ends, RD_KAFKA_OFFSET_END, CALL_MS, &err), "%s",
	          err.message);
	for (int p = 0; p < PARTITION_COUNT; p++) {
		int64_t low, end;

		cr_assert(kafka_offset_range(client, "input", p, CALL_MS, &low, &end, &err), "%s",
		          err.message);
		cr_assert_eq(lows->elems[p].offset, low, "partition %d", p);
		cr_assert_eq(ends->elems[p].offset, end, "partition %d", p);
		cr_assert_eq(end, written[p], "partition %d", p);
	}
	rd_kafka_topic_partition_list_destroy(lows);
	rd_kafka_topic_partition_list_destroy(ends);
}

#if REQUESTS_SHOWN
Test(kafka_topic, offsets_of_all_partitions_take_one_request, .init = set_up, .fini = tear_down)
{
	rd_kafka_topic_partition_list_t *ends = all_partitions("input");
	rd_kafka_mock_request_t **requests;
	size_t count, seen = 0;
	struct err err = {ERR_NONE, ""};

	rd_kafka_mock_start_request_tracking(cluster);
	cr_assert(kafka_offsets_at(client, ends, RD_KAFKA_OFFSET_END, CALL_MS, &err), "%s",
	          err.message);
	requests = rd_kafka_mock_get_requests(cluster, &count);
	for (size_t i = 0; i < count; i++)
		seen += rd_kafka_mock_request_api_key(requests[i]) == LIST_OFFSETS;
	rd_kafka_mock_request_destroy_array(requests, count);
	cr_assert_eq(seen, 1, "%zu requests", seen);
	rd_kafka_topic_partition_list_destroy(ends);
}
#endif

Test(kafka_topic, offsets_of_no_partition_need_no_request, .init = set_up, .fini = tear_down)
{
	rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(1);
	struct err err = {ERR_NONE, ""};

	cr_assert(kafka_offsets_at(client, none, RD_KAFKA_OFFSET_END, CALL_MS, &err));
	rd_kafka_topic_partition_list_destroy(none);
}

Test(kafka_topic, a_missing_partition_is_named_and_asked_for_again, .init = set_up,
     .fini = tear_down)
{
	rd_kafka_topic_partition_list_t *list = all_partitions("input");
	struct err err = {ERR_NONE, ""}, alone = {ERR_NONE, ""};
	int64_t low, end;

	rd_kafka_topic_partition_list_add(list, "input", 77);
	cr_assert_not(kafka_offset_range(client, "input", 77, CALL_MS, &low, &end, &alone));
	cr_assert_not(kafka_offsets_at(client, list, RD_KAFKA_OFFSET_END, CALL_MS, &err));
	cr_assert_eq(alone.class, ERR_RETRY, "%s", alone.message);
	cr_assert_eq(err.class, ERR_RETRY, "%s", err.message);
	cr_assert(strstr(err.message, "input/77"), "%s", err.message);
	rd_kafka_topic_partition_list_destroy(list);
}
