/* From Kafka to the batch: assignment, start offsets, records.
 *
 * The rebalance callback only notes what was announced, and the loop acts on it between polls; so all messages of one
 * poll belong to one assignment. Every change of position goes one way: hold (an empty assignment, which keeps
 * the group membership), read the offsets from PostgreSQL, assign with them. Rejected: seek and pause, whose queued
 * leftovers of the old position could pass for a gap at the new one.
 *
 * Gaps in offsets are normal (transaction markers, compaction); records below the position are not ours any more. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/span.h"
#include "event/reason.h"
#include "kafka/counts_topic.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_conf.h"
#include "kafka/kafka_error.h"
#include "kafka/kafka_record.h"
#include "kafka/kafka_topic.h"
#include "kafka/same_log.h"
#include "loader_state.h"
#include "service/health.h"
#include "service/log.h"
#include "service/monotime.h"
#include "stream/outbox.h"
#include "stream/partition_end.h"
#include "stream/record.h"

#define CALL_TIMEOUT_MS 5000
#define WATCH_EVERY_US INT64_C(100000)
#define BEYOND_END_PATIENCE_US INT64_C(10000000) /* a broker that has just started may show less than it has */

static const struct {
	enum topic_id kind;
	enum schema_id_slot slot;
	bool framed;
} topic_kinds[LOADER_TOPICS] = {
	{TOPIC_BRONZE_EVENTS, SCHEMA_BRONZE, true},    {TOPIC_AGGREGATED_EVENTS, SCHEMA_AGGREGATE, true}, {TOPIC_SESSION_FUNNELS, SCHEMA_VISIT, true},
	{TOPIC_DEAD_LETTER, SCHEMA_RAW, false}, {TOPIC_LATE_EVENTS, SCHEMA_LATE, true},            {TOPIC_COUNTS, SCHEMA_COUNTS, true},
};

void loader_topics_init(struct loader *loader)
{
	for (size_t i = 0; i < LOADER_TOPICS; i++) {
		struct loader_topic *topic = &loader->topics[i];

		topic->kind = topic_kinds[i].kind;
		topic->slot = topic_kinds[i].slot;
		topic->framed = topic_kinds[i].framed;
		snprintf(topic->name, sizeof(topic->name), "%s%s", loader->config->kafka.topic_prefix, topic_of(topic->kind)->suffix);
	}
}

/* ---- messages */

static size_t read_headers(void *message, struct header headers[LOAD_HEADERS_MAX])
{
	rd_kafka_headers_t *kafka_headers;
	const char *name;
	const void *value;
	size_t size, count = 0;

	if (rd_kafka_message_headers(message, &kafka_headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return 0;
	while (count < LOAD_HEADERS_MAX && rd_kafka_header_get_all(kafka_headers, count, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR)
		headers[count++] = (struct header){span_of(name), {value, size}};
	return count;
}

static void release(void *message)
{
	rd_kafka_message_destroy(message);
}

static struct loader_topic *find_topic(struct loader *loader, const rd_kafka_topic_t *client_topic)
{
	for (size_t i = 0; i < LOADER_TOPICS; i++)
		if (loader->topics[i].seen == client_topic)
			return &loader->topics[i];
	for (size_t i = 0; i < LOADER_TOPICS; i++)
		if (strcmp(loader->topics[i].name, rd_kafka_topic_name(client_topic)) == 0) {
			loader->topics[i].seen = client_topic;
			return &loader->topics[i];
		}
	return NULL;
}

static struct loader_task *find_task(struct loader *loader, const rd_kafka_message_t *message)
{
	const struct loader_topic *topic = message->rkt ? find_topic(loader, message->rkt) : NULL;

	for (size_t i = 0; topic && i < loader->task_count; i++)
		if (loader->tasks[i].topic == topic && loader->tasks[i].partition == message->partition)
			return &loader->tasks[i];
	return NULL;
}

static void moved_to(struct loader *loader, struct loader_task *task, int64_t position)
{
	task->position = position;
	if (loader->batch_started_us == 0 && task->position != task->committed)
		loader->batch_started_us = monotonic_us();
}

static bool take_error(struct loader *loader, struct loader_task *task, const rd_kafka_message_t *message, struct err *err)
{
	const char *text = rd_kafka_message_errstr(message);
	enum err_class class = kafka_err_class(message->err);

	if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
		if (task && message->offset >= task->position) {
			log_watch_seen(&task->log, &task->last, loader->polled_us);
			task->at_end = true;
			partition_end_reached(&task->watch.end, message->offset);
			moved_to(loader, task, message->offset);
		}
		return true;
	}
	if (task && message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
		return same_log_out_of_range(loader->consumer, task->topic->name, task->partition,
		                             task->position, err);
	if (class == ERR_REFUSE || class == ERR_FATAL || class == ERR_FENCED)
		return err_set(err, class, "%s/%" PRId32 ": %s", message->rkt ? rd_kafka_topic_name(message->rkt) : "consumer", message->partition,
		               text ? text : rd_kafka_err2str(message->err));
	log_warn("consumer_error", log_str("code", rd_kafka_err2name(message->err)),
	         log_str("error", text));
	return true;
}

/* The record becomes a reject like any other. But if the registry has lost its data, all further
 * records become rejects too. */
static void raise_alarm(struct loader *loader, const struct input_record *record)
{
	struct schema_place place =
		schema_place_of(record->topic.at, record->partition, record->offset, record->value);

	if (schema_alarm_raise(&loader->schema_alarm, monotonic_us(), &place, record->refused))
		log_error("schema_refused", log_str("error", loader->schema_alarm.reason));
}

/* *kept: the batch has the message now. */
static bool take_record(struct loader *loader, struct loader_task *task, rd_kafka_message_t *message, bool *kept, struct err *err)
{
	struct loader_topic *topic = task->topic;
	char detail[256] = "";
	struct input_record record = {
		.topic = span_of(topic->name),
		.offset = message->offset,
		.timestamp_ms = kafka_time_ms(message),
		.partition = message->partition,
		.key = {message->key, message->key_len},
		.value = {message->payload, message->len},
		.refused = REASON_NONE,
		.detail = detail,
	};

	if (topic->framed && record.value.at &&
	    !frame_opener_open(topic->opener, record.value, &record.body, &record.refused, detail, sizeof(detail), err))
		return false;
	if (!record.value.at || record.refused != REASON_NONE || topic->kind == TOPIC_DEAD_LETTER || topic->kind == TOPIC_LATE_EVENTS) {
		record.headers = loader->batch.headers;
		record.header_count = read_headers(message, loader->batch.headers);
	}
	if (schema_loss_shows(record.refused))
		raise_alarm(loader, &record);
	*kept = true;
	if (load_batch_add(&loader->batch, topic->kind, &record, message) == LOAD_CONTROL)
		metric_add(loader->controls, 1);
	task->at_end = false;
	partition_end_left(&task->watch.end);
	log_watch_seen(&task->log, &task->last, loader->polled_us);
	task->last = record_mark_of(message->offset, kafka_time_ms(message), record.key, record.value);
	moved_to(loader, task, message->offset + 1);
	return true;
}

static bool take(struct loader *loader, rd_kafka_message_t *message, struct err *err)
{
	struct loader_task *task = loader->positioned ? find_task(loader, message) : NULL;
	bool ok = true, kept = false;

	if (message->err)
		ok = take_error(loader, task, message, err);
	else if (!task || message->offset < task->position)
		metric_add(loader->stale, 1);
	else
		ok = take_record(loader, task, message, &kept, err);
	if (!kept)
		rd_kafka_message_destroy(message);
	return ok;
}

bool loader_poll(struct loader *loader, int wait_ms, size_t *count, struct err *err)
{
	int64_t room = loader->batch_rows - loader->batch.rows.count;
	ssize_t got = rd_kafka_consume_batch_queue(loader->queue, 0, loader->messages, room < 1 ? 1 : room < POLL_MESSAGES ? (size_t)room : POLL_MESSAGES);
	bool ok = true;

	/* A batch call waits until its array is full: to wait is for one message only. */
	if (got == 0 && wait_ms > 0)
		got = rd_kafka_consume_batch_queue(loader->queue, wait_ms, loader->messages, 1);
	*count = got > 0 ? (size_t)got : 0;
	loader->polled_us = monotonic_us();
	for (size_t i = 0; i < *count; i++) {
		if (ok)
			ok = take(loader, loader->messages[i], err);
		else
			rd_kafka_message_destroy(loader->messages[i]);
	}
	return ok;
}

/* ---- assignment */

static void rebalance_cb(rd_kafka_t *consumer, rd_kafka_resp_err_t kind, rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
	struct loader *loader = opaque;

	if (loader->closing) {
		rd_kafka_assign(consumer, NULL);
		return;
	}
	if (loader->rebalance)
		rd_kafka_topic_partition_list_destroy(loader->rebalance);
	loader->rebalance_kind = kind;
	loader->rebalance = rd_kafka_topic_partition_list_copy(partitions);
}

void loader_hold(struct loader *loader)
{
	rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);

	rd_kafka_assign(loader->consumer, none);
	rd_kafka_topic_partition_list_destroy(none);
	loader->positioned = false;
	for (size_t i = 0; i < LOADER_TOPICS; i++)
		loader->topics[i].seen = NULL;
}

static void forget_tasks(struct loader *loader)
{
	for (size_t i = 0; i < loader->task_count; i++) {
		metric_set(loader->tasks[i].lag, 0);
		partition_watch_stop(&loader->tasks[i].watch);
	}
	free(loader->tasks);
	free(loader->moved);
	loader->tasks = NULL;
	loader->moved = NULL;
	loader->task_count = 0;
	loader->positioned = false;
	loader->unready = false;
}

static void add_task(struct loader *loader, const char *topic_name, int32_t partition)
{
	struct loader_task *task = &loader->tasks[loader->task_count];
	char labels[320];

	for (size_t i = 0; i < LOADER_TOPICS; i++) {
		if (strcmp(loader->topics[i].name, topic_name) != 0)
			continue;
		snprintf(labels, sizeof(labels), "topic=\"%s\",partition=\"%" PRId32 "\"", topic_name, partition);
		*task = (struct loader_task){.topic = &loader->topics[i], .partition = partition};
		task->lag = metric_get(METRIC_GAUGE, "loader_lag_records", labels, "records up to the partition's end that are not in PostgreSQL");
		partition_watch_init(&task->watch, loader->topics[i].name, partition);
		loader->task_count++;
	}
}

void loader_rebalance(struct loader *loader)
{
	rd_kafka_topic_partition_list_t *list = loader->rebalance;
	bool assigned = loader->rebalance_kind == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;

	if (!list)
		return;
	loader->rebalance = NULL;
	forget_tasks(loader);
	log_info(assigned ? "partitions_assigned" : "partitions_revoked",
	         log_int("partitions", list->cnt));
	if (assigned) {
		loader->tasks = xrealloc(NULL, ((size_t)list->cnt + 1) * sizeof(*loader->tasks));
		loader->moved = xrealloc(NULL, ((size_t)list->cnt + 1) * sizeof(*loader->moved));
		for (int i = 0; i < list->cnt; i++)
			add_task(loader, list->elems[i].topic, list->elems[i].partition);
		loader_hold(loader);
		backoff_reset(&loader->backoff);
	} else {
		rd_kafka_assign(loader->consumer, NULL);
	}
	rd_kafka_topic_partition_list_destroy(list);
}

/* ---- where to start */

static bool refuse_start(const struct loader_task *task, int64_t stored, int64_t low, int64_t high,
                         const char *what, const char *advice, struct err *err)
{
	return err_set(err, ERR_REFUSE,
	               "%s/%" PRId32 ": processed.loader_offsets says %" PRId64 ", the log has %" PRId64
	               " to %" PRId64 ": %s; %s",
	               task->topic->name, task->partition, stored, low, high, what, advice);
}

/* Sets at->position where the partition is to be read from. */
static bool judge(struct loader *loader, struct loader_task *task, struct loader_offset *at, struct err *err)
{
	int64_t low = 0, high = 0, now_us = monotonic_us();

	if (!kafka_bounds(loader->consumer, task->topic->name, task->partition, CALL_TIMEOUT_MS, &low, &high, err))
		return false;
	switch (loader_offset_judge(at->committed, low, high)) {
	case OFFSET_GO_ON:
		at->position = at->committed;
		task->beyond_end_since_us = 0;
		return true;
	case OFFSET_FIRST_START:
		at->position = low;
		if (low > 0)
			log_warn("earlier_records_missing",
			         log_partition(task->topic->name, task->partition),
			         log_int("first_offset", low),
			         log_str("detail",
			                 "retention removed earlier records; reading from here"));
		return true;
	case OFFSET_LOST_RECORDS:
		return refuse_start(task, at->committed, low, high, "retention has removed records that were never loaded",
		                    "to go on without them, set next_offset of this row to the log's first "
		                    "offset; to have them, process into a fresh set (TOPIC_PREFIX and a "
		                    "database of its own)",
		                    err);
	case OFFSET_BEYOND_END:
		break;
	}
	if (task->beyond_end_since_us == 0)
		task->beyond_end_since_us = now_us;
	if (now_us - task->beyond_end_since_us < BEYOND_END_PATIENCE_US)
		return err_set(err, ERR_RETRY, "%s/%" PRId32 " ends at %" PRId64 ", before the loaded offset %" PRId64, task->topic->name, task->partition,
		               high, at->committed);
	return refuse_start(
		task, at->committed, low, high,
		"the topic was deleted and created again, or the broker has lost records",
		ERR_ADVICE_FRESH_SET, err);
}

static void start_reading(struct loader *loader, const struct loader_offset *at)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)loader->task_count);

	for (size_t i = 0; i < loader->task_count; i++) {
		struct loader_task *task = &loader->tasks[i];

		task->committed = task->position = at[i].committed;
		task->at_end = false;
		partition_end_left(&task->watch.end);
		rd_kafka_topic_partition_list_add(list, task->topic->name, task->partition)->offset = task->position;
	}
	rd_kafka_assign(loader->consumer, list);
	rd_kafka_topic_partition_list_destroy(list);
	loader->positioned = true;
	log_info("partitions_positioned", log_uint("partitions", loader->task_count));
}

static bool counts_stand(const struct loader *loader, struct err *err)
{
	for (size_t i = 0; i < loader->task_count; i++)
		if (loader->tasks[i].partition >= loader->tasks[i].topic->partition_count)
			return err_set(err, ERR_REFUSE,
			               "%s had %" PRId32 " partitions when this loader started, and has more now: the number never changes, since keys would move; "
			               "the way on is to process into a fresh set (TOPIC_PREFIX and a database of its own)",
			               loader->tasks[i].topic->name, loader->tasks[i].topic->partition_count);
	return true;
}

bool loader_recognises(struct loader *loader, struct err *err)
{
	struct log_question *questions = xrealloc(NULL, (loader->task_count + 1) * sizeof(*questions));
	int64_t now_us = monotonic_us();
	size_t count = 0;
	bool ok;

	for (size_t i = 0; i < loader->task_count; i++) {
		const struct loader_task *task = &loader->tasks[i];

		if (log_watch_asks(&task->log, &task->last, now_us))
			questions[count++] =
				(struct log_question){.topic = task->topic->name,
			                          .partition = task->partition,
			                          .compacted = topic_is_compacted(task->topic->kind),
			                          .mark = task->log.known};
	}
	ok = same_log(&loader->config->kafka, questions, count, err);
	for (size_t i = 0; ok && i < loader->task_count; i++)
		if (log_watch_asks(&loader->tasks[i].log, &loader->tasks[i].last, now_us))
			log_watch_found(&loader->tasks[i].log, &loader->tasks[i].last, now_us);
	free(questions);
	return ok;
}

bool loader_position(struct loader *loader, struct err *err)
{
	struct loader_offset *at = loader->moved;

	if (!counts_stand(loader, err))
		return false;
	for (size_t i = 0; i < loader->task_count; i++)
		at[i] = (struct loader_offset){loader->tasks[i].topic->name, loader->tasks[i].partition,
		                               OFFSET_NONE, OFFSET_NONE, RECORD_MARK_NONE};
	if (!loader_offsets_read(loader->pg, at, loader->task_count, err))
		return false;
	for (size_t i = 0; i < loader->task_count; i++)
		if (!judge(loader, &loader->tasks[i], &at[i], err))
			return false;
	if (!loader_offsets_insert(loader->pg, at, loader->task_count, err))
		return false;
	for (size_t i = 0; i < loader->task_count; i++) {
		loader->tasks[i].last = at[i].last;
		log_watch_begin(&loader->tasks[i].log, &at[i].last, monotonic_us());
	}
	if (!loader_recognises(loader, err))
		return false;
	start_reading(loader, at);
	return true;
}

/* While the loader has no position, its other steps set what /readyz waits for. */
void loader_watch(struct loader *loader)
{
	int64_t now_us = monotonic_us();
	const char *schema_reason = schema_alarm_reason(&loader->schema_alarm, now_us);
	char text[512] = "";
	size_t len = 0;

	if (!loader->positioned || now_us < loader->next_watch_us)
		return;
	loader->next_watch_us = now_us + WATCH_EVERY_US;
	for (size_t i = 0; i < loader->task_count; i++) {
		struct loader_task *task = &loader->tasks[i];
		int64_t high = partition_watch_look(&task->watch, loader->consumer,
		                                    loader->config->idle_timeout_us);

		metric_set(task->lag, high > task->committed ? high - task->committed : 0);
		len = partition_watch_text(&task->watch, text, len, sizeof(text));
	}
	if (len || schema_reason || loader->unready)
		health_ready(len ? text : schema_reason);
	loader->unready = len || schema_reason;
}

/* ---- the client */

static bool make_consumer(struct loader *loader, struct err *err)
{
	/* PostgreSQL is slower than Kafka: what is fetched ahead only takes memory. */
	const char *const extra[] = {"group.id", loader->group, "queued.max.messages.kbytes", "16384", "queued.min.messages", "20000", NULL};
	rd_kafka_conf_t *conf;

	if (loader->consumer)
		return true;
	snprintf(loader->group, sizeof(loader->group), "%spg-loader", loader->config->kafka.topic_prefix);
	conf = kafka_conf_new(&loader->config->kafka, KAFKA_CONSUMER, loader->config->service.instance_id, extra, err);
	if (!conf)
		return false;
	rd_kafka_conf_set_rebalance_cb(conf, rebalance_cb);
	rd_kafka_conf_set_opaque(conf, loader);
	loader->consumer = kafka_client_new(conf, KAFKA_CONSUMER, err);
	if (!loader->consumer)
		return false;
	loader->queue = rd_kafka_queue_get_consumer(loader->consumer);
	loader->batch.release = release;
	loader->batch.read_headers = read_headers;
	return true;
}

/* The topics of a set have one number of partitions, as bronze has (which comes first in the table). */
static bool count_partitions(struct loader *loader, struct loader_topic *topic, struct err *err)
{
	int32_t want;

	if (!kafka_partition_count(loader->consumer, topic->name, CALL_TIMEOUT_MS, &topic->partition_count, err))
		return false;
	if (topic->kind == TOPIC_BRONZE_EVENTS)
		loader->batch.bronze_partition_count = topic->partition_count;
	want = topic_partitions(topic->kind, loader->batch.bronze_partition_count);
	return topic->partition_count == want ||
	       err_set(err, ERR_REFUSE,
	               "%s has %" PRId32 " partitions and should have %" PRId32 ", as %s has %" PRId32
	               ": the number never changes, since keys would move; the way on is to process into a fresh set (TOPIC_PREFIX and a database of its own)",
	               topic->name, topic->partition_count, want, loader->topics[0].name, loader->batch.bronze_partition_count);
}

static bool schemas_known(struct loader *loader, struct err *err)
{
	for (size_t i = 0; i < LOADER_TOPICS; i++) {
		struct counts_topic counts = {&loader->config->kafka, loader->consumer,
		                              loader->topics[i].opener, 0};

		if (loader->topics[i].kind == TOPIC_COUNTS && !counts_topic_read(&counts, NULL, NULL, err))
			return false;
	}
	return true;
}

bool loader_subscribe(struct loader *loader, struct err *err)
{
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_resp_err_t code;

	if (!make_consumer(loader, err))
		return false;
	for (size_t i = 0; i < LOADER_TOPICS; i++) {
		if (!count_partitions(loader, &loader->topics[i], err))
			return false;
		if (loader->topics[i].framed && !loader->topics[i].opener)
			loader->topics[i].opener = frame_opener_new(loader->registry, loader->config->kafka.topic_prefix, loader->topics[i].slot);
	}
	if (!schemas_known(loader, err))
		return false;
	list = rd_kafka_topic_partition_list_new(LOADER_TOPICS);
	for (size_t i = 0; i < LOADER_TOPICS; i++)
		rd_kafka_topic_partition_list_add(list, loader->topics[i].name, RD_KAFKA_PARTITION_UA);
	code = rd_kafka_subscribe(loader->consumer, list);
	rd_kafka_topic_partition_list_destroy(list);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR || err_set(err, ERR_RETRY, "cannot subscribe: %s", rd_kafka_err2str(code));
}

void loader_mirror(struct loader *loader, size_t moved_count)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)moved_count);

	for (size_t i = 0; i < moved_count; i++)
		rd_kafka_topic_partition_list_add(list, loader->moved[i].topic, loader->moved[i].partition)->offset = loader->moved[i].position;
	rd_kafka_commit(loader->consumer, list, 1);
	rd_kafka_topic_partition_list_destroy(list);
}

void loader_input_close(struct loader *loader)
{
	loader->closing = true;
	if (loader->rebalance) { /* announced and not carried out: the client waits for an answer */
		rd_kafka_assign(loader->consumer, NULL);
		rd_kafka_topic_partition_list_destroy(loader->rebalance);
	}
	loader->rebalance = NULL;
	load_batch_free(&loader->batch);
	if (loader->queue)
		rd_kafka_queue_destroy(loader->queue);
	kafka_consumer_end(loader->consumer);
	loader->consumer = NULL;
	for (size_t i = 0; i < LOADER_TOPICS; i++)
		frame_opener_free(loader->topics[i].opener);
	forget_tasks(loader);
}
