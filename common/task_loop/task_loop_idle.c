/* Decides which assigned partitions have held records, and which are idle.
 *
 * Windows become final without an idle partition. So idleness needs evidence that no record for
 * the partition is on its way. To be at the end of the partition is not enough: a transaction can
 * hold records back, in this topic or in its source, and the writer of this topic can lag or be
 * down. A separate client, the metadata client, asks the brokers in this order:
 *
 *   1. The log end of the source, including uncommitted records.
 *   2. The writer's committed offset in the source. If it is that end, all the writer's records are
 *      in this topic.
 *   3. The log end of this topic, including uncommitted records. If it is our position, all of them
 *      are folded.
 *
 * A partition that was announced as idle is checked again every second, and announced as active
 * when this is not true any more. No announcement changes a total (merge_fold.c).
 *
 * Rejected: the high watermark of the last fetch alone. It is stale while a broker does not
 * answer, and shows nothing about the source.
 * Limits: records that arrive in the second between two checks are not seen yet; with a grace of
 * ten minutes this matters only in a replay at more than 600 times real time. While a broker does
 * not answer, no partition is announced. At most one input of a service has idle. */
#include "task_loop/task_loop_idle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/memory.h"
#include "kafka/intake.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_conf.h"
#include "kafka/kafka_error.h"
#include "kafka/kafka_topic.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/monotime.h"
#include "stream/partition_end.h"
#include "task_loop/task_loop.h"
#include "wire/topics.h"

#define WATCH_EVERY_US INT64_C(100000)
#define CHECK_EVERY_US INT64_C(1000000)
/* After a check without an answer: the loop does not poll while it waits for one. */
#define CHECK_AGAIN_US     INT64_C(5000000)
#define UNANSWERED_LOG_US  INT64_C(60000000)
#define CALL_TIMEOUT_MS    1000
#define DESTROY_TIMEOUT_MS 5000

void idle_task_init(struct assigned_task *assigned)
{
	char labels[TOPIC_NAME_MAX + 64];

	assigned->announced = ANNOUNCED_NOTHING;
	if (!assigned->input->ops->idle)
		return;
	snprintf(labels, sizeof(labels), "topic=\"%s\",partition=\"%" PRId32 "\"", assigned->topic,
	         assigned->task.params.partition);
	assigned->idle_metric = metric_get(
		METRIC_GAUGE, "partition_idle", labels,
		"1 while the partition is idle, so that windows become final without it; else 0");
	metric_set(assigned->idle_metric, 0);
}

static void set_announced(struct assigned_task *assigned, enum announced what)
{
	assigned->announced = what;
	if (assigned->idle_metric)
		metric_set(assigned->idle_metric, what == ANNOUNCED_IDLE);
}

void idle_task_moved(struct assigned_task *assigned)
{
	assigned->idle_suppressed = false;
	if (assigned->announced == ANNOUNCED_IDLE)
		set_announced(assigned, ANNOUNCED_NOTHING);
}

void idle_task_stop(struct assigned_task *assigned)
{
	set_announced(assigned, ANNOUNCED_NOTHING);
}

/* ---- checks */

/* The partitions of one check. Entry i of each list belongs to tasks[i]. */
struct idle_check {
	struct assigned_task **tasks;
	int count;
	rd_kafka_topic_partition_list_t *source_end, *written, *own_end;
};

/* The client joins no group. Its group.id is the writer's, to read the writer's offsets. */
static bool metadata_client_ready(struct task_loop *loop, const struct task_loop_input *input,
                                  struct err *err)
{
	char group[256], client[256];
	const char *const extra[] = {
		"group.id", group, "isolation.level", "read_uncommitted", "statistics.interval.ms",
		"0",        NULL};
	rd_kafka_conf_t *conf;

	if (loop->metadata_client)
		return true;
	snprintf(group, sizeof(group), "%s%s", loop->kafka.topic_prefix, input->writer);
	snprintf(client, sizeof(client), "%s-%s-metadata", loop->service_name, loop->instance);
	conf = kafka_conf_new(&loop->kafka, KAFKA_CONSUMER, client, extra, err);
	loop->metadata_client = conf ? kafka_client_new(conf, KAFKA_CONSUMER, err) : NULL;
	return loop->metadata_client != NULL;
}

/* The client has isolation level read_uncommitted, so log ends include uncommitted records. */
static bool query_ends(struct task_loop *loop, rd_kafka_topic_partition_list_t *list,
                       struct err *err)
{
	return kafka_offsets_at(loop->metadata_client, list, RD_KAFKA_OFFSET_END, CALL_TIMEOUT_MS,
	                        err);
}

static bool query_written(struct task_loop *loop, rd_kafka_topic_partition_list_t *list,
                          struct err *err)
{
	rd_kafka_resp_err_t code = rd_kafka_committed(loop->metadata_client, list, CALL_TIMEOUT_MS);
	const rd_kafka_topic_partition_t *first = &list->elems[0];

	for (int i = 0; i < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
		first = &list->elems[i];
		code = first->err;
	}
	return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
	       err_set(err, ERR_RETRY,
	               "cannot read the writer's committed offset of %s/%" PRId32 ": %s",
	               first->topic, first->partition, kafka_err_text(code));
}

/* A writer that has committed no offset may have an empty source partition. */
static bool source_is_empty(struct task_loop *loop, const rd_kafka_topic_partition_t *source,
                            bool *empty, struct err *err)
{
	int64_t low = 0, end = 0;
	bool ok = source->offset == 0 ||
	          kafka_offset_range(loop->metadata_client, source->topic, source->partition,
	                             CALL_TIMEOUT_MS, &low, &end, err);

	*empty = ok && low == end && end == source->offset;
	return ok;
}

static bool all_is_folded(struct task_loop *loop, const struct idle_check *check, int i, bool *all,
                          struct err *err)
{
	const struct assigned_task *assigned = check->tasks[i];
	const rd_kafka_topic_partition_t *source = &check->source_end->elems[i];
	int64_t written = check->written->elems[i].offset;

	*all = written >= source->offset;
	if (written < 0 && !source_is_empty(loop, source, all, err))
		return false;
	*all = *all && check->own_end->elems[i].offset == assigned->task.position &&
	       assigned->partition->watch.end.offset == assigned->task.position;
	return true;
}

/* ---- announcements */

static bool is_at_end_long(const struct task_loop *loop, const struct assigned_task *assigned)
{
	int64_t since_us = assigned->partition->watch.end.idle_since_us;

	return since_us && monotonic_us() - since_us >= loop->config.idle_timeout_us;
}

static void log_suppressed(const struct task_loop *loop, const struct idle_check *check, int i)
{
	struct assigned_task *assigned = check->tasks[i];
	const rd_kafka_topic_partition_t *source = &check->source_end->elems[i];
	int64_t written = check->written->elems[i].offset;

	if (assigned->idle_suppressed || !is_at_end_long(loop, assigned) ||
	    written >= source->offset)
		return;
	assigned->idle_suppressed = true;
	log_info("idle_withheld", log_partition(assigned->topic, assigned->task.params.partition),
	         log_str("source", source->topic), log_int("source_end", source->offset),
	         log_int("committed", written < 0 ? 0 : written),
	         log_str("writer", assigned->input->writer),
	         log_str("detail", "windows do not become final without this partition: its "
	                           "writer has not committed all records of the source"));
}

/* An announcement is an output, so the offset of its partition is committed with it, although no
 * record was folded. Then the coordinator refuses it from a process that has lost the partition.
 * And a process that starts before the first record finds an offset along with our outputs. */
static void announced(struct assigned_task *assigned, enum announced what)
{
	set_announced(assigned, what);
	assigned->commit_again = true;
}

static bool announce(struct task_loop *loop, const struct idle_check *check, struct err *err)
{
	for (int i = 0; i < check->count; i++) {
		struct assigned_task *assigned = check->tasks[i];
		bool all = false;

		if (!all_is_folded(loop, check, i, &all, err))
			return false;
		if (!all) {
			log_suppressed(loop, check, i);
			if (assigned->announced == ANNOUNCED_ACTIVE)
				continue;
			assigned->input->ops->active(assigned->task.fold, &loop->outbox);
			announced(assigned, ANNOUNCED_ACTIVE);
		} else if (is_at_end_long(loop, assigned) &&
		           assigned->announced != ANNOUNCED_IDLE) {
			assigned->input->ops->idle(assigned->task.fold, &loop->outbox);
			announced(assigned, ANNOUNCED_IDLE);
		}
	}
	return true;
}

/* Leaves out a partition with folded but uncommitted records: their outputs would follow the
 * announcement and cancel it. */
static bool needs_check(const struct task_loop *loop, const struct assigned_task *assigned)
{
	return assigned->input->ops->idle && !assigned->task.restoring && !assigned->moved &&
	       assigned->partition->watch.end.offset != PARTITION_END_NONE &&
	       (assigned->announced != ANNOUNCED_ACTIVE || is_at_end_long(loop, assigned));
}

static void add_task(struct task_loop *loop, struct idle_check *check,
                     struct assigned_task *assigned)
{
	char source[TOPIC_NAME_MAX + 1];
	int32_t partition = assigned->task.params.partition;

	snprintf(source, sizeof(source), "%s%s", loop->kafka.topic_prefix,
	         assigned->input->source_suffix);
	check->tasks[check->count++] = assigned;
	rd_kafka_topic_partition_list_add(check->source_end, source, partition);
	rd_kafka_topic_partition_list_add(check->written, source, partition);
	rd_kafka_topic_partition_list_add(check->own_end, assigned->topic, partition);
}

static bool run_check(struct task_loop *loop, struct idle_check *check, struct err *err)
{
	for (size_t i = 0; i < loop->task_count; i++)
		if (needs_check(loop, &loop->tasks[i]))
			add_task(loop, check, &loop->tasks[i]);
	return check->count == 0 ||
	       (metadata_client_ready(loop, check->tasks[0]->input, err) &&
	        query_ends(loop, check->source_end, err) &&
	        query_written(loop, check->written, err) && query_ends(loop, check->own_end, err) &&
	        announce(loop, check, err));
}

/* At most once per IDLE_TIMEOUT, and less often while a broker does not answer. */
static void schedule(struct task_loop *loop, bool ok, const struct err *err)
{
	int64_t now_us = monotonic_us(), every_us = loop->config.idle_timeout_us;

	if (every_us > CHECK_EVERY_US)
		every_us = CHECK_EVERY_US;
	loop->next_idle_check_us = now_us + (ok ? every_us : CHECK_AGAIN_US);
	if (ok || now_us < loop->next_unanswered_log_us)
		return;
	loop->next_unanswered_log_us = now_us + UNANSWERED_LOG_US;
	log_warn("idle_unknown", log_str("error", err->message),
	         log_str("detail", "no partition is announced as idle until the broker answers"));
}

static void check_idleness(struct task_loop *loop)
{
	int room = (int)loop->task_count + 1;
	struct idle_check check = {
		.tasks = xrealloc(NULL, (size_t)room * sizeof(*check.tasks)),
		.source_end = rd_kafka_topic_partition_list_new(room),
		.written = rd_kafka_topic_partition_list_new(room),
		.own_end = rd_kafka_topic_partition_list_new(room),
	};
	struct err err = {ERR_NONE, ""};
	bool ok = run_check(loop, &check, &err);
	/* Runs the client's callbacks; it has no partitions, so no records come. */
	rd_kafka_message_t *event =
		loop->metadata_client ? rd_kafka_consumer_poll(loop->metadata_client, 0) : NULL;

	if (event)
		rd_kafka_message_destroy(event);
	schedule(loop, ok, &err);
	rd_kafka_topic_partition_list_destroy(check.own_end);
	rd_kafka_topic_partition_list_destroy(check.written);
	rd_kafka_topic_partition_list_destroy(check.source_end);
	free(check.tasks);
}

void idle_watch(struct task_loop *loop)
{
	int64_t now_us = monotonic_us();

	if (now_us < loop->next_watch_us)
		return;
	loop->next_watch_us = now_us + WATCH_EVERY_US;
	intake_watch(loop->intake, loop->config.idle_timeout_us);
	if (now_us >= loop->next_idle_check_us)
		check_idleness(loop);
}

void idle_close(struct task_loop *loop)
{
	struct err err;

	if (loop->metadata_client &&
	    !kafka_destroy_within(loop->metadata_client, DESTROY_TIMEOUT_MS, &err))
		log_warn("kafka_client_abandoned", log_str("role", "metadata"),
		         log_str("error", err.message));
	loop->metadata_client = NULL;
}
