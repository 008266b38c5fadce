/* The transactional producer, and what becomes of it when a transaction is lost: it is replaced.
 *
 * A client whose transaction was aborted is never used again. rd_kafka_abort_transaction() takes back what waits in its
 * queues, records among them that the broker has stored and whose acknowledgement was lost with a connection, and gives
 * their sequence numbers to the records that follow (seen in librdkafka 2.0.2 and 2.15.1:
 * tests/e2e/33_lost_answers.sh). The same batch, sent again, then looks like a repeat: the broker
 * acknowledges it with the offsets of the aborted one, and the commit succeeds without it. A new
 * client has a new epoch, whose numbers begin at 0. Its initialisation ends a transaction that the
 * old client left open: committed if the commit had been decided, aborted if not.
 *
 * A client whose transaction was committed is not used again either if one of its requests had no
 * answer: librdkafka sent that request again, and the first copy may reach the broker during the
 * next transaction (txn_doubt.h). txn_producer_replace_doubtful() replaces such a client right after the commit.
 * A late request that arrives before that can only repeat what has just been committed.
 *
 * So nothing here waits for an abort, and an outcome that is unknown needs no case of its own: who reads committed
 * offsets after txn_producer_ready() reads the outcome. */
#include "task_loop/task_loop_producer.h"

#include <inttypes.h>
#include <stdio.h>

#include "kafka/kafka_client.h"
#include "kafka/kafka_conf.h"
#include "kafka/kafka_error.h"
#include "kafka/txn_doubt.h"
#include "service/metrics.h"
#include "stream/outbox.h"
#include "wire/topics.h"

#define INIT_TIMEOUT_MS    5000
#define DESTROY_TIMEOUT_MS 10000

static bool open_topics(struct task_loop *loop, struct err *err)
{
	char topic[TOPIC_NAME_MAX + 1];

	for (enum topic_id output = 0; output < TOPIC_COUNT; output++) {
		if (!(loop->writes & (1u << output)))
			continue;
		snprintf(topic, sizeof(topic), "%s%s", loop->kafka.topic_prefix,
		         topic_of(output)->suffix);
		loop->output_topics[output] = rd_kafka_topic_new(loop->producer, topic, NULL);
		if (!loop->output_topics[output])
			return err_set(err, ERR_FATAL, "topic %s: %s", topic,
			               rd_kafka_err2str(rd_kafka_last_error()));
	}
	return true;
}

bool txn_producer_open(struct task_loop *loop, struct err *err)
{
	char id[256], timeout[32];
	const char *extra[] = {"transactional.id", id, "transaction.timeout.ms", timeout, NULL};
	rd_kafka_conf_t *conf;

	snprintf(id, sizeof(id), "%s%s-%s", loop->kafka.topic_prefix, loop->service_name,
	         loop->instance);
	snprintf(timeout, sizeof(timeout), "%" PRId64, loop->config.transaction_timeout_us / 1000);
	conf = kafka_conf_new(&loop->kafka, KAFKA_PRODUCER_TRANSACTIONAL, id, extra, err);
	if (!conf)
		return false;
	loop->doubt = txn_doubt_new();
	loop->producer = txn_doubt_client_new(loop->doubt, conf, err);
	if (loop->producer)
		return open_topics(loop, err);
	txn_doubt_free(loop->doubt);
	loop->doubt = NULL;
	return false;
}

bool txn_producer_ready(struct task_loop *loop, struct err *err)
{
	rd_kafka_error_t *error;

	if (loop->producer_is_ready)
		return true;
	if (!loop->producer && !txn_producer_open(loop, err))
		return false;
	error = rd_kafka_init_transactions(loop->producer, INIT_TIMEOUT_MS);
	if (error)
		return kafka_err_take(err, error, "init transactions");
	loop->producer_is_ready = true;
	return true;
}

bool txn_producer_replace_doubtful(struct task_loop *loop, struct err *err)
{
	if (!txn_doubt_replaces(loop->doubt))
		return true;
	metric_add(loop->doubts_metric, 1);
	return txn_producer_close(loop, err) && txn_producer_ready(loop, err);
}

bool txn_producer_close(struct task_loop *loop, struct err *err)
{
	rd_kafka_t *producer = loop->producer;
	struct txn_doubt *doubt = loop->doubt;

	loop->producer = NULL;
	loop->doubt = NULL;
	loop->producer_is_ready = false;
	loop->phase = TRANSACTION_NONE;
	loop->committing = false;
	loop->outbox.sent = 0;
	for (size_t i = 0; i < TOPIC_COUNT; i++) {
		if (loop->output_topics[i])
			rd_kafka_topic_destroy(loop->output_topics[i]);
		loop->output_topics[i] = NULL;
	}
	if (!producer || kafka_destroy_within(producer, DESTROY_TIMEOUT_MS, err)) {
		txn_doubt_free(doubt);
		return true;
	}
	loop->outbox =
		(struct outbox){0}; /* what it holds points in there: leaked rather than touched */
	return false;
}
