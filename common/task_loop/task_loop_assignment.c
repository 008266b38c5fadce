/* Rebalances are eager, and are carried out between batches (kafka/intake.h). So a restore never
 * gets records of an older position.
 *
 * There is no silent gap and no silent restart: any contradiction (retention, another number of
 * partitions, a recreated topic, lost offsets) stops the service with an explanation. */
#include "task_loop/task_loop_assignment.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/span.h"
#include "kafka/intake.h"
#include "kafka/kafka_error.h"
#include "service/fault.h"
#include "service/health.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/monotime.h"
#include "service/stop.h"
#include "stream/start_offset.h"
#include "stream/task.h"
#include "task_loop/task_loop.h"
#include "task_loop/task_loop_history.h"
#include "task_loop/task_loop_idle.h"
#include "task_loop/task_loop_producer.h"
#include "task_loop/task_loop_refused.h"
#include "task_loop/task_loop_report.h"
#include "task_loop/task_loop_transaction.h"
#include "wire/schema_loss.h"
#include "wire/topics.h"

#define CALL_TIMEOUT_MS 10000
#define RETRY_PAUSE_MS  100
/* The consumer is not polled while we wait for stable offsets. */
#define STABLE_OFFSETS_DEADLINE_US (20 * INT64_C(1000000))

static void tasks_free(struct assigned_task **tasks, size_t *count)
{
	for (size_t i = 0; i < *count; i++)
		task_free(&(*tasks)[i].task);
	free(*tasks);
	*tasks = NULL;
	*count = 0;
}

void assignment_drop_all(struct task_loop *loop)
{
	tasks_free(&loop->tasks, &loop->task_count);
	tasks_free(&loop->parked, &loop->parked_count);
}

void assignment_report_health(const struct task_loop *loop)
{
	const char *schema_reason = schema_alarm_message(&loop->schema_alarm, monotonic_us());
	char reason[512];
	size_t len = 0;

	if (!loop->assigned) {
		health_ready("waiting for the group's first assignment");
		return;
	}
	if (loop->failures_in_row >= NOT_READY_FAILURES)
		return; /* keep the error as the reason */
	for (size_t i = 0; i < loop->task_count && len < sizeof(reason); i++) {
		const struct task *task = &loop->tasks[i].task;

		if (task->restoring)
			len += (size_t)snprintf(reason + len, sizeof(reason) - len,
			                        "restoring %s/%" PRId32 ": at %" PRId64
			                        " of %" PRId64 "\n",
			                        loop->tasks[i].topic, task->params.partition,
			                        task->position, task->restore_to);
	}
	len = intake_watch_text(loop->intake, reason, len, sizeof(reason));
	health_ready(len ? reason : schema_reason);
}

/* ---- committed offsets */

/* Reads the committed offsets from the coordinator. Waits while transactions of a crashed
 * instance are pending. Our own are resolved, because the producer must be ready. */
static bool coordinator_offsets(struct task_loop *loop, rd_kafka_topic_partition_list_t *list,
                                struct err *err)
{
	int64_t deadline_us = monotonic_us() + STABLE_OFFSETS_DEADLINE_US;
	rd_kafka_resp_err_t code;

	do {
		code = rd_kafka_committed(intake_client(loop->intake), list, CALL_TIMEOUT_MS);
		for (int i = 0; i < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
			code = list->elems[i].err;
		if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
			return true;
		log_warn("retrying", log_str("phase", "read_committed_offsets"),
		         log_str("error", kafka_err_text(code)));
		health_alive();
		/* A starting broker answers "not coordinator" immediately. */
		poll(NULL, 0, RETRY_PAUSE_MS);
	} while (monotonic_us() < deadline_us && !service_stopping());
	return err_set(err, ERR_RETRY, "cannot read the committed offsets of group %s%s: %s",
	               loop->kafka.topic_prefix, loop->service_name, kafka_err_text(code));
}

/* The first partition whose committed offset is not past its last counted row; committed->cnt:
 * none. */
static int32_t first_stale(const rd_kafka_topic_partition_list_t *committed, const int64_t *counted)
{
	int32_t i = 0;

	while (i < committed->cnt && (counted[i] < 0 || committed->elems[i].offset > counted[i]))
		i++;
	return i;
}

static bool refuse_stale(const struct task_loop *loop, const rd_kafka_topic_partition_t *committed,
                         int64_t counted, struct err *err)
{
	char what[64] = "no committed offsets";

	if (committed->offset >= 0)
		snprintf(what, sizeof(what), "a committed offset of %" PRId64, committed->offset);
	return err_set(
		err, ERR_OPERATOR,
		"group %s%s has %s for %s/%" PRId32
		", but has counted its rows up to offset %" PRId64
		": the topic was deleted and created again (Kafka deletes a group's offsets with "
		"it), or the offsets were moved, deleted or have expired, or Kafka has lost the "
		"end of a transaction; continuing there would emit rows "
		"twice; " ERR_ADVICE_FRESH_SET,
		loop->kafka.topic_prefix, loop->service_name, what, committed->topic,
		committed->partition, counted);
}

/* Reads the committed offsets and checks them, because the coordinator's may be wrong. After a
 * broker was killed, Kafka (4.2.1, 4.3.1) had no offsets in memory, old ones, or ones that stayed
 * pending, until its next start. If a partition of __consumer_offsets loses its leader and gets
 * it back while it is loaded, the coordinator serves requests in the middle of the second load. A
 * service that continued there would write everything since then a second time. But the log that
 * the coordinator loads is right.
 *
 * Counts and offsets of a partition are committed in one transaction, so a committed offset is
 * past the last counted row. If it is not, or if the coordinator returns none although our output
 * is not empty, the offset is read from the log, and committed again at once, so that the
 * coordinator has it. If the log agrees with the coordinator, the service refuses to start. If the
 * log has an open transaction, the service waits for its end.
 *
 * Limits: controls are not counted, and the merge half has no counts. So an old offset that only
 * these have passed is not noticed: the controls, or the same totals, are sent again. */
static bool committed_offsets(struct task_loop *loop, rd_kafka_topic_partition_list_t *list,
                              bool *from_log, struct err *err)
{
	int64_t *counted = xrealloc(NULL, ((size_t)list->cnt + 1) * sizeof(*counted));
	bool ok = txn_producer_ready(loop, err) && counts_topic_last(loop, list, counted, err),
	     returned = ok && coordinator_offsets(loop, list, err);
	int32_t stale = returned ? first_stale(list, counted) : 0;

	*from_log = false;
	if (ok && service_stopping()) { /* do not check them any more */
		ok = err_set(err, ERR_RETRY,
		             "cannot read the committed offsets of group %s%s: stopped by a signal",
		             loop->kafka.topic_prefix, loop->service_name);
	} else if (ok && (!returned || stale < list->cnt || loop->offsets_doubted)) {
		if (stale < list->cnt && returned)
			log_warn("committed_offset_stale",
			         log_partition(list->elems[stale].topic,
			                       list->elems[stale].partition),
			         log_int("committed", list->elems[stale].offset),
			         log_int("last_counted", counted[stale]),
			         log_str("detail",
			                 "the coordinator returned an offset that is not past the "
			                 "last counted row; reading the offsets from the log"));
		ok = *from_log = offsets_topic_read(loop, list, err);
		stale = ok ? first_stale(list, counted) : list->cnt;
		if (stale < list->cnt)
			ok = refuse_stale(loop, &list->elems[stale], counted[stale], err);
	}
	free(counted);
	return ok;
}

/* What the log of the group's offsets has: *ever: an offset for some partition of the topic.
 * *own: for this partition. */
static bool group_ever_committed(struct task_loop *loop, const struct assigned_partition *partition,
                                 bool *ever, bool *own, struct err *err)
{
	const struct intake_topic *topic = partition->topic;
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new(topic->partition_count);
	bool ok;

	rd_kafka_topic_partition_list_add_range(list, topic->name, 0, topic->partition_count - 1);
	ok = offsets_topic_read(loop, list, err);
	*ever = *own = false;
	for (int i = 0; ok && i < list->cnt; i++) {
		*ever |= list->elems[i].offset >= 0;
		*own |= list->elems[i].offset >= 0 &&
		        list->elems[i].partition == partition->partition;
	}
	rd_kafka_topic_partition_list_destroy(list);
	return ok;
}

/* The coordinator returns no offset for a partition. That is correct for a new set, and for a
 * partition that had no record yet. If our output has records, or had some that were deleted, the
 * log decides. The records are read before the log: if another instance of a new set commits its
 * first transaction between the two, its offsets are found. Deleted records may all have been
 * aborted, so they are not a reason to refuse. */
static bool may_start_without_offset(struct task_loop *loop,
                                     const struct assigned_partition *partition, struct err *err)
{
	char topic[TOPIC_NAME_MAX + 1];
	enum topic_id output = loop->inputs[partition->input].main_output;
	bool ever = false, own = false, holds, deleted;
	bool *was_empty = &loop->was_empty[partition->input];

	if (*was_empty)
		return true;
	snprintf(topic, sizeof(topic), "%s%s", loop->kafka.topic_prefix, topic_of(output)->suffix);
	if (!topic_has_records(loop, topic, loop->context->partition_count[output], &holds,
	                       &deleted, err))
		return false;
	*was_empty = !holds && !deleted;
	if (*was_empty)
		return true;
	if (!group_ever_committed(loop, partition, &ever, &own, err))
		return false;
	if (!own && (ever || !holds))
		return true;
	loop->offsets_doubted = own;
	if (own)
		return err_set(err, ERR_RETRY,
		               "the coordinator returned no offset of group %s%s for %s/%" PRId32
		               ", but its log has one; reading the offsets from the log",
		               loop->kafka.topic_prefix, loop->service_name, partition->topic->name,
		               partition->partition);
	return err_set(err, ERR_OPERATOR,
	               "group %s%s has no committed offsets for %s, but %s is not empty: the "
	               "offsets have expired or were deleted, and a start from the first record "
	               "would emit all rows twice; " ERR_ADVICE_FRESH_SET,
	               loop->kafka.topic_prefix, loop->service_name, partition->topic->name, topic);
}

/* ---- tasks */

static bool log_still_holds(const struct assigned_task *assigned, struct err *err)
{
	const struct assigned_partition *partition = assigned->partition;
	const struct task *task = &assigned->task;

	switch (start_check(task->restore_to, task->position, partition->low, partition->high)) {
	case START_RESUME:
	case START_FIRST: return true;
	case START_BEYOND_END:
		return err_set(err, ERR_OPERATOR,
		               "%s/%" PRId32 ": the committed offset %" PRId64
		               " is past the log end %" PRId64
		               ": the topic was deleted and created again, or the broker has lost "
		               "records; " ERR_ADVICE_FRESH_SET,
		               assigned->topic, task->params.partition, task->restore_to,
		               partition->high);
	case START_LOST_RECORDS: break;
	}
	return err_set(err, ERR_OPERATOR,
	               "%s/%" PRId32 ": the service must read from offset %" PRId64
	               "%s, but retention has removed all records before %" PRId64
	               "; increase the topic's retention.ms; " ERR_ADVICE_FRESH_SET,
	               assigned->topic, task->params.partition, task->position,
	               task->restoring ? " to restore its state" : "", partition->low);
}

/* The parked task of a partition, if its position is the group's committed offset. */
static struct assigned_task *unpark(struct task_loop *loop,
                                    const rd_kafka_topic_partition_t *committed)
{
	for (size_t i = 0; i < loop->parked_count; i++) {
		struct assigned_task *parked = &loop->parked[i];
		const struct task *task = &parked->task;

		if (task->fold && task->params.partition == committed->partition &&
		    strcmp(parked->topic, committed->topic) == 0)
			return task->committed == committed->offset &&
			                       task->position == committed->offset &&
			                       !task->restoring
			               ? parked
			               : NULL;
	}
	return NULL;
}

/* Continues the parked task, starts a new one, or prepares a restore. */
static bool task_open(struct task_loop *loop, struct assigned_task *assigned,
                      struct assigned_task *parked, const rd_kafka_topic_partition_t *committed,
                      struct err *err)
{
	const struct task_loop_input *in = assigned->input;
	const struct assigned_partition *partition = assigned->partition;
	struct task_params params = {.ops = in->ops,
	                             .fold_config = in->fold_config,
	                             .partition = partition->partition,
	                             .partition_count = partition->topic->partition_count,
	                             .fingerprint = in->fingerprint,
	                             .block_records = TASK_BLOCK_RECORDS,
	                             .rules = in->rules};

	if (parked) {
		assigned->task = parked->task;
		parked->task = (struct task){0};
		return true;
	}
	if (committed->offset >= 0)
		return task_resume(&assigned->task, &params, committed->offset,
		                   (struct span){committed->metadata, committed->metadata_size},
		                   err);
	if (!may_start_without_offset(loop, partition, err))
		return false;
	if (partition->low > 0)
		log_warn("earlier_records_missing",
		         log_partition(assigned->topic, partition->partition),
		         log_int("first_offset", partition->low),
		         log_str("detail", "retention removed earlier records; reading from here"));
	task_start(&assigned->task, &params, partition->low);
	return true;
}

static bool add_task(struct task_loop *loop, const rd_kafka_topic_partition_t *committed,
                     bool from_log, struct err *err)
{
	struct assigned_partition *partition = intake_partition(loop->intake, loop->task_count);
	struct assigned_task *assigned = &loop->tasks[loop->task_count++];
	struct assigned_task *parked = unpark(loop, committed);

	*assigned = (struct assigned_task){.partition = partition,
	                                   .input = &loop->inputs[partition->input],
	                                   .topic = partition->topic->name,
	                                   .commit_again = from_log && committed->offset >= 0};
	if (!task_open(loop, assigned, parked, committed, err))
		return false;
	partition->position = assigned->task.position;
	partition->last = &assigned->task.last;
	report_task_init(loop, assigned);
	idle_task_init(assigned);
	log_info("partition_positioned", log_partition(assigned->topic, committed->partition),
	         log_int("committed", committed->offset),
	         log_int("restore_from", assigned->task.position), log_bool("state_kept", parked));
	return log_still_holds(assigned, err) && refused_records_find(loop, assigned, err);
}

static bool add_tasks(struct task_loop *loop, rd_kafka_topic_partition_list_t *list,
                      struct err *err)
{
	bool from_log = false;

	if (!intake_log_starts(loop->intake, err) ||
	    (list->cnt && !committed_offsets(loop, list, &from_log, err)) ||
	    !intake_log_ends(loop->intake, err))
		return false;
	loop->tasks = xrealloc(NULL, ((size_t)list->cnt + 1) * sizeof(*loop->tasks));
	for (int i = 0; i < list->cnt; i++)
		if (!add_task(loop, &list->elems[i], from_log, err))
			return false;
	FAULT_POINT("before_restore");
	return intake_start(loop->intake, err);
}

/* Creates the tasks of the assigned partitions. */
static bool start_tasks(struct task_loop *loop, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = intake_list(loop->intake);
	bool ok;

	memset(loop->was_empty, 0, sizeof(loop->was_empty));
	ok = add_tasks(loop, list, err);
	rd_kafka_topic_partition_list_destroy(list);
	if (!ok) {
		tasks_free(&loop->tasks, &loop->task_count);
		return false;
	}
	tasks_free(&loop->parked, &loop->parked_count);
	loop->start_pending = loop->offsets_doubted = false;
	loop->assigned = true;
	return true;
}

static void park_tasks(struct task_loop *loop)
{
	if (loop->outbox.count) { /* not committed: the state is ahead of the visible outputs */
		tasks_free(&loop->tasks, &loop->task_count);
	} else if (loop->task_count) {
		tasks_free(&loop->parked, &loop->parked_count);
		for (size_t i = 0; i < loop->task_count; i++)
			loop->tasks[i].partition = NULL;
		loop->parked = loop->tasks;
		loop->parked_count = loop->task_count;
	}
	loop->tasks = NULL;
	loop->task_count = 0;
}

/* Commits the batch and gives up the partitions. Parks the tasks in case the partitions come
 * back. */
static bool revoke(struct task_loop *loop, struct err *err)
{
	bool lost = rd_kafka_assignment_lost(intake_client(loop->intake));

	for (size_t i = 0; i < loop->task_count; i++)
		idle_task_stop(&loop->tasks[i]);
	log_info("partitions_revoked", log_uint("partitions", loop->task_count),
	         log_bool("lost", lost));
	if (!lost && (loop->committing || loop->first_uncommitted_us || loop->outbox.count) &&
	    !transaction_commit(loop, err) && err->class != ERR_RETRY)
		return false;
	for (size_t i = 0; i < loop->task_count; i++)
		report_task_stop(&loop->tasks[i]);
	park_tasks(loop);
	/* One of our requests may arrive late. So the broker must fence the epoch of our last
	 * transaction before another member continues from our offsets. */
	if (!transaction_drop(loop, err) || (!lost && !txn_producer_ready(loop, err)))
		return false;
	intake_release(loop->intake);
	loop->start_pending = false;
	return true;
}

bool assignment_restart(struct task_loop *loop, struct err *err)
{
	if (!transaction_drop(loop, err))
		return false;
	tasks_free(&loop->tasks, &loop->task_count);
	intake_hold(loop->intake);
	loop->start_pending = true;
	return true;
}

static bool accept_partitions(struct task_loop *loop, struct err *err)
{
	tasks_free(&loop->tasks, &loop->task_count); /* none, if the old partitions were revoked */
	loop->start_pending = intake_accept(loop->intake, err);
	return loop->start_pending;
}

/* When stopping, ignores new assignments. */
bool assignment_apply(struct task_loop *loop, bool stopping, struct err *err)
{
	enum intake_change change = intake_change(loop->intake);
	bool ok = true;

	if (change == INTAKE_REVOKED)
		ok = revoke(loop, err);
	else if (change == INTAKE_ASSIGNED && !stopping)
		ok = accept_partitions(loop, err);
	else if (!loop->start_pending)
		return true;
	if (!ok)
		return false;
	if (loop->start_pending && !stopping && !start_tasks(loop, err))
		return false;
	loop->failures_in_row = 0;
	assignment_report_health(loop);
	return true;
}
