/* From Kafka to the batch: assignment, start offsets, records.
 *
 * There is one way to change a position: hold the partitions, read the offsets from PostgreSQL,
 * start there. The intake (kafka/intake.h) has the rules of polls and rebalances. */
#include "loader_input.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/backoff.h"
#include "base/memory.h"
#include "kafka/counts_topic.h"
#include "kafka/intake.h"
#include "kafka/kafka_record.h"
#include "kafka/stored_start.h"
#include "load_batch.h"
#include "loader_offsets.h"
#include "loader_report.h"
#include "service/health.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/monotime.h"
#include "stream/outbox.h"
#include "stream/record.h"
#include "stream/record_mark.h"
#include "stream/start_offset.h"
#include "wire/schema_loss.h"
#include "wire/schemas.h"
#include "wire/topics.h"

#define WATCH_EVERY_US INT64_C(100000)

#define LOADER_TOPICS 6
#define LOST_RECORDS_ADVICE                                                                      \
	"to continue without them, set next_offset of this row to the first offset of the log; " \
	"to load them, process into a fresh set (another TOPIC_PREFIX and another database)"

/* The first has the number of partitions of the set. */
static const struct {
	enum topic_id kind;
	enum schema_kind slot;
	bool framed;
} topic_kinds[LOADER_TOPICS] = {
	{TOPIC_BRONZE_EVENTS, SCHEMA_BRONZE, true},
	{TOPIC_AGGREGATED_EVENTS, SCHEMA_AGGREGATE, true},
	{TOPIC_SESSION_FUNNELS, SCHEMA_VISIT, true},
	{TOPIC_DEAD_LETTER, SCHEMA_RAW, false},
	{TOPIC_LATE_EVENTS, SCHEMA_LATE, true},
	{TOPIC_COUNTS, SCHEMA_COUNTS, true},
};

/* ---- records */

static size_t read_headers(void *message, struct header headers[LOAD_HEADERS_MAX])
{
	return kafka_record_headers(message, headers, LOAD_HEADERS_MAX);
}

static void release(void *message)
{
	rd_kafka_message_destroy(message);
}

/* The record becomes a dead letter like any other reject. But if the registry has lost its data,
 * all further records will be rejected too. */
static void raise_alarm(struct loader *loader, const struct input_record *record)
{
	struct framed_record place = framed_record_of(record->topic.at, record->partition,
	                                              record->offset, record->value);

	if (schema_alarm_raise(&loader->schema_alarm, monotonic_us(), &place, record->refused))
		log_error("schema_refused", log_str("error", loader->schema_alarm.message));
}

static void take_record(struct loader *loader, struct loader_task *task,
                        const struct input_record *record)
{
	enum topic_id kind = topic_kinds[task->partition->input].kind;

	if (schema_loss_suspected(record->refused))
		raise_alarm(loader, record);
	if (load_batch_add(&loader->batch, kind, record, intake_keep(loader->intake)) ==
	    LOAD_CONTROL)
		metric_add(loader->controls, 1);
	task->batch_records++;
	task->last =
		record_mark_of(record->offset, record->timestamp_ms, record->key, record->value);
}

bool loader_poll(struct loader *loader, int wait_ms, size_t *count, struct err *err)
{
	struct intake_item item;
	bool ok = true;

	*count =
		intake_poll(loader->intake, wait_ms, loader->batch_rows - loader->batch.rows.count);
	while (loader->batch.rows.day_count < LOAD_DAYS_MAX &&
	       (ok = intake_peek(loader->intake, &item, err)) && item.kind != INTAKE_NOTHING) {
		struct loader_task *task = &loader->tasks[item.number];

		if (item.kind == INTAKE_RECORD)
			take_record(loader, task, &item.record);
		else
			intake_next(loader->intake);
		if (loader->batch_started_us == 0 && task->partition->position != task->committed)
			loader->batch_started_us = monotonic_us();
	}
	return ok;
}

/* ---- assignment */

static void forget_tasks(struct loader *loader)
{
	for (size_t i = 0; i < loader->task_count; i++)
		loader_report_task_stop(&loader->tasks[i]);
	free(loader->tasks);
	free(loader->moved);
	loader->tasks = NULL;
	loader->moved = NULL;
	loader->task_count = 0;
	loader->watch_reported = false;
}

static void add_task(struct loader *loader, struct assigned_partition *partition)
{
	struct loader_task *task = &loader->tasks[loader->task_count++];

	*task = (struct loader_task){.partition = partition, .last = RECORD_MARK_NONE};
	loader_report_task_init(loader, task);
	partition->last = &task->last;
}

static bool accept_partitions(struct loader *loader, struct err *err)
{
	size_t count;

	if (!intake_accept(loader->intake, err))
		return false;
	count = intake_partition_count(loader->intake);
	loader->tasks = xrealloc(NULL, (count + 1) * sizeof(*loader->tasks));
	loader->moved = xrealloc(NULL, (count + 1) * sizeof(*loader->moved));
	for (size_t i = 0; i < count; i++)
		add_task(loader, intake_partition(loader->intake, i));
	backoff_reset(&loader->backoff);
	return true;
}

bool loader_rebalance(struct loader *loader, struct err *err)
{
	size_t before = loader->task_count;

	forget_tasks(loader);
	switch (intake_change(loader->intake)) {
	case INTAKE_SAME: break;
	case INTAKE_ASSIGNED: return accept_partitions(loader, err);
	case INTAKE_REVOKED:
		log_info("partitions_revoked", log_uint("partitions", before));
		intake_release(loader->intake);
	}
	return true;
}

/* ---- where to start */

static bool find_start(struct loader *loader, struct stored_offset *at, struct err *err)
{
	for (size_t i = 0; i < loader->task_count; i++) {
		const struct assigned_partition *partition = loader->tasks[i].partition;

		at[i] = (struct stored_offset){partition->topic->name, partition->partition,
		                               OFFSET_NONE, OFFSET_NONE, RECORD_MARK_NONE};
	}
	if (!intake_log_starts(loader->intake, err) ||
	    !loader_offsets_read(loader->pg, at, loader->task_count, err) ||
	    !intake_log_ends(loader->intake, err))
		return false;
	for (size_t i = 0; i < loader->task_count; i++)
		if (!stored_start(loader->tasks[i].partition, "processed.loader_offsets",
		                  LOST_RECORDS_ADVICE, at[i].committed,
		                  &loader->tasks[i].past_end_since_us, &at[i].position, err))
			return false;
	return loader_offsets_insert(loader->pg, at, loader->task_count, err);
}

bool loader_position(struct loader *loader, struct err *err)
{
	struct stored_offset *at = loader->moved;

	if (!find_start(loader, at, err))
		return false;
	for (size_t i = 0; i < loader->task_count; i++) {
		struct loader_task *task = &loader->tasks[i];

		task->committed = task->partition->position = at[i].committed;
		task->last = at[i].last;
	}
	if (!intake_start(loader->intake, err))
		return false;
	log_info("partitions_positioned", log_uint("partitions", loader->task_count));
	return true;
}

/* Until the loader has positions, its other steps set the reason that /readyz shows. */
void loader_watch(struct loader *loader)
{
	int64_t now_us = monotonic_us();
	const char *schema_reason = schema_alarm_message(&loader->schema_alarm, now_us);
	char text[512] = "";
	size_t len;

	if (!intake_is_reading(loader->intake) || now_us < loader->next_watch_us)
		return;
	loader->next_watch_us = now_us + WATCH_EVERY_US;
	intake_watch(loader->intake, loader->config->idle_timeout_us);
	for (size_t i = 0; i < loader->task_count; i++)
		loader_report_lag(&loader->tasks[i]);
	len = intake_watch_text(loader->intake, text, 0, sizeof(text));
	if (len || schema_reason || loader->watch_reported)
		health_ready(len ? text : schema_reason);
	loader->watch_reported = len || schema_reason;
}

/* ---- the client */

static bool open_intake(struct loader *loader, struct err *err)
{
	/* Of each queue, and there is one for each partition of six topics. */
	static const char *const properties[] = {"queued.max.messages.kbytes", "256", NULL};
	struct intake_config config = {
		.kafka = &loader->config->kafka,
		.group = "pg-loader",
		.client_id = loader->config->service.instance_id,
		.properties = properties,
		.stale = metric_get(METRIC_COUNTER, "loader_stale_records_total", "",
	                            "records before the position, discarded"),
	};

	if (loader->intake)
		return true;
	loader->intake = intake_new(&config, err);
	loader->batch.release = release;
	loader->batch.read_headers = read_headers;
	return loader->intake != NULL;
}

static bool counts_fit(struct loader *loader, struct err *err)
{
	const struct intake_topic *bronze = intake_topic(loader->intake, 0);
	struct set_partitions set = {.all = bronze->partition_count};

	loader->batch.bronze_partition_count = bronze->partition_count;
	for (size_t i = 0; i < LOADER_TOPICS; i++) {
		const struct intake_topic *topic = intake_topic(loader->intake, i);

		if (!topic_partitions_fit(topic_kinds[i].kind, topic->name, topic->partition_count,
		                          bronze->name, &set, err))
			return false;
	}
	return true;
}

static bool schemas_known(struct loader *loader, struct err *err)
{
	for (size_t i = 0; i < LOADER_TOPICS; i++) {
		struct counts_topic counts = {&loader->config->kafka, intake_client(loader->intake),
		                              intake_topic(loader->intake, i)->decoder, 0, false};

		if (topic_kinds[i].kind == TOPIC_COUNTS &&
		    !counts_topic_read(&counts, NULL, NULL, err))
			return false;
	}
	return true;
}

bool loader_subscribe(struct loader *loader, struct err *err)
{
	struct intake_topic topics[LOADER_TOPICS];

	for (size_t i = 0; i < LOADER_TOPICS; i++)
		topics[i] =
			(struct intake_topic){.suffix = topic_of(topic_kinds[i].kind)->suffix,
		                              .kind = topic_kinds[i].slot,
		                              .framed = topic_kinds[i].framed,
		                              .compacted = topic_is_compacted(topic_kinds[i].kind)};
	return open_intake(loader, err) &&
	       intake_set_topics(loader->intake, loader->registry, topics, LOADER_TOPICS, err) &&
	       counts_fit(loader, err) && schemas_known(loader, err) &&
	       intake_subscribe(loader->intake, err);
}

void loader_mirror(struct loader *loader, size_t moved_count)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)moved_count);

	for (size_t i = 0; i < moved_count; i++)
		rd_kafka_topic_partition_list_add(list, loader->moved[i].topic,
		                                  loader->moved[i].partition)
			->offset = loader->moved[i].position;
	rd_kafka_commit(intake_client(loader->intake), list, 1);
	rd_kafka_topic_partition_list_destroy(list);
}

void loader_input_close(struct loader *loader)
{
	load_batch_free(&loader->batch); /* releases the client's messages before it is destroyed */
	intake_close(loader->intake);
	loader->intake = NULL;
	forget_tasks(loader);
}
