/* One transaction holds everything: outputs, counts, and the offsets of every partition that
 * moved, each with its restore metadata.
 *
 * Outputs stay in the outbox until the commit has succeeded, so a lost transaction only rewinds it: the next
 * one, of a new producer (task_loop_producer.c), sends the same records with the same offsets, and the state stays. A
 * commit that timed out is asked for again, as librdkafka wants it; nothing is folded in between, because the
 * offsets of this transaction are already fixed. */
#include "task_loop/task_loop_transaction.h"

#include <stdlib.h>

#include "base/span.h"
#include "kafka/intake.h"
#include "kafka/kafka_error.h"
#include "kafka/kafka_record.h"
#include "kafka/send_offsets.h"
#include "kafka/txn_doubt.h"
#include "service/fault.h"
#include "service/metrics.h"
#include "service/monotime.h"
#include "stream/outbox.h"
#include "stream/outputs.h"
#include "stream/task.h"
#include "task_loop/task_loop_producer.h"
#include "task_loop/task_loop_trim.h"

#define CALL_TIMEOUT_MS 5000
#define PRODUCE_RUN_MAX 512

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

/* Acts on ERR_ABORT, which becomes ERR_RETRY: the transaction and its client go, the outputs stay.
 * After ERR_RETRY the client is in doubt: it stays until the commit has succeeded, and is replaced
 * then. */
static bool failed(struct task_loop *loop, struct err *err)
{
	/* The call timed out; its requests may still be on their way. */
	if (err->class == ERR_RETRY && loop->phase != TRANSACTION_NONE)
		txn_doubt_raise(loop->doubt);
	if (err->class != ERR_ABORT)
		return false;
	err_prefix(err, "transaction lost, %zu outputs wait", loop->outbox.count);
	metric_add(loop->aborts_metric, 1);
	if (txn_producer_close(loop, err))
		err->class = ERR_RETRY;
	return false;
}

/* A transaction that has failed behind our back takes no records, and only a commit says why: in this state it is refused
 * without being tried. */
static bool produce_error(struct task_loop *loop, struct err *err, rd_kafka_resp_err_t code)
{
	rd_kafka_error_t *error =
		code == RD_KAFKA_RESP_ERR__STATE
			? rd_kafka_commit_transaction(loop->producer, CALL_TIMEOUT_MS)
			: NULL;

	if (error)
		return kafka_err_take(err, error, "produce");
	return err_set(err, code == RD_KAFKA_RESP_ERR__STATE ? ERR_ABORT : kafka_err_class(code),
	               "produce: %s", rd_kafka_err2str(code));
}

/* A full local queue is waited for, not an error. */
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

static size_t run_length(const struct outbox *box)
{
	const struct output *first = &box->at[box->sent];
	size_t n = 1;

	while (n < PRODUCE_RUN_MAX && box->sent + n < box->count &&
	       first[n].topic == first->topic && !first[n].header_count)
		n++;
	return n;
}

/* Hands over a run of header-less records of one topic; *taken is how many went in. */
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

static void flush_tasks(struct task_loop *loop)
{
	for (size_t i = 0; i < loop->task_count; i++) {
		struct assigned_task *assigned = &loop->tasks[i];

		if (assigned->task.restoring)
			continue;
		task_flush(&assigned->task, &loop->outbox);
		if (assigned->input->rows && assigned->task.counts_changed)
			output_counts(&loop->outbox, loop->terms, span_of(assigned->topic),
			              assigned->task.params.partition, &assigned->task.counts,
			              assigned->task.last_counted);
	}
}

/* Partitions that are being rebuilt have nothing to commit: their committed offset already stands. */
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

/* An error that the broker has no name for may have come after it had decided: whoever comes next reads the outcome. */
static bool commit_error(rd_kafka_error_t *error, struct err *err)
{
	bool unknown = rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR_UNKNOWN;

	kafka_err_take(err, error, "commit transaction");
	if (unknown && err->class == ERR_ABORT)
		err->class = ERR_FENCED;
	return false;
}

static bool commit_stages(struct task_loop *loop, struct err *err)
{
	rd_kafka_error_t *error;

	if (loop->phase != TRANSACTION_OFFSETS_SENT &&
	    (!begin(loop, err) || !transaction_send(loop, err) || !send_offsets(loop, err)))
		return false;
	FAULT_POINT("before_commit");
	error = rd_kafka_commit_transaction(loop->producer, CALL_TIMEOUT_MS);
	return !error || commit_error(error, err);
}

static void committed(struct task_loop *loop)
{
	for (size_t i = 0; i < loop->task_count; i++) {
		struct assigned_task *assigned = &loop->tasks[i];

		if (assigned->task.restoring)
			continue;
		task_committed(&assigned->task);
		assigned->restore_from = task_restore_from(&assigned->task);
		assigned->moved = assigned->commit_again = false;
	}
	outbox_clear(&loop->outbox);
	loop->phase = TRANSACTION_NONE;
	loop->committing = false;
	loop->failures_in_row = 0;
	loop->first_uncommitted_us = 0;
	loop->last_commit_us = monotonic_us();
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
