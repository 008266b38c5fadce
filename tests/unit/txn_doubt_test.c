/* The count of unanswered transactional requests. The mock cluster of librdkafka closes the
 * connection during one request. The application's call succeeds, and only the count shows that
 * the request was sent twice. */
#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "base/err.h"
#include "kafka/kafka_conf.h"
#include "kafka/txn_doubt.h"

#define CALL_MS 20000

enum {
	API_PRODUCE = 0,
	API_INIT_PRODUCER_ID = 22,
	API_ADD_PARTITIONS = 24,
	API_ADD_OFFSETS = 25,
	API_END_TXN = 26,
	API_TXN_OFFSET_COMMIT = 28,
};

Test(txn_doubt, only_unanswered_requests_of_the_four_kinds_raise_it)
{
	static const struct {
		const char *label;
		int16_t api_key;
		rd_kafka_resp_err_t err;
		bool want;
	} table[] = {
		{"EndTxn, connection cut", API_END_TXN, RD_KAFKA_RESP_ERR__TRANSPORT, true},
		{"EndTxn, no answer in time", API_END_TXN, RD_KAFKA_RESP_ERR__TIMED_OUT, true},
		{"EndTxn, timed out in the queue", API_END_TXN, RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE,
	         true},
		{"EndTxn, answered", API_END_TXN, RD_KAFKA_RESP_ERR_NO_ERROR, false},
		{"AddPartitionsToTxn, connection cut", API_ADD_PARTITIONS,
	         RD_KAFKA_RESP_ERR__TRANSPORT, true},
		{"AddOffsetsToTxn, connection cut", API_ADD_OFFSETS, RD_KAFKA_RESP_ERR__TRANSPORT,
	         true},
		{"TxnOffsetCommit, connection cut", API_TXN_OFFSET_COMMIT,
	         RD_KAFKA_RESP_ERR__TRANSPORT, true},
		{"TxnOffsetCommit, answered", API_TXN_OFFSET_COMMIT, RD_KAFKA_RESP_ERR_NO_ERROR,
	         false},
		{"Produce has sequence numbers", API_PRODUCE, RD_KAFKA_RESP_ERR__TRANSPORT, false},
		{"InitProducerId fences", API_INIT_PRODUCER_ID, RD_KAFKA_RESP_ERR__TRANSPORT,
	         false},
		{"an answer without a request", -1, RD_KAFKA_RESP_ERR__NOENT, false},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		cr_assert_eq(txn_doubt_is_raised_by(table[i].api_key, table[i].err), table[i].want,
		             "%s", table[i].label);
}

static rd_kafka_t *producer_new(struct txn_doubt *doubt)
{
	static const char *const extra[] = {"transactional.id", "doubt", NULL};
	const struct kafka_config config = {.brokers = "127.0.0.1:1",
	                                    .properties = "test.mock.num.brokers=1",
	                                    .topic_prefix = ""};
	struct err err;
	rd_kafka_conf_t *conf =
		kafka_conf_new(&config, KAFKA_PRODUCER_TRANSACTIONAL, "doubt", extra, &err);
	rd_kafka_t *producer = conf ? txn_doubt_client_new(doubt, conf, &err) : NULL;

	cr_assert(producer, "%s", err.message);
	return producer;
}

static void succeeds(rd_kafka_error_t *error, const char *call)
{
	cr_assert_null(error, "%s: %s", call, error ? rd_kafka_error_string(error) : "");
}

static void send_offsets(rd_kafka_t *producer)
{
	rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);
	rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata_new("group");

	rd_kafka_topic_partition_list_add(offsets, "input", 0)->offset = 7;
	succeeds(rd_kafka_send_offsets_to_transaction(producer, offsets, group, CALL_MS),
	         "send offsets");
	rd_kafka_consumer_group_metadata_destroy(group);
	rd_kafka_topic_partition_list_destroy(offsets);
}

/* The count after one complete transaction. The mock broker closes the connection once, during a
 * request with this API key; -1: never. */
static int64_t doubt_after_transaction(int16_t api_key)
{
	struct txn_doubt *doubt = txn_doubt_new();
	rd_kafka_t *producer = producer_new(doubt);
	char value[] = "x";
	rd_kafka_mock_cluster_t *cluster = rd_kafka_handle_mock_cluster(producer);
	int64_t count;

	cr_assert_eq(rd_kafka_mock_topic_create(cluster, "input", 1, 1), 0);
	succeeds(rd_kafka_init_transactions(producer, CALL_MS), "init transactions");
	if (api_key >= 0)
		rd_kafka_mock_push_request_errors(cluster, api_key, 1,
		                                  RD_KAFKA_RESP_ERR__TRANSPORT);
	succeeds(rd_kafka_begin_transaction(producer), "begin");
	cr_assert_eq(rd_kafka_producev(producer, RD_KAFKA_V_TOPIC("output"),
	                               RD_KAFKA_V_VALUE(value, 1), RD_KAFKA_V_END),
	             0);
	send_offsets(producer);
	succeeds(rd_kafka_commit_transaction(producer, CALL_MS), "commit");
	count = txn_doubt_count(doubt);
	rd_kafka_destroy(producer);
	txn_doubt_free(doubt);
	return count;
}

Test(txn_doubt, transaction_whose_requests_were_all_answered_is_clean)
{
	cr_assert_eq(doubt_after_transaction(-1), 0);
}

Test(txn_doubt, transaction_that_commits_after_a_lost_answer_is_doubtful)
{
	static const int16_t kinds[] = {API_ADD_PARTITIONS, API_ADD_OFFSETS, API_TXN_OFFSET_COMMIT,
	                                API_END_TXN};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		cr_assert_gt(doubt_after_transaction(kinds[i]), 0, "API key %d", kinds[i]);
}

Test(txn_doubt, a_call_that_timed_out_raises_it)
{
	struct txn_doubt *doubt = txn_doubt_new();

	cr_assert_eq(txn_doubt_count(doubt), 0);
	txn_doubt_raise(doubt);
	cr_assert_eq(txn_doubt_count(doubt), 1);
	txn_doubt_free(doubt);
}
