/* A producer that has lost a transaction is replaced, never used again.
 *
 * rd_kafka_abort_transaction() purges the records in the client's queues. Some of these may be
 * stored by the broker, if only the acknowledgement was lost with a connection. librdkafka then
 * gives their sequence numbers to the next records (seen in 2.0.2 and 2.15.1:
 * tests/e2e/33_lost_answers.sh). So the broker takes the same batch, sent again, for a duplicate:
 * it acknowledges the batch with the offsets of the aborted one, and the commit succeeds without
 * it. A new client has a new epoch, whose sequence numbers begin at 0. Its initialisation ends
 * the transaction that the old client left open: committed if the commit was decided, aborted if
 * not.
 *
 * A client that has committed a transaction is replaced too if one of its requests got no answer:
 * librdkafka sent that request again, and the first copy may reach the broker during the next
 * transaction (txn_doubt.h). txn_producer_replace_doubtful() replaces the client right after the
 * commit. A late request that arrives before that can only repeat the transaction that has just
 * been committed.
 *
 * A client may stop connecting to the transaction coordinator for good (lost_client.h). Its calls
 * then time out forever. txn_producer_is_lost() finds that.
 *
 * So no code waits for an abort, and an unknown outcome needs no special case: committed offsets
 * that are read after txn_producer_ready() show the outcome. */
#include "task_loop/task_loop_producer.h"

#include <inttypes.h>
#include <stdio.h>

#include "kafka/intake.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_conf.h"
#include "kafka/kafka_error.h"
#include "kafka/lost_client.h"
#include "kafka/txn_doubt.h"
#include "service/metrics.h"
#include "service/monotime.h"
#include "stream/outbox.h"
#include "wire/topics.h"

#define INIT_TIMEOUT_MS    5000
#define DESTROY_TIMEOUT_MS 10000
#define LOST_AFTER_US      INT64_C(30000000) /* max.poll.interval.ms is a minute */

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
			return err_set(err, ERR_FATAL, "cannot open topic %s: %s", topic,
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
	if (loop->producer) {
		metric_add(loop->producers_metric, 1);
		return open_topics(loop, err);
	}
	txn_doubt_free(loop->doubt);
	loop->doubt = NULL;
	return false;
}

/* The client may be lost here too: it is closed, and the next call opens another one. Before the
 * start nothing asks that: the process ends if it cannot be opened. */
static bool init_failed(struct task_loop *loop, rd_kafka_error_t *error, struct err *err)
{
	kafka_err_take(err, error, "init transactions");
	if (err->class != ERR_RETRY || !loop->inputs || !txn_producer_is_lost(loop, err))
		return false;
	if (txn_producer_close(loop, err))
		err->class = ERR_RETRY;
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
		return init_failed(loop, error, err);
	loop->producer_is_ready = true;
	return true;
}

bool txn_producer_is_lost(struct task_loop *loop, struct err *err)
{
	/* Records that a broker does not take fail after one transaction time-out. */
	int64_t enough_us = 2 * loop->config.transaction_timeout_us, now_us = monotonic_us();

	if (loop->failing_since_us == 0)
		loop->failing_since_us = now_us;
	if (enough_us < LOST_AFTER_US)
		enough_us = LOST_AFTER_US;
	if (now_us < loop->failing_since_us + enough_us)
		return false;
	if (lost_client_new_one_connects(&loop->kafka, intake_topic(loop->intake, 0)->name)) {
		err_prefix(err,
		           "the Kafka client gets no answer, although the brokers answer a new "
		           "one");
		return true;
	}
	loop->failing_since_us = now_us; /* the brokers are away: ask again later */
	return false;
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
	loop->failing_since_us = 0;
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
	/* The client still uses this memory: leak it. */
	loop->outbox = (struct outbox){0};
	return false;
}
