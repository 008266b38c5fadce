/* Partitions come and go: eager rebalances, carried out between batches (kafka/intake.h). A rebuild
 * never meets records of an older position.
 *
 * Never a silent gap, never a silent restart: whatever does not fit (retention, another partition
 * count, a recreated topic, lost offsets) stops the service with an explanation. */
#include "task_loop/task_loop_assignment.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/span.h"
#include "kafka/intake.h"
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
#include "task_loop/task_loop_transaction.h"
#include "wire/schema_loss.h"
#include "wire/topics.h"

#define CALL_TIMEOUT_MS            10000
#define RETRY_PAUSE_MS             100
#define STABLE_OFFSETS_DEADLINE_US (20 * INT64_C(1000000)) /* nobody polls meanwhile */

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
	if (loop->failures_in_row >= FAILURES_ARE_TROUBLE)
		return; /* the reason stands */
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

/* ---- what the broker knows of a partition */

/* Committed offsets as the coordinator has them, waiting for the transactions of a crashed predecessor to be resolved. Our own
 * are, once the producer is ready, which it has to be. */
static bool told_offsets(struct task_loop *loop, rd_kafka_topic_partition_list_t *list,
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
		         log_str("error", rd_kafka_err2str(code)));
		health_alive();
		poll(NULL, 0,
		     RETRY_PAUSE_MS); /* "not coordinator" is answered at once, for as long as a broker starts */
	} while (monotonic_us() < deadline_us && !service_stopping());
	return err_set(err, ERR_RETRY, "committed offsets of group %s: %s", loop->service_name,
	               rd_kafka_err2str(code));
}

/* The first whose last counted row is not before its committed offset; cnt: there is none. */
static int32_t first_behind(const rd_kafka_topic_partition_list_t *committed,
                            const int64_t *counted)
{
	int32_t i = 0;

	while (i < committed->cnt && (counted[i] < 0 || committed->elems[i].offset > counted[i]))
		i++;
	return i;
}

static bool refuse_behind(const struct task_loop *loop, const rd_kafka_topic_partition_t *committed,
                          int64_t counted, struct err *err)
{
	char what[64] = "no committed offsets";

	if (committed->offset >= 0)
		snprintf(what, sizeof(what), "a committed offset of %" PRId64, committed->offset);
	return err_set(
		err, ERR_OPERATOR,
		"group %s%s has %s for %s/%" PRId32
		", but has counted its rows up to offset %" PRId64
		": the topic was deleted and created again (Kafka deletes a group's offsets with it), or "
		"the offsets were moved, deleted or have expired, or Kafka has lost the end of a "
		"transaction; going on from there would emit rows twice; " ERR_ADVICE_FRESH_SET,
		loop->kafka.topic_prefix, loop->service_name, what, committed->topic,
		committed->partition, counted);
}

/* The same, but the coordinator is not believed blindly. Kafka (4.2.1, 4.3.1) was seen to have wrong ones in memory after kill -9, none, old
 * ones or some that were pending for ever, until its next start: where a partition of __consumer_offsets loses its leader and gets it again
 * while it is loaded, the coordinator serves requests in the middle of the second load. Whoever goes on from there writes everything
 * since a second time. The log that it is loaded from is right all the same.
 *
 * What shows it: counts and offsets of a partition are committed in one transaction, so a committed offset lies behind the last row
 * that was counted. One that does not, or none to be had, is looked up in the log, and committed again at once, so that the coordinator
 * has it. Where the log has it too, going on would be wrong. Where that has a transaction that does not end, this waits with it.
 *
 * Limit: what was counted behind another instance's open transaction is not seen. */
static bool committed_offsets(struct task_loop *loop, rd_kafka_topic_partition_list_t *list,
                              bool *from_log, struct err *err)
{
	int64_t *counted = xrealloc(NULL, ((size_t)list->cnt + 1) * sizeof(*counted));
	bool ok = txn_producer_ready(loop, err) && counts_topic_last(loop, list, counted, err),
	     told = ok && told_offsets(loop, list, err);
	int32_t behind = told ? first_behind(list, counted) : 0;

	*from_log = false;
	if (ok && service_stopping()) { /* whether they are right is not looked at any more */
		ok = err_set(err, ERR_RETRY, "committed offsets of group %s: stopped by a signal",
		             loop->service_name);
	} else if (ok && (!told || behind < list->cnt)) {
		if (told)
			log_warn("committed_offset_stale",
			         log_partition(list->elems[behind].topic,
			                       list->elems[behind].partition),
			         log_int("committed", list->elems[behind].offset),
			         log_int("last_counted", counted[behind]),
			         log_str("detail",
			                 "the coordinator returned an offset that is not past the "
			                 "last counted row; reading the offsets from the log"));
		ok = *from_log = offsets_topic_read(loop, list, err);
		behind = ok ? first_behind(list, counted) : list->cnt;
		if (behind < list->cnt)
			ok = refuse_behind(loop, &list->elems[behind], counted[behind], err);
	}
	free(counted);
	return ok;
}

static bool group_ever_committed(struct task_loop *loop, size_t input, bool *ever, struct err *err)
{
	const struct intake_topic *topic = intake_topic(loop->intake, input);
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new(topic->partition_count);
	bool ok, from_log;

	rd_kafka_topic_partition_list_add_range(list, topic->name, 0, topic->partition_count - 1);
	ok = committed_offsets(loop, list, &from_log, err);
	*ever = false;
	for (int i = 0; ok && i < list->cnt; i++)
		*ever |= list->elems[i].offset >= 0;
	rd_kafka_topic_partition_list_destroy(list);
	return ok;
}

/* There is no committed offset: fine for a new deployment, but not where our output exists. */
static bool may_start_from_nothing(struct task_loop *loop, size_t input, struct err *err)
{
	char topic[TOPIC_NAME_MAX + 1];
	enum topic_id output = loop->inputs[input].main_output;
	bool ever, holds;

	if (loop->start_checked[input])
		return true;
	if (!group_ever_committed(loop, input, &ever, err))
		return false;
	loop->start_checked[input] = ever;
	if (ever)
		return true;
	snprintf(topic, sizeof(topic), "%s%s", loop->kafka.topic_prefix, topic_of(output)->suffix);
	if (!topic_has_records(loop, topic, loop->terms->partition_count[output], &holds, err))
		return false;
	loop->start_checked[input] = !holds;
	return !holds ||
	       err_set(err, ERR_OPERATOR,
	               "group %s%s has no committed offsets for %s, but %s is not empty: the offsets have expired or were deleted, and starting "
	               "again would emit everything twice; the way on is to process into a fresh set (another TOPIC_PREFIX)",
	               loop->kafka.topic_prefix, loop->service_name,
	               intake_topic(loop->intake, input)->name, topic);
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
		return err_set(
			err, ERR_OPERATOR,
			"%s/%" PRId32 ": the committed offset %" PRId64
			" lies beyond the log's end %" PRId64
			": the topic was deleted and created again, or the broker has lost records; " ERR_ADVICE_FRESH_SET,
			assigned->topic, task->params.partition, task->restore_to, partition->high);
	case START_LOST_RECORDS: break;
	}
	return err_set(err, ERR_OPERATOR,
	               "%s/%" PRId32 ": the records from offset %" PRId64
	               " on must be read%s, but retention has removed everything below %" PRId64
	               "; give the topic a longer retention.ms; " ERR_ADVICE_FRESH_SET,
	               assigned->topic, task->params.partition, task->position,
	               task->restoring ? " to rebuild the state" : "", partition->low);
}

/* The kept task of a partition, if it stands where the group does. */
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

static void task_metrics(struct assigned_task *assigned)
{
	char labels[TOPIC_NAME_MAX + 64];

	snprintf(labels, sizeof(labels), "topic=\"%s\",partition=\"%" PRId32 "\"", assigned->topic,
	         assigned->task.params.partition);
	assigned->records_metric = metric_get(METRIC_COUNTER, "records_in_total", labels,
	                                      "Records folded, replays of a rebuild included");
}

/* Takes the kept task up again, starts one from nothing, or prepares a rebuild. */
static bool task_open(struct task_loop *loop, struct assigned_task *assigned,
                      struct assigned_task *parked, const rd_kafka_topic_partition_t *committed,
                      struct err *err)
{
	const struct task_loop_input *in = assigned->input;
	const struct assigned_partition *partition = assigned->partition;
	struct task_params terms = {.ops = in->ops,
	                            .fold_config = in->fold_config,
	                            .partition = partition->partition,
	                            .partition_count = partition->topic->partition_count,
	                            .fingerprint = in->fingerprint,
	                            .block_records = TASK_BLOCK_RECORDS};

	if (parked) {
		assigned->task = parked->task;
		parked->task = (struct task){0};
		return true;
	}
	if (committed->offset >= 0)
		return task_resume(&assigned->task, &terms, committed->offset,
		                   (struct span){committed->metadata, committed->metadata_size},
		                   err);
	if (!may_start_from_nothing(loop, partition->input, err))
		return false;
	if (partition->low > 0)
		log_warn("earlier_records_missing",
		         log_partition(assigned->topic, partition->partition),
		         log_int("first_offset", partition->low),
		         log_str("detail", "retention removed earlier records; reading from here"));
	task_start(&assigned->task, &terms, partition->low);
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
	task_metrics(assigned);
	idle_task_init(assigned);
	log_info("partition_positioned", log_partition(assigned->topic, committed->partition),
	         log_int("committed", committed->offset),
	         log_int("restore_from", assigned->task.position), log_bool("state_kept", parked));
	return log_still_holds(assigned, err);
}

static bool add_tasks(struct task_loop *loop, rd_kafka_topic_partition_list_t *list,
                      struct err *err)
{
	bool from_log = false;

	if (list->cnt && !committed_offsets(loop, list, &from_log, err))
		return false;
	if (!intake_bounds(loop->intake, err))
		return false;
	loop->tasks = xrealloc(NULL, ((size_t)list->cnt + 1) * sizeof(*loop->tasks));
	for (int i = 0; i < list->cnt; i++)
		if (!add_task(loop, &list->elems[i], from_log, err))
			return false;
	FAULT_POINT("before_restore");
	return intake_start(loop->intake, err);
}

/* Tasks for the partitions that have come. */
static bool start_tasks(struct task_loop *loop, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = intake_list(loop->intake);
	bool ok;

	memset(loop->start_checked, 0, sizeof(loop->start_checked));
	ok = add_tasks(loop, list, err);
	rd_kafka_topic_partition_list_destroy(list);
	if (!ok) {
		tasks_free(&loop->tasks, &loop->task_count);
		return false;
	}
	tasks_free(&loop->parked, &loop->parked_count);
	loop->waiting = false;
	loop->assigned = true;
	return true;
}

static void park_tasks(struct task_loop *loop)
{
	if (loop->outbox.count) { /* not committed: the state is ahead of what anybody has seen */
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

/* Commits what is done, then lets go; state is kept aside in case the partitions come back. */
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
	park_tasks(loop);
	/* Before another member goes on from our offsets, the broker must have fenced the epoch of our
	 * last transaction, in case one of its requests arrives late. */
	if (!transaction_drop(loop, err) || (!lost && !txn_producer_ready(loop, err)))
		return false;
	intake_release(loop->intake);
	loop->waiting = false;
	return true;
}

static bool accept_partitions(struct task_loop *loop, struct err *err)
{
	tasks_free(&loop->tasks, &loop->task_count); /* none, if those of before were given back */
	loop->waiting = intake_accept(loop->intake, err);
	return loop->waiting;
}

/* Who is about to end takes nothing over, and need not wait for what that would take. */
bool assignment_carry_out(struct task_loop *loop, bool stopping, struct err *err)
{
	enum intake_change change = intake_change(loop->intake);
	bool ok = true;

	/* Folded into the next assignment's tasks, records of this one would leave a gap before them. */
	if (change != INTAKE_SAME)
		intake_forget(loop->intake);
	if (change == INTAKE_REVOKED)
		ok = revoke(loop, err);
	else if (change == INTAKE_ASSIGNED && !stopping)
		ok = accept_partitions(loop, err);
	else if (!loop->waiting)
		return true;
	if (!ok)
		return false;
	if (loop->waiting && !stopping && !start_tasks(loop, err))
		return false;
	loop->failures_in_row = 0;
	assignment_report_health(loop);
	return true;
}
