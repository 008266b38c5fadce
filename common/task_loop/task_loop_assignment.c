/* Partitions come and go: eager rebalances, carried out between batches.
 *
 * The rebalance callback only notes what was announced; librdkafka waits until assign or unassign is
 * called. So every message of a poll belongs to the assignment before it; what is not folded by then is
 * forgotten, and a rebuild never meets messages of an older position.
 *
 * Never a silent gap, never a silent restart: whatever does not fit (retention, another partition
 * count, a recreated topic, lost offsets) stops the service with an explanation. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/span.h"
#include "kafka/kafka_topic.h"
#include "service/fault.h"
#include "service/health.h"
#include "service/log.h"
#include "service/monotime.h"
#include "service/stop.h"
#include "task_loop/task_loop_internal.h"

#define CALL_TIMEOUT_MS 10000
#define RETRY_PAUSE_MS 100
#define STABLE_OFFSETS_DEADLINE_US (20 * INT64_C(1000000)) /* nobody polls meanwhile */

void assignment_rebalance_cb(rd_kafka_t *consumer, rd_kafka_resp_err_t kind, rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
	struct task_loop *loop = opaque;

	if (loop->closing) {
		rd_kafka_assign(consumer, NULL);
		return;
	}
	if (loop->rebalance_partitions)
		rd_kafka_topic_partition_list_destroy(loop->rebalance_partitions);
	loop->rebalance_kind = kind;
	loop->rebalance_partitions = rd_kafka_topic_partition_list_copy(partitions);
}

struct slot *assignment_slot(struct task_loop *loop, const char *topic, int32_t partition)
{
	for (size_t i = 0; i < loop->slot_count; i++)
		if (loop->slots[i].task.terms.partition == partition && strcmp(loop->slots[i].topic, topic) == 0)
			return &loop->slots[i];
	return NULL;
}

static void slots_free(struct slot **slots, size_t *count)
{
	for (size_t i = 0; i < *count; i++)
		task_free(&(*slots)[i].task);
	free(*slots);
	*slots = NULL;
	*count = 0;
}

void assignment_drop_all(struct task_loop *loop)
{
	slots_free(&loop->slots, &loop->slot_count);
	slots_free(&loop->parked, &loop->parked_count);
}

void assignment_report_health(const struct task_loop *loop)
{
	const char *schema_reason = schema_alarm_reason(&loop->schema_alarm, monotonic_us());
	char reason[512];
	size_t len = 0;

	if (!loop->assigned) {
		health_ready("waiting for the group's first assignment");
		return;
	}
	if (loop->failures_in_row >= FAILURES_ARE_TROUBLE)
		return; /* the reason stands */
	for (size_t i = 0; i < loop->slot_count && len < sizeof(reason); i++) {
		const struct task *task = &loop->slots[i].task;

		if (task->restoring)
			len += (size_t)snprintf(reason + len, sizeof(reason) - len, "restoring %s/%" PRId32 ": at %" PRId64 " of %" PRId64 "\n",
			                        loop->slots[i].topic, task->terms.partition, task->position, task->restore_to);
	}
	for (size_t i = 0; i < loop->slot_count; i++)
		len = partition_watch_text(&loop->slots[i].watch, reason, len, sizeof(reason));
	health_ready(len ? reason : schema_reason);
}

/* ---- what the broker knows of a partition */

/* Committed offsets as the coordinator has them, waiting for the transactions of a crashed predecessor to be resolved. Our own
 * are, once the producer is ready, which it has to be. */
static bool told_offsets(struct task_loop *loop, rd_kafka_topic_partition_list_t *list, struct err *err)
{
	int64_t deadline_us = monotonic_us() + STABLE_OFFSETS_DEADLINE_US;
	rd_kafka_resp_err_t code;

	do {
		code = rd_kafka_committed(loop->consumer, list, CALL_TIMEOUT_MS);
		for (int i = 0; i < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
			code = list->elems[i].err;
		if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
			return true;
		log_warn("retrying", log_str("phase", "read_committed_offsets"),
		         log_str("error", rd_kafka_err2str(code)));
		health_alive();
		poll(NULL, 0, RETRY_PAUSE_MS); /* "not coordinator" is answered at once, for as long as a broker starts */
	} while (monotonic_us() < deadline_us && !service_stopping());
	return err_set(err, ERR_RETRY, "committed offsets of group %s: %s", loop->service_name, rd_kafka_err2str(code));
}

/* The first whose last counted row is not before its committed offset; cnt: there is none. */
static int32_t first_behind(const rd_kafka_topic_partition_list_t *committed, const int64_t *counted)
{
	int32_t i = 0;

	while (i < committed->cnt && (counted[i] < 0 || committed->elems[i].offset > counted[i]))
		i++;
	return i;
}

static bool refuse_behind(const struct task_loop *loop, const rd_kafka_topic_partition_t *committed, int64_t counted, struct err *err)
{
	char what[64] = "no committed offsets";

	if (committed->offset >= 0)
		snprintf(what, sizeof(what), "a committed offset of %" PRId64, committed->offset);
	return err_set(
		err, ERR_REFUSE,
		"group %s%s has %s for %s/%" PRId32 ", but has counted its rows up to offset %" PRId64
		": the topic was deleted and created again (Kafka deletes a group's offsets with it), or "
		"the offsets were moved, deleted or have expired, or Kafka has lost the end of a "
		"transaction; going on from there would emit rows twice; " ERR_ADVICE_FRESH_SET,
		loop->kafka.topic_prefix, loop->service_name, what, committed->topic, committed->partition,
		counted);
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
static bool committed_offsets(struct task_loop *loop, rd_kafka_topic_partition_list_t *list, bool *from_log, struct err *err)
{
	int64_t *counted = xrealloc(NULL, ((size_t)list->cnt + 1) * sizeof(*counted));
	bool ok = producer_ready(loop, err) && log_last_counted(loop, list, counted, err), told = ok && told_offsets(loop, list, err);
	int32_t behind = told ? first_behind(list, counted) : 0;

	*from_log = false;
	if (ok && service_stopping()) { /* whether they are right is not looked at any more */
		ok = err_set(err, ERR_RETRY, "committed offsets of group %s: stopped by a signal", loop->service_name);
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
		ok = *from_log = log_committed(loop, list, err);
		behind = ok ? first_behind(list, counted) : list->cnt;
		if (behind < list->cnt)
			ok = refuse_behind(loop, &list->elems[behind], counted[behind], err);
	}
	free(counted);
	return ok;
}

static bool group_ever_committed(struct task_loop *loop, size_t input, bool *ever, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(loop->input_partitions[input]);
	bool ok, from_log;

	rd_kafka_topic_partition_list_add_range(list, loop->input_topics[input], 0, loop->input_partitions[input] - 1);
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
	if (!log_holds_records(loop, topic, loop->terms->partition_count[output], &holds, err))
		return false;
	loop->start_checked[input] = !holds;
	return !holds || err_set(err, ERR_REFUSE,
	                         "group %s%s has no committed offsets for %s, but %s is not empty: the offsets have expired or were deleted, and starting "
	                         "again would emit everything twice; the way on is to process into a fresh set (another TOPIC_PREFIX)",
	                         loop->kafka.topic_prefix, loop->service_name, loop->input_topics[input], topic);
}

/* ---- tasks */

static bool log_still_holds(const struct slot *slot, int64_t low, int64_t high, struct err *err)
{
	const struct task *task = &slot->task;

	if (task->restore_to > high)
		return err_set(
			err, ERR_REFUSE,
			"%s/%" PRId32 ": the committed offset %" PRId64 " lies beyond the log's end %" PRId64
			": the topic was deleted and created again, or the broker has lost records; "
			ERR_ADVICE_FRESH_SET,
			slot->topic, task->terms.partition, task->restore_to, high);
	if (task->restoring && task->position < low)
		return err_set(err, ERR_REFUSE,
		               "%s/%" PRId32 ": state must be rebuilt from offset %" PRId64 ", but retention has removed everything below %" PRId64
		               "; the way on is to process into a fresh set (another TOPIC_PREFIX), and a longer retention.ms",
		               slot->topic, task->terms.partition, task->position, low);
	return true;
}

static struct slot *unpark(struct task_loop *loop, const char *topic, int32_t partition, int64_t committed)
{
	for (size_t i = 0; i < loop->parked_count; i++) {
		struct slot *slot = &loop->parked[i];

		if (slot->task.fold && slot->task.terms.partition == partition && strcmp(slot->topic, topic) == 0)
			return slot->task.committed == committed && slot->task.position == committed && !slot->task.restoring ? slot : NULL;
	}
	return NULL;
}

static void slot_metrics(struct slot *slot)
{
	char labels[TOPIC_NAME_MAX + 64];

	snprintf(labels, sizeof(labels), "topic=\"%s\",partition=\"%" PRId32 "\"", slot->topic, slot->task.terms.partition);
	slot->records_metric = metric_get(METRIC_COUNTER, "records_in_total", labels, "Records folded, replays of a rebuild included");
}

static bool slot_open(struct task_loop *loop, struct slot *slot, size_t input, const rd_kafka_topic_partition_t *committed, struct err *err)
{
	const struct task_loop_input *in = &loop->inputs[input];
	struct task_terms terms = {in->ops, in->fold_config, committed->partition, loop->input_partitions[input], in->meaning, TASK_BLOCK_RECORDS};
	struct slot *parked = unpark(loop, committed->topic, committed->partition, committed->offset);
	int64_t low, high;

	*slot = (struct slot){.input = in, .topic = loop->input_topics[input]};
	if (committed->partition >= loop->input_partitions[input])
		return err_set(err, ERR_REFUSE,
		               "%s had %" PRId32 " partitions when this service started, and has more now: the number never changes, since keys would move; the "
		               "way on is to process into a fresh set (another TOPIC_PREFIX)",
		               slot->topic, loop->input_partitions[input]);
	if (!kafka_bounds(loop->consumer, slot->topic, committed->partition, CALL_TIMEOUT_MS, &low, &high, err))
		return false;
	if (parked) {
		slot->task = parked->task;
		parked->task = (struct task){0};
	} else if (committed->offset < 0) {
		if (!may_start_from_nothing(loop, input, err))
			return false;
		if (low > 0)
			log_warn("earlier_records_missing",
			         log_partition(slot->topic, committed->partition),
			         log_int("first_offset", low),
			         log_str("detail",
			                 "retention removed earlier records; reading from here"));
		task_start(&slot->task, &terms, low);
	} else if (!task_resume(&slot->task, &terms, committed->offset,
	                        (struct span){committed->metadata, committed->metadata_size}, err)) {
		return false;
	}
	log_watch_begin(&slot->log, &slot->task.last, monotonic_us());
	slot_metrics(slot);
	idle_slot_init(slot);
	log_info("partition_positioned", log_partition(slot->topic, committed->partition),
	         log_int("committed", committed->offset),
	         log_int("restore_from", slot->task.position), log_bool("state_kept", parked));
	return log_still_holds(slot, low, high, err);
}

static size_t input_of(const struct task_loop *loop, const char *topic)
{
	size_t i = 0;

	while (i < loop->input_count && strcmp(loop->input_topics[i], topic) != 0)
		i++;
	return i;
}

static bool assign(struct task_loop *loop, rd_kafka_topic_partition_list_t *partitions, struct err *err)
{
	rd_kafka_resp_err_t code;
	bool from_log = false;

	memset(loop->start_checked, 0, sizeof(loop->start_checked));
	log_info("partitions_assigned", log_int("partitions", partitions->cnt));
	if (partitions->cnt && !committed_offsets(loop, partitions, &from_log, err))
		return false;
	loop->slots = xrealloc(NULL, ((size_t)partitions->cnt + 1) * sizeof(*loop->slots));
	for (int i = 0; i < partitions->cnt; i++) {
		rd_kafka_topic_partition_t *partition = &partitions->elems[i];
		struct slot *slot = &loop->slots[loop->slot_count++];

		*slot = (struct slot){0};
		if (!slot_open(loop, slot, input_of(loop, partition->topic), partition, err))
			return false;
		slot->commit_again = from_log && partition->offset >= 0;
		partition->offset = slot->task.position;
	}
	if (!identity_verified(loop, err))
		return false;
	slots_free(&loop->parked, &loop->parked_count);
	FAULT_POINT("before_restore");
	code = rd_kafka_assign(loop->consumer, partitions);
	loop->assigned = true;
	return code == RD_KAFKA_RESP_ERR_NO_ERROR || err_set(err, ERR_FATAL, "assign: %s", rd_kafka_err2str(code));
}

/* Commits what is done, then lets go; state is kept aside in case the partitions come back. */
static bool revoke(struct task_loop *loop, struct err *err)
{
	bool lost = rd_kafka_assignment_lost(loop->consumer);

	for (size_t i = 0; i < loop->slot_count; i++)
		idle_slot_stop(&loop->slots[i]);
	log_info("partitions_revoked", log_uint("partitions", loop->slot_count),
	         log_bool("lost", lost));
	if (!lost && (loop->committing || loop->first_uncommitted_us || loop->outbox.count) && !transaction_commit(loop, err) &&
	    err->class != ERR_RETRY)
		return false;
	slots_free(&loop->parked, &loop->parked_count);
	if (loop->outbox.count) { /* it could not be committed: the state is ahead of what anybody has seen */
		slots_free(&loop->slots, &loop->slot_count);
	} else {
		loop->parked = loop->slots;
		loop->parked_count = loop->slot_count;
	}
	loop->slots = NULL;
	loop->slot_count = 0;
	/* Before another member goes on from our offsets, the broker must have fenced the epoch of our
	 * last transaction, in case one of its requests arrives late. */
	if (!transaction_drop(loop, err) || (!lost && !producer_ready(loop, err)))
		return false;
	rd_kafka_assign(loop->consumer, NULL);
	return true;
}

bool assignment_carry_out(struct task_loop *loop, struct err *err)
{
	rd_kafka_topic_partition_list_t *partitions = loop->rebalance_partitions;
	rd_kafka_resp_err_t kind = loop->rebalance_kind;
	bool ok;

	if (kind == RD_KAFKA_RESP_ERR_NO_ERROR)
		return true;
	task_loop_forget_messages(loop); /* of the former assignment: folded into the next one's tasks they would leave a gap before them */
	ok = kind == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS ? assign(loop, partitions, err) : revoke(loop, err);
	/* What could not be carried out yet stays pending: the group waits for our answer. */
	if (!ok && err->class == ERR_RETRY) {
		slots_free(&loop->slots, &loop->slot_count);
		return false;
	}
	loop->rebalance_partitions = NULL;
	loop->rebalance_kind = RD_KAFKA_RESP_ERR_NO_ERROR;
	rd_kafka_topic_partition_list_destroy(partitions);
	loop->failures_in_row = 0;
	assignment_report_health(loop);
	return ok;
}
