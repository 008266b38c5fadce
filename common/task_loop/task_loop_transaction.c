/* One transaction contains everything: outputs, counts, and the offsets of all partitions that
 * moved, each with its restore metadata.
 *
 * The broker answers a commit before it has written the markers. Until then, it refuses the first
 * request of the next transaction with CONCURRENT_TRANSACTIONS. librdkafka (2.15.1) repeats
 * AddPartitionsToTxn, which outputs need, after 20 ms, but AddOffsetsToTxn after retry.backoff.ms.
 * So a transaction that soon follows another one begins with the offsets. Before, 43 of 71 commits
 * of bronze-sink took 20 ms longer, at 1,000 events a second.
 *
 * Outputs stay in the outbox until the commit has succeeded. After a lost transaction a new
 * producer (task_loop_producer.c) sends the same records and the same offsets again; the state
 * does not change. A commit that timed out is called again, as librdkafka requires. Nothing is
 * folded meanwhile, because the offsets of this transaction are fixed. */
#include "task_loop/task_loop_transaction.h"

#include <stdlib.h>

#include "base/span.h"
#include "kafka/intake.h"
#include "kafka/kafka_error.h"
#include "kafka/kafka_record.h"
#include "kafka/send_offsets.h"
#include "kafka/txn_doubt.h"
#include "service/fault.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/monotime.h"
#include "stream/moved_offsets.h"
#include "stream/outbox.h"
#include "stream/outputs.h"
#include "stream/task.h"
#include "task_loop/task_loop_producer.h"
#include "task_loop/task_loop_report.h"
#include "task_loop/task_loop_trim.h"

#define CALL_TIMEOUT_MS 5000
#define PRODUCE_RUN_MAX 512
#define COMPLETION_US   20000 /* the broker has usually completed a transaction by then */

static bool begin(struct task_loop *loop, struct err *err)
{
	rd_kafka_error_t *error;

	if (loop->phase != TRANSACTION_NONE)
		return true;
	if (!txn_producer_ready(loop, err))
		return false;
	error = rd_kafka_begin_transaction(loop->producer);
	if (error)
		return kafka_err_take(err, error, "begin transaction");
	loop->phase = TRANSACTION_OPEN;
	return true;
}

/* A lost client is replaced. Until the commit was called, the transaction cannot be committed: its
 * outputs are sent again. After that, a new process reads the outcome. */
static enum err_class class_of_lost_client(const struct task_loop *loop)
{
	return loop->phase == TRANSACTION_ENDING ? ERR_FENCED : ERR_ABORT;
}

/* Handles a failed call; always false. ERR_ABORT becomes ERR_RETRY: the client is closed, the
 * outputs stay. After ERR_RETRY the client is in doubt: it is replaced when the commit has
 * succeeded. */
static bool failed(struct task_loop *loop, struct err *err)
{
	/* The call timed out, but its requests may still reach the broker. */
	if (err->class == ERR_RETRY && loop->phase != TRANSACTION_NONE)
		txn_doubt_raise(loop->doubt);
	if (err->class == ERR_RETRY && loop->producer && txn_producer_is_lost(loop, err))
		err->class = class_of_lost_client(loop);
	if (err->class != ERR_ABORT)
		return false;
	err_prefix(err, "transaction lost, sending %zu outputs again", loop->outbox.count);
	metric_add(loop->aborts_metric, 1);
	if (txn_producer_close(loop, err))
		err->class = ERR_RETRY;
	return false;
}

/* A transaction that librdkafka has failed in the background accepts no records, and only a
 * commit call returns the reason. In this state that call commits nothing. */
static bool produce_error(struct task_loop *loop, struct err *err, rd_kafka_resp_err_t code)
{
	rd_kafka_error_t *error =
		code == RD_KAFKA_RESP_ERR__STATE
			? rd_kafka_commit_transaction(loop->producer, CALL_TIMEOUT_MS)
			: NULL;

	if (error)
		return kafka_err_take(err, error, "produce");
	return err_set(err, code == RD_KAFKA_RESP_ERR__STATE ? ERR_ABORT : kafka_err_class(code),
	               "produce: %s", kafka_err_text(code));
}

/* Waits while the local queue is full. */
static bool produce_with_headers(struct task_loop *loop, const struct output *output,
                                 struct err *err)
{
	rd_kafka_headers_t *headers = kafka_headers_new(output);
	rd_kafka_resp_err_t code;

	for (;;) {
		code = rd_kafka_producev(loop->producer,
		                         RD_KAFKA_V_RKT(loop->output_topics[output->topic]),
		                         RD_KAFKA_V_PARTITION(output->partition),
		                         RD_KAFKA_V_KEY(output->key.at, output->key.len),
		                         RD_KAFKA_V_VALUE((void *)(uintptr_t)output->value.at,
		                                          output->value.len),
		                         RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
		if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			break;
		rd_kafka_poll(loop->producer, 10);
	}
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		return true;
	rd_kafka_headers_destroy(headers);
	return produce_error(loop, err, code);
}

/* Number of outputs from the first unsent one that are of one topic and have no headers. */
static size_t run_length(const struct outbox *box)
{
	const struct output *first = &box->at[box->sent];
	size_t n = 1;

	while (n < PRODUCE_RUN_MAX && box->sent + n < box->count &&
	       first[n].topic == first->topic && !first[n].header_count)
		n++;
	return n;
}

/* Gives `count` records of one topic, without headers, to the producer. *taken: the number it
 * accepted. */
static bool produce_run(struct task_loop *loop, size_t count, size_t *taken, struct err *err)
{
	rd_kafka_message_t messages[PRODUCE_RUN_MAX];
	const struct output *first = &loop->outbox.at[loop->outbox.sent];

	memset(messages, 0, count * sizeof(*messages));
	for (size_t i = 0; i < count; i++) {
		messages[i].partition = first[i].partition;
		messages[i].payload = (void *)(uintptr_t)first[i].value.at;
		messages[i].len = first[i].value.len;
		messages[i].key = (void *)(uintptr_t)first[i].key.at;
		messages[i].key_len = first[i].key.len;
	}
	rd_kafka_produce_batch(loop->output_topics[first->topic], RD_KAFKA_PARTITION_UA,
	                       RD_KAFKA_MSG_F_PARTITION, messages, (int)count);
	for (*taken = 0; *taken < count; ++*taken) {
		rd_kafka_resp_err_t code = messages[*taken].err;

		if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
			rd_kafka_poll(loop->producer, 10);
			return true;
		}
		if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
			return produce_error(loop, err, code);
	}
	return true;
}

bool transaction_send(struct task_loop *loop, struct err *err)
{
	struct outbox *box = &loop->outbox;

	if (box->sent == box->count)
		return true;
	FAULT_POINT("before_produce");
	if (!begin(loop, err))
		return failed(loop, err);
	while (box->sent < box->count) {
		size_t taken = 1;
		bool ok = box->at[box->sent].header_count
		                  ? produce_with_headers(loop, &box->at[box->sent], err)
		                  : produce_run(loop, run_length(box), &taken, err);

		box->sent += ok ? taken : 0;
		if (!ok)
			return failed(loop, err);
	}
	FAULT_POINT("after_produce");
	return true;
}

bool transaction_send_early(struct task_loop *loop, struct err *err)
{
	return monotonic_us() - loop->last_commit_us < COMPLETION_US || transaction_send(loop, err);
}

static void flush_tasks(struct task_loop *loop)
{
	for (size_t i = 0; i < loop->task_count; i++) {
		struct assigned_task *assigned = &loop->tasks[i];

		if (assigned->task.restoring)
			continue;
		task_flush(&assigned->task, &loop->outbox);
		if (assigned->input->rows && assigned->task.counts_changed)
			output_counts(&loop->outbox, loop->context, span_of(assigned->topic),
			              assigned->task.params.partition, &assigned->task.counts,
			              assigned->task.last_counted);
	}
}

/* Leaves out partitions that are restoring: they have nothing to commit. */
static bool add_offsets(struct task_loop *loop, rd_kafka_topic_partition_list_t *list,
                        struct err *err)
{
	char metadata[TASK_METADATA_MAX];

	for (size_t i = 0; i < loop->task_count; i++) {
		struct assigned_task *assigned = &loop->tasks[i];
		rd_kafka_topic_partition_t *entry;

		if (assigned->task.restoring ||
		    (assigned->task.position == assigned->task.committed &&
		     !assigned->commit_again))
			continue;
		if (!task_metadata(&assigned->task, metadata, err))
			return false;
		entry = rd_kafka_topic_partition_list_add(list, assigned->topic,
		                                          assigned->task.params.partition);
		entry->offset = assigned->task.position;
		entry->metadata_size = strlen(metadata);
		entry->metadata = strdup(metadata);
	}
	return true;
}

static bool send_offsets(struct task_loop *loop, struct err *err)
{
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new((int)loop->task_count);
	bool ok = add_offsets(loop, list, err);

	FAULT_POINT("before_send_offsets");
	if (!ok || list->cnt == 0) {
		rd_kafka_topic_partition_list_destroy(list);
	} else {
		rd_kafka_consumer_group_metadata_t *group =
			rd_kafka_consumer_group_metadata(intake_client(loop->intake));

		ok = send_offsets_within(loop->producer, list, group, CALL_TIMEOUT_MS, err);
	}
	if (!ok)
		return false;
	FAULT_POINT("after_send_offsets");
	loop->phase = TRANSACTION_OFFSETS_SENT;
	return true;
}

/* After an unknown error of the broker, the transaction may be committed. The same holds if the
 * coordinator has forgotten the transactional id: an earlier call without an answer may have
 * committed before. ERR_FENCED: a new process reads the outcome. */
static bool commit_error(rd_kafka_error_t *error, struct err *err)
{
	rd_kafka_resp_err_t code = rd_kafka_error_code(error);
	bool unknown = code == RD_KAFKA_RESP_ERR_UNKNOWN ||
	               code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING;

	kafka_err_take(err, error, "commit transaction");
	if (unknown && err->class == ERR_ABORT)
		err->class = ERR_FENCED;
	return false;
}

static bool commit_stages(struct task_loop *loop, struct err *err)
{
	rd_kafka_error_t *error;

	if (!begin(loop, err) || (loop->phase == TRANSACTION_OPEN && !send_offsets(loop, err)) ||
	    !transaction_send(loop, err))
		return false;
	FAULT_POINT("before_commit");
	loop->phase = TRANSACTION_ENDING;
	error = rd_kafka_commit_transaction(loop->producer, CALL_TIMEOUT_MS);
	return !error || commit_error(error, err);
}

static void log_committed(const struct task_loop *loop)
{
	size_t prefix = strlen(loop->kafka.topic_prefix);
	struct moved_offsets moved = {"", 0};

	for (size_t i = 0; i < loop->task_count; i++) {
		const struct task *task = &loop->tasks[i].task;

		if (!task->restoring)
			moved_offsets_add(&moved, loop->tasks[i].topic + prefix,
			                  task->params.partition, task->committed, task->position);
	}
	log_debug("committed", log_uint("outputs", loop->outbox.count),
	          log_str("offsets", moved.text));
}

static void committed(struct task_loop *loop)
{
	log_committed(loop);
	report_committed(loop);
	for (size_t i = 0; i < loop->task_count; i++) {
		struct assigned_task *assigned = &loop->tasks[i];

		if (assigned->task.restoring)
			continue;
		task_committed(&assigned->task);
		assigned->restore_from = task_restore_from(&assigned->task);
		assigned->moved = assigned->commit_again = false;
	}
	loop->last_commit_us = monotonic_us();
	if (loop->outbox.count)
		commit_pace_took(&loop->pace, loop->last_commit_us - loop->commit_started_us);
	outbox_clear(&loop->outbox);
	loop->phase = TRANSACTION_NONE;
	loop->committing = false;
	loop->failures_in_row = 0;
	loop->failing_since_us = 0;
	loop->first_uncommitted_us = 0;
	trim_inputs(loop);
	metric_add(loop->commits_metric, 1);
	histogram_observe_us(loop->commit_histogram,
	                     loop->last_commit_us - loop->commit_started_us);
}

bool transaction_commit(struct task_loop *loop, struct err *err)
{
	if (!loop->committing) {
		if (!intake_recognises(loop->intake, err))
			return false;
		loop->commit_started_us = monotonic_us();
		report_commit_begins(loop);
		flush_tasks(loop);
		loop->committing = true;
	}
	if (!commit_stages(loop, err))
		return failed(loop, err);
	FAULT_POINT("after_commit");
	committed(loop);
	return txn_producer_replace_doubtful(loop, err);
}

bool transaction_drop(struct task_loop *loop, struct err *err)
{
	if (loop->phase != TRANSACTION_NONE && !txn_producer_close(loop, err))
		return false;
	loop->committing = false;
	loop->first_uncommitted_us = 0;
	outbox_clear(&loop->outbox);
	return true;
}
