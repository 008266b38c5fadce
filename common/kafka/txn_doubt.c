/* librdkafka calls the on_response_received interceptor at the end of every request, with an
 * error if there was no answer. Error events, logs and statistics do not show that: a closed
 * connection raises no error event (log.connection.close=false), a retry is not logged, and
 * statistics come seconds later.
 *
 * Why the count misses no request (read in librdkafka 2.15.1; scenario 35_late_requests runs with
 * 2.0.2 too):
 *   - A request leaves the client's queues only through rd_kafka_buf_callback(): with its answer,
 *     at its timeout, or when its connection fails. That function calls the interceptor in the
 *     broker's thread, before it queues the reply for the thread that decides about a retry. So the
 *     count changes before a second copy exists, and before the application's call returns.
 *   - A request that the network delays for minutes times out in the client (socket.timeout.ms) and
 *     counts then. A frozen broker and a cut connection are the same case.
 *   - A call of the application can time out earlier than its requests (its limit is 5 s). The
 *     caller then calls txn_doubt_raise().
 *   - An answer with an error code is an answer: the broker has finished the request.
 *   - Late Produce requests are harmless: the broker knows their sequence numbers.
 *   - A late InitProducerId gives the transactional id a newer epoch, which fences this process.
 * A request that was never sent counts too if its connection fails. That replaces a clean client,
 * which costs one InitProducerId.
 *
 * Rejected: comparing requests sent with answers received, because the interceptor is called
 * twice for requests whose reply goes through a queue; a limit for the duration of a commit,
 * because a delay of 20 ms is enough to do harm.
 *
 * Limit: the broker refuses a TxnOffsetCommit of the old epoch only if it verifies it with the
 * transaction coordinator (transaction.partition.verification.enable, on by default). */
#include "kafka/txn_doubt.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/memory.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_conf.h"
#include "service/log.h"

#define INTERCEPTOR "txn_doubt"

/* API keys of Kafka's protocol. */
enum {
	API_ADD_PARTITIONS_TO_TXN = 24,
	API_ADD_OFFSETS_TO_TXN = 25,
	API_END_TXN = 26,
	API_TXN_OFFSET_COMMIT = 28,
};

struct txn_doubt {
	_Atomic int64_t count;
	bool counting; /* the interceptor is installed */
};

struct txn_doubt *txn_doubt_new(void)
{
	struct txn_doubt *doubt = xrealloc(NULL, sizeof(*doubt));

	*doubt = (struct txn_doubt){0};
	return doubt;
}

void txn_doubt_free(struct txn_doubt *doubt)
{
	free(doubt);
}

bool txn_doubt_is_raised_by(int16_t api_key, rd_kafka_resp_err_t err)
{
	switch (api_key) {
	case API_ADD_PARTITIONS_TO_TXN:
	case API_ADD_OFFSETS_TO_TXN:
	case API_END_TXN:
	case API_TXN_OFFSET_COMMIT: return err != RD_KAFKA_RESP_ERR_NO_ERROR;
	default: return false;
	}
}

static rd_kafka_resp_err_t on_response(rd_kafka_t *client, int socket, const char *broker,
                                       int32_t broker_id, int16_t api_key, int16_t version,
                                       int32_t correlation_id, size_t size, int64_t rtt,
                                       rd_kafka_resp_err_t err, void *opaque)
{
	(void)client, (void)socket, (void)broker, (void)broker_id, (void)version;
	(void)correlation_id, (void)size, (void)rtt;
	if (txn_doubt_is_raised_by(api_key, err))
		txn_doubt_raise(opaque);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_new(rd_kafka_t *client, const rd_kafka_conf_t *conf, void *opaque,
                                  char *text, size_t size)
{
	struct txn_doubt *doubt = opaque;
	rd_kafka_resp_err_t code =
		rd_kafka_interceptor_add_on_response_received(client, INTERCEPTOR, on_response,
	                                                      doubt);

	(void)conf, (void)text, (void)size;
	doubt->counting = code == RD_KAFKA_RESP_ERR_NO_ERROR;
	return code;
}

rd_kafka_t *txn_doubt_client_new(struct txn_doubt *doubt, rd_kafka_conf_t *conf, struct err *err)
{
	rd_kafka_t *client;

	rd_kafka_conf_interceptor_add_on_new(conf, INTERCEPTOR, on_new, doubt);
	client = kafka_client_new(conf, KAFKA_PRODUCER_TRANSACTIONAL, err);
	if (!client || doubt->counting)
		return client;
	rd_kafka_destroy(client); /* librdkafka ignores the failure of an interceptor */
	err_set(err, ERR_FATAL,
	        "librdkafka %s does not report unanswered requests (interceptor "
	        "on_response_received): build with the pinned version",
	        rd_kafka_version_str());
	return NULL;
}

void txn_doubt_raise(struct txn_doubt *doubt)
{
	atomic_fetch_add(&doubt->count, 1);
}

int64_t txn_doubt_count(const struct txn_doubt *doubt)
{
	return atomic_load(&doubt->count);
}

bool txn_doubt_replaces(const struct txn_doubt *doubt)
{
	int64_t unanswered = txn_doubt_count(doubt);

	if (unanswered == 0)
		return false;
	log_info("producer_replaced", log_int("unanswered", unanswered),
	         log_str("detail", "a request of the last transaction had no answer and may "
	                           "still reach the broker"));
	return true;
}
