/* Reproduces the loss of records after an aborted transaction. The broker stores the last records
 * of a transaction, but their acknowledgement gets lost. The client aborts the transaction and
 * sends the same records again in the next one, which commits. The scenario then checks whether
 * they are in the topic.
 *
 *   lost_answers library DIR       as librdkafka intends it: abort_transaction, and the same client
 *   lost_answers task-loop DIR     as the task loop does it (task_loop_producer.c)
 *
 * Both write to <TOPIC_PREFIX>bronze_events, partition 0, through tests/e2e/lossy_proxy, which DIR
 * controls. KAFKA_BROKERS is the proxy. Exit 0 if the second transaction was committed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/span.h"
#include "kafka/kafka_error.h"
#include "task_loop/task_loop_producer.h"
#include "task_loop/task_loop_report.h"
#include "task_loop/task_loop_state.h"
#include "task_loop/task_loop_transaction.h"

#define RECORDS 3

static char lose_path[512], lost_path[512];

static void lose_next_answer(void)
{
	FILE *file = fopen(lose_path, "w");

	if (file)
		fclose(file);
}

static bool is_lost(rd_kafka_t *producer)
{
	for (int i = 0; i < 300 && access(lost_path, F_OK) != 0; i++)
		rd_kafka_poll(producer, 100);
	return access(lost_path, F_OK) == 0;
}

static void add_records(struct task_loop *loop)
{
	for (int i = 0; i < RECORDS; i++) {
		char text[32];
		int len = snprintf(text, sizeof(text), "record-%d", i);

		outbox_add(&loop->outbox, TOPIC_BRONZE_EVENTS, 0, SPAN("key"),
		           (struct span){text, (size_t)len}, NULL, 0);
	}
}

/* Repeats a call until it succeeds or its error is not ERR_RETRY. */
static bool until_done(bool (*call)(struct task_loop *, struct err *), struct task_loop *loop,
                       struct err *err)
{
	for (int i = 0; i < 100; i++) {
		if (call(loop, err))
			return true;
		if (err->class != ERR_RETRY)
			return false;
		usleep(100000);
	}
	return false;
}

static bool abort_and_continue(struct task_loop *loop, struct err *err)
{
	rd_kafka_error_t *error = rd_kafka_abort_transaction(loop->producer, 10000);

	if (error)
		return kafka_err_take(err, error, "abort");
	loop->phase = TRANSACTION_NONE;
	loop->outbox.sent = 0;
	return true;
}

/* First sends a record that is acknowledged. So the connection and the transaction exist when the
 * answer gets lost. */
static bool lose_a_transaction(struct task_loop *loop, struct err *err)
{
	outbox_add(&loop->outbox, TOPIC_BRONZE_EVENTS, 0, SPAN("key"), SPAN("before"), NULL, 0);
	if (!until_done(transaction_send, loop, err))
		return false;
	rd_kafka_flush(loop->producer, 30000);
	lose_next_answer();
	add_records(loop);
	return until_done(transaction_send, loop, err) &&
	       (is_lost(loop->producer) ||
	        err_set(err, ERR_FATAL, "the proxy has not dropped an answer within 30 s"));
}

static bool run(struct task_loop *loop, bool as_library, struct err *err)
{
	if (!until_done(txn_producer_ready, loop, err) || !lose_a_transaction(loop, err))
		return false;
	if (as_library ? !abort_and_continue(loop, err) : !txn_producer_close(loop, err))
		return false;
	unlink(lost_path);
	return until_done(transaction_send, loop, err) && until_done(transaction_commit, loop, err);
}

int main(int argc, char **argv)
{
	struct output_context context = {.service = "lost-answers"};
	struct task_loop loop = {
		.service_name = "lost-answers",
		.instance = "1",
		.writes = 1u << TOPIC_BRONZE_EVENTS,
		.config = {.transaction_timeout_us = 60000000},
		.kafka = {getenv("KAFKA_BROKERS"), "", getenv("TOPIC_PREFIX")},
		.context = &context,
	};
	struct err err = {ERR_NONE, ""};
	struct intake_config config = {.kafka = &loop.kafka,
	                               .group = "lost-answers",
	                               .client_id = "lost-answers"};
	bool done;

	if (argc != 3 || !loop.kafka.brokers || !loop.kafka.topic_prefix)
		return 64;
	snprintf(lose_path, sizeof(lose_path), "%s/lose", argv[2]);
	snprintf(lost_path, sizeof(lost_path), "%s/lost", argv[2]);
	loop.commits_metric = metric_get(METRIC_COUNTER, "commits_total", "", "");
	loop.aborts_metric = metric_get(METRIC_COUNTER, "aborts_total", "", "");
	loop.doubts_metric = metric_get(METRIC_COUNTER, "doubtful_transactions_total", "", "");
	loop.producers_metric = metric_get(METRIC_COUNTER, "kafka_producers_total", "", "");
	loop.commit_histogram = histogram_get("commit_seconds", "", "");
	report_open(&loop);
	config.stale = metric_get(METRIC_COUNTER, "stale_records_total", "", "");
	loop.intake = intake_new(&config, &err);
	done = loop.intake && run(&loop, strcmp(argv[1], "library") == 0, &err);
	printf("%s, librdkafka %s: %s\n", argv[1], rd_kafka_version_str(),
	       done ? "committed" : err.message);
	/* A new client ends a transaction that is still open. Otherwise the broker does, and writes
	 * its marker during a later scenario. */
	if (loop.intake &&
	    (!txn_producer_close(&loop, &err) || !until_done(txn_producer_ready, &loop, &err) ||
	     !txn_producer_close(&loop, &err)))
		puts(err.message);
	outbox_free(&loop.outbox);
	if (loop.trim_results)
		rd_kafka_queue_destroy(loop.trim_results);
	intake_close(loop.intake);
	return done ? 0 : 1;
}
