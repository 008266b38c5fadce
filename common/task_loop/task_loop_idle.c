/* Which assigned partitions are held back by an open transaction, and which are idle.
 *
 * Windows become final without an idle partition. So idleness needs evidence that no record for the
 * partition is on its way. An end of partition is not enough: a transaction can hold records back,
 * in this topic or in its source, and the writer of this topic can lag or be down. An observer, a
 * client of its own, asks the brokers in this order:
 *
 *   1. the source's log end, uncommitted records included
 *   2. the writer's committed offset in the source: at that end, all its records are in this topic
 *   3. this topic's log end, uncommitted records included: at our position, all of it is folded
 *
 * A partition that was announced as idle is asked about again every second, and announced as active
 * once this no longer holds. No announcement changes a total (merge_fold.c).
 *
 * Rejected: the high watermark of the last fetch alone. It is stale while a broker does not answer,
 * and shows nothing of the source.
 * Limits: records that arrive in the second between two questions do not count yet; with a grace of
 * ten minutes this matters in a replay at more than 600 times real time. While a broker does not
 * answer, no partition is announced. At most one input of a service has idle. */
#include "task_loop/task_loop_idle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/memory.h"
#include "kafka/intake.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_conf.h"
#include "kafka/kafka_topic.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/monotime.h"
#include "stream/partition_end.h"
#include "task_loop/task_loop.h"
#include "wire/topics.h"

#define WATCH_EVERY_US     INT64_C(100000)
#define ASK_EVERY_US       INT64_C(1000000)
#define ASK_AGAIN_US       INT64_C(5000000) /* after no answer: the loop waits for one without polling */
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
	assigned->idle_metric =
		metric_get(METRIC_GAUGE, "partition_idle", labels,
	                   "1 while the partition is idle, and so does not hold back final marks");
	metric_set(assigned->idle_metric, 0);
}

static void announced(struct assigned_task *assigned, enum announced what)
{
	assigned->announced = what;
	if (assigned->idle_metric)
		metric_set(assigned->idle_metric, what == ANNOUNCED_IDLE);
}

void idle_task_moved(struct assigned_task *assigned)
{
	assigned->withheld = false;
	if (assigned->announced == ANNOUNCED_IDLE)
		announced(assigned, ANNOUNCED_NOTHING);
}

void idle_task_stop(struct assigned_task *assigned)
{
	announced(assigned, ANNOUNCED_NOTHING);
}

/* ---- questions */

/* The partitions that are asked about. Entry i of each list belongs to tasks[i]. */
struct question {
	struct assigned_task **tasks;
	int count;
	rd_kafka_topic_partition_list_t *source_end, *written, *own_end;
};

/* The observer joins no group. Its group.id is the writer's, to read the writer's offsets. */
static bool observer_ready(struct task_loop *loop, const struct task_loop_input *input,
                           struct err *err)
{
	char group[256], client[256];
	const char *const extra[] = {
		"group.id", group, "isolation.level", "read_uncommitted", "statistics.interval.ms",
		"0",        NULL};
	rd_kafka_conf_t *conf;

	if (loop->observer)
		return true;
	snprintf(group, sizeof(group), "%s%s", loop->kafka.topic_prefix, input->writer);
	snprintf(client, sizeof(client), "%s-%s-observer", loop->service_name, loop->instance);
	conf = kafka_conf_new(&loop->kafka, KAFKA_CONSUMER, client, extra, err);
	loop->observer = conf ? kafka_client_new(conf, KAFKA_CONSUMER, err) : NULL;
	return loop->observer != NULL;
}

static bool answered(rd_kafka_resp_err_t code, const rd_kafka_topic_partition_list_t *list,
                     const char *what, struct err *err)
{
	const rd_kafka_topic_partition_t *first = &list->elems[0];

	for (int i = 0; i < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
		first = &list->elems[i];
		code = first->err;
	}
	return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
	       err_set(err, ERR_RETRY, "%s of %s/%" PRId32 ": %s", what, first->topic,
	               first->partition, rd_kafka_err2str(code));
}

/* The observer reads uncommitted, so the ends include uncommitted records. */
static bool ask_ends(struct task_loop *loop, rd_kafka_topic_partition_list_t *list, struct err *err)
{
	rd_kafka_resp_err_t code;

	for (int i = 0; i < list->cnt; i++)
		list->elems[i].offset = RD_KAFKA_OFFSET_END;
	code = rd_kafka_offsets_for_times(loop->observer, list, CALL_TIMEOUT_MS);
	return answered(code, list, "log end", err);
}

static bool ask_written(struct task_loop *loop, rd_kafka_topic_partition_list_t *list,
                        struct err *err)
{
	rd_kafka_resp_err_t code = rd_kafka_committed(loop->observer, list, CALL_TIMEOUT_MS);

	return answered(code, list, "the writer's committed offset", err);
}

/* If the writer has committed nothing, the source partition may be empty. */
static bool source_is_empty(struct task_loop *loop, const rd_kafka_topic_partition_t *source,
                            bool *empty, struct err *err)
{
	int64_t low = 0, end = 0;
	bool ok = source->offset == 0 ||
	          kafka_offset_range(loop->observer, source->topic, source->partition,
	                             CALL_TIMEOUT_MS, &low, &end, err);

	*empty = ok && low == end && end == source->offset;
	return ok;
}

static bool all_is_folded(struct task_loop *loop, const struct question *question, int i, bool *all,
                          struct err *err)
{
	const struct assigned_task *assigned = question->tasks[i];
	const rd_kafka_topic_partition_t *source = &question->source_end->elems[i];
	int64_t written = question->written->elems[i].offset;

	*all = written >= source->offset;
	if (written < 0 && !source_is_empty(loop, source, all, err))
		return false;
	*all = *all && question->own_end->elems[i].offset == assigned->task.position &&
	       assigned->partition->watch.end.offset == assigned->task.position;
	return true;
}

/* ---- announcements */

static bool stood(const struct task_loop *loop, const struct assigned_task *assigned)
{
	int64_t since_us = assigned->partition->watch.end.idle_since_us;

	return since_us && monotonic_us() - since_us >= loop->config.idle_timeout_us;
}

static void withhold(const struct task_loop *loop, const struct question *question, int i)
{
	struct assigned_task *assigned = question->tasks[i];
	const rd_kafka_topic_partition_t *source = &question->source_end->elems[i];
	int64_t written = question->written->elems[i].offset;

	if (assigned->withheld || !stood(loop, assigned) || written >= source->offset)
		return;
	assigned->withheld = true;
	log_info("idle_withheld", log_partition(assigned->topic, assigned->task.params.partition),
	         log_str("source", source->topic), log_int("source_end", source->offset),
	         log_int("committed", written < 0 ? 0 : written),
	         log_str("writer", assigned->input->writer),
	         log_str("detail", "final results wait for this partition: its writer has not "
	                           "committed all of the source"));
}

static bool announce(struct task_loop *loop, const struct question *question, struct err *err)
{
	for (int i = 0; i < question->count; i++) {
		struct assigned_task *assigned = question->tasks[i];
		bool all = false;

		if (!all_is_folded(loop, question, i, &all, err))
			return false;
		if (!all) {
			withhold(loop, question, i);
			if (assigned->announced != ANNOUNCED_ACTIVE)
				assigned->input->ops->active(assigned->task.fold, &loop->outbox);
			announced(assigned, ANNOUNCED_ACTIVE);
		} else if (stood(loop, assigned) && assigned->announced != ANNOUNCED_IDLE) {
			assigned->input->ops->idle(assigned->task.fold, &loop->outbox);
			announced(assigned, ANNOUNCED_IDLE);
		}
	}
	return true;
}

/* A partition with folded but uncommitted records is left out: their outputs would come after the
 * announcement and cancel it. */
static bool is_in_question(const struct task_loop *loop, const struct assigned_task *assigned)
{
	return assigned->input->ops->idle && !assigned->task.restoring && !assigned->moved &&
	       assigned->partition->watch.end.offset != PARTITION_END_NONE &&
	       (assigned->announced != ANNOUNCED_ACTIVE || stood(loop, assigned));
}

static void add_task(struct task_loop *loop, struct question *question,
                     struct assigned_task *assigned)
{
	char source[TOPIC_NAME_MAX + 1];
	int32_t partition = assigned->task.params.partition;

	snprintf(source, sizeof(source), "%s%s", loop->kafka.topic_prefix,
	         assigned->input->source_suffix);
	question->tasks[question->count++] = assigned;
	rd_kafka_topic_partition_list_add(question->source_end, source, partition);
	rd_kafka_topic_partition_list_add(question->written, source, partition);
	rd_kafka_topic_partition_list_add(question->own_end, assigned->topic, partition);
}

static bool ask(struct task_loop *loop, struct question *question, struct err *err)
{
	for (size_t i = 0; i < loop->task_count; i++)
		if (is_in_question(loop, &loop->tasks[i]))
			add_task(loop, question, &loop->tasks[i]);
	return question->count == 0 ||
	       (observer_ready(loop, question->tasks[0]->input, err) &&
	        ask_ends(loop, question->source_end, err) &&
	        ask_written(loop, question->written, err) &&
	        ask_ends(loop, question->own_end, err) && announce(loop, question, err));
}

/* No more often than IDLE_TIMEOUT needs, and less often while no broker answers. */
static void schedule(struct task_loop *loop, bool ok, const struct err *err)
{
	int64_t now_us = monotonic_us(), every_us = loop->config.idle_timeout_us;

	if (every_us > ASK_EVERY_US)
		every_us = ASK_EVERY_US;
	loop->next_question_us = now_us + (ok ? every_us : ASK_AGAIN_US);
	if (ok || now_us < loop->next_unanswered_log_us)
		return;
	loop->next_unanswered_log_us = now_us + UNANSWERED_LOG_US;
	log_warn("idle_unknown", log_str("error", err->message),
	         log_str("detail", "no partition is announced as idle until the broker answers"));
}

static void ask_and_announce(struct task_loop *loop)
{
	int room = (int)loop->task_count + 1;
	struct question question = {
		.tasks = xrealloc(NULL, (size_t)room * sizeof(*question.tasks)),
		.source_end = rd_kafka_topic_partition_list_new(room),
		.written = rd_kafka_topic_partition_list_new(room),
		.own_end = rd_kafka_topic_partition_list_new(room),
	};
	struct err err = {ERR_NONE, ""};
	bool ok = ask(loop, &question, &err);
	/* Serves the observer's callbacks; the observer has no partitions. */
	rd_kafka_message_t *event =
		loop->observer ? rd_kafka_consumer_poll(loop->observer, 0) : NULL;

	if (event)
		rd_kafka_message_destroy(event);
	schedule(loop, ok, &err);
	rd_kafka_topic_partition_list_destroy(question.own_end);
	rd_kafka_topic_partition_list_destroy(question.written);
	rd_kafka_topic_partition_list_destroy(question.source_end);
	free(question.tasks);
}

void idle_watch(struct task_loop *loop)
{
	int64_t now_us = monotonic_us();

	if (now_us < loop->next_watch_us)
		return;
	loop->next_watch_us = now_us + WATCH_EVERY_US;
	intake_watch(loop->intake, loop->config.idle_timeout_us);
	if (now_us >= loop->next_question_us)
		ask_and_announce(loop);
}

void idle_close(struct task_loop *loop)
{
	struct err err;

	if (loop->observer && !kafka_destroy_within(loop->observer, DESTROY_TIMEOUT_MS, &err))
		log_warn("kafka_client_abandoned", log_str("role", "observer"),
		         log_str("error", err.message));
	loop->observer = NULL;
}
