/* From Kafka to the sheets: assignment, start offsets, records.
 *
 * There is one way to change a position: hold the partitions, read the positions from the
 * catalogue, start there. The intake (kafka/intake.h) has the rules of polls and rebalances.
 *
 * A file is put into the lake before the transaction that registers it. If the writer ends between
 * the two, the file is unknown to the catalogue. No registered file of a partition begins at or
 * after its stored offset, so the next writer removes all that do. */
#include "lake_input.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kafka/counts_topic.h"
#include "kafka/stored_start.h"
#include "service/fault.h"
#include "service/health.h"
#include "service/log.h"
#include "service/monotime.h"
#include "stream/partition_end.h"
#include "stream/start_offset.h"
#include "wire/schemas.h"

#define WATCH_EVERY_US INT64_C(100000)
#define LAKE_TOPICS    4
#define LOST_RECORDS_ADVICE                                                                     \
	"they are lost to this lake: to continue with what is there, set LAKE_URL to an empty " \
	"place, and use another database or empty the schema lake"

/* The first has the number of partitions of the set. */
static const struct {
	enum topic_id kind;
	enum schema_kind slot;
	bool framed;
} topic_kinds[LAKE_TOPICS] = {
	{TOPIC_BRONZE_EVENTS, SCHEMA_BRONZE, true},
	{TOPIC_DEAD_LETTER, SCHEMA_RAW, false},
	{TOPIC_LATE_EVENTS, SCHEMA_LATE, true},
	{TOPIC_COUNTS, SCHEMA_COUNTS, true},
};

/* ---- records */

static void raise_alarm(struct lake_writer *writer, const struct input_record *record)
{
	struct framed_record place = framed_record_of(record->topic.at, record->partition,
	                                              record->offset, record->value);

	if (schema_alarm_raise(&writer->schema_alarm, monotonic_us(), &place, record->refused))
		log_error("schema_refused", log_str("error", writer->schema_alarm.message));
}

static bool take_record(struct lake_writer *writer, size_t number,
                        const struct input_record *record, struct err *err)
{
	struct lake_task *task = &writer->tasks[number];
	enum lake_table table;

	if (schema_loss_suspected(record->refused))
		raise_alarm(writer, record);
	if (!lake_rows_add(writer->sheets, task->kind, record, (int32_t)number, &task->stream,
	                   &table, err))
		return false;
	task->rows[table]++;
	task->last =
		record_mark_of(record->offset, record->timestamp_ms, record->key, record->value);
	writer->batch_bytes += (int64_t)(record->key.len + record->value.len);
	return true;
}

int64_t lake_waiting_rows(const struct lake_writer *writer)
{
	int64_t rows = 0;

	for (int t = 0; t < LAKE_TABLE_COUNT; t++)
		rows += writer->sheets[t].rows;
	return rows;
}

bool lake_poll(struct lake_writer *writer, int wait_ms, size_t *count, struct err *err)
{
	int64_t room = writer->config->batch_rows - lake_waiting_rows(writer);
	struct intake_item item;
	bool ok = true;

	*count = intake_poll(writer->intake, wait_ms, room > 1 ? room : 1);
	while ((ok = intake_peek(writer->intake, &item, err)) && item.kind != INTAKE_NOTHING) {
		const struct lake_task *task = &writer->tasks[item.number];

		if (item.kind == INTAKE_RECORD &&
		    !take_record(writer, item.number, &item.record, err))
			return false;
		intake_next(writer->intake);
		if (writer->batch_started_us == 0 && task->partition->position != task->from.next)
			writer->batch_started_us = monotonic_us();
	}
	return ok;
}

bool lake_at_end(const struct lake_writer *writer)
{
	if (!intake_is_reading(writer->intake))
		return false;
	for (size_t i = 0; i < writer->task_count; i++)
		if (writer->tasks[i].partition->watch.end.offset == PARTITION_END_NONE)
			return false;
	return writer->task_count > 0;
}

/* ---- assignment */

static void forget_tasks(struct lake_writer *writer)
{
	for (size_t i = 0; i < writer->task_count; i++) {
		metric_set(writer->tasks[i].lag, 0);
		lake_storage_unlock(writer->tasks[i].lock);
	}
	free(writer->tasks);
	writer->tasks = NULL;
	writer->task_count = 0;
	writer->watch_reported = false;
}

static void add_task(struct lake_writer *writer, struct assigned_partition *partition)
{
	struct lake_task *task = &writer->tasks[writer->task_count++];
	char labels[320];

	snprintf(labels, sizeof(labels), "topic=\"%s\",partition=\"%" PRId32 "\"",
	         partition->topic->name, partition->partition);
	*task = (struct lake_task){.partition = partition,
	                           .kind = topic_kinds[partition->input].kind,
	                           .last = RECORD_MARK_NONE,
	                           .lock = -1};
	task->lag = metric_get(METRIC_GAUGE, "lake_lag_records", labels,
	                       "records up to the partition's end that are not in the lake");
	partition->last = &task->last;
}

static bool accept_partitions(struct lake_writer *writer, struct err *err)
{
	size_t count;

	if (!intake_accept(writer->intake, err))
		return false;
	count = intake_partition_count(writer->intake);
	writer->tasks = xrealloc(NULL, (count + 1) * sizeof(*writer->tasks));
	for (size_t i = 0; i < count; i++)
		add_task(writer, intake_partition(writer->intake, i));
	backoff_reset(&writer->backoff);
	return true;
}

bool lake_rebalance(struct lake_writer *writer, struct err *err)
{
	size_t before = writer->task_count;

	forget_tasks(writer);
	switch (intake_change(writer->intake)) {
	case INTAKE_SAME: break;
	case INTAKE_ASSIGNED: return accept_partitions(writer, err);
	case INTAKE_REVOKED:
		log_info("partitions_revoked", log_uint("partitions", before));
		intake_release(writer->intake);
	}
	return true;
}

/* ---- where to start */

static bool lock_partitions(struct lake_writer *writer, struct err *err)
{
	for (size_t i = 0; i < writer->task_count; i++) {
		struct lake_task *task = &writer->tasks[i];
		char name[TOPIC_NAME_MAX + 16];

		if (task->lock >= 0 || !lake_storage_is_folder(writer->storage))
			continue;
		snprintf(name, sizeof(name), "%s-%" PRId32, task->partition->topic->name,
		         task->partition->partition);
		if (!lake_storage_lock(writer->storage, name, &task->lock, err))
			return false;
	}
	return true;
}

/* Reads the positions. A partition that has none gets the first offset of its log. */
static bool read_positions(struct lake_writer *writer, struct err *err)
{
	struct lake_position *at = xrealloc(NULL, (writer->task_count + 1) * sizeof(*at));
	const char *place =
		lake_catalogue_postgres(writer->catalogue) ? "lake.positions" : "the manifest";
	bool ok;

	for (size_t i = 0; i < writer->task_count; i++)
		at[i] = (struct lake_position){.topic = writer->tasks[i].partition->topic->name,
		                               .partition = writer->tasks[i].partition->partition};
	ok = intake_log_starts(writer->intake, err) &&
	     lake_catalogue_read(writer->catalogue, at, writer->task_count, err) &&
	     intake_log_ends(writer->intake, err);
	for (size_t i = 0; ok && i < writer->task_count; i++) {
		struct lake_task *task = &writer->tasks[i];
		int64_t start = at[i].next;

		ok = stored_start(task->partition, place, LOST_RECORDS_ADVICE, at[i].next,
		                  &task->past_end_since_us, &start, err);
		task->from = at[i];
		task->partition->position = start;
	}
	free(at);
	return ok;
}

static bool begin_stream(struct lake_task *task, struct err *err)
{
	clock_init(&task->stream.clock);
	memcpy(task->stream.segment, task->from.segment, sizeof(task->stream.segment));
	memset(task->rows, 0, sizeof(task->rows));
	task->last = task->from.last;
	if (*task->from.clock && !clock_parse(span_of(task->from.clock), &task->stream.clock))
		return err_set(err, ERR_OPERATOR,
		               "%s/%" PRId32 ": invalid clock \"%s\" in the catalogue of the lake",
		               task->from.topic, task->from.partition, task->from.clock);
	return true;
}

static const struct lake_task *task_of(const struct lake_writer *writer,
                                       const struct lake_path *path)
{
	for (size_t i = 0; i < writer->task_count; i++) {
		const struct lake_task *task = &writer->tasks[i];

		if (task->from.partition == path->partition &&
		    span_is(path->topic, task->from.topic))
			return task;
	}
	return NULL;
}

/* In a bucket nothing keeps another writer out. So the position is compared once more, and kept
 * where it is until the file is removed. */
static bool remove_file(struct lake_writer *writer, const struct lake_task *task, const char *path,
                        struct err *err)
{
	bool ok;

	if (lake_storage_is_folder(writer->storage))
		return lake_storage_remove(writer->storage, path, err);
	ok = lake_catalogue_hold(writer->catalogue, &task->from, err) &&
	     lake_storage_remove(writer->storage, path, err);
	lake_catalogue_let_go(writer->catalogue);
	return ok;
}

/* A partition without a position has at most the files of one batch, which was not registered. */
static bool check_partition(const struct lake_writer *writer, const struct lake_task *task,
                            const struct lake_listing *files, struct err *err)
{
	struct lake_path path;
	int64_t first = OFFSET_NONE;

	for (size_t i = 0; task->from.next == OFFSET_NONE && i < files->count; i++) {
		if (!lake_path_parse(files->at[i].path, &path) || !path.topic.at ||
		    task_of(writer, &path) != task)
			continue;
		if (first != OFFSET_NONE && first != path.first)
			return err_set(err, ERR_OPERATOR,
			               "%s/%" PRId32 ": the catalogue has no position, but the "
			               "lake has files of several batches: restore the catalogue "
			               "(with PostgreSQL: lake register), or set LAKE_URL to an "
			               "empty place",
			               task->from.topic, task->from.partition);
		first = path.first;
	}
	return true;
}

/* Before anything is removed. */
static bool check_partitions(const struct lake_writer *writer, const struct lake_listing *files,
                             struct err *err)
{
	for (size_t i = 0; i < writer->task_count; i++)
		if (!check_partition(writer, &writer->tasks[i], files, err))
			return false;
	return true;
}

static bool remove_unknown(struct lake_writer *writer, struct err *err)
{
	struct lake_listing files = {0};
	bool ok = lake_storage_list(writer->storage, "", &files, err) &&
	          check_partitions(writer, &files, err);

	for (size_t i = 0; ok && i < files.count; i++) {
		const struct lake_task *task;
		struct lake_path path;

		if (!lake_path_parse(files.at[i].path, &path) || !path.topic.at)
			continue;
		task = task_of(writer, &path);
		if (!task || path.first < task->from.next)
			continue;
		log_warn("file_removed", log_str("path", files.at[i].path),
		         log_str("detail",
		                 "an interrupted writer left it; its rows are read again"));
		ok = remove_file(writer, task, files.at[i].path, err);
		metric_add(writer->removed, ok);
	}
	lake_listing_free(&files);
	return ok;
}

bool lake_position(struct lake_writer *writer, struct err *err)
{
	if (!lock_partitions(writer, err) || !read_positions(writer, err) ||
	    !remove_unknown(writer, err))
		return false;
	for (size_t i = 0; i < writer->task_count; i++)
		if (!begin_stream(&writer->tasks[i], err))
			return false;
	if (!intake_start(writer->intake, err))
		return false;
	log_info("partitions_positioned", log_uint("partitions", writer->task_count));
	return true;
}

/* Until the writer has positions, its other steps set the reason that /readyz shows. */
void lake_watch(struct lake_writer *writer)
{
	int64_t now_us = monotonic_us();
	const char *schema_reason = schema_alarm_message(&writer->schema_alarm, now_us);
	char text[512] = "";
	size_t len;

	if (!intake_is_reading(writer->intake) || now_us < writer->next_watch_us)
		return;
	writer->next_watch_us = now_us + WATCH_EVERY_US;
	intake_watch(writer->intake, writer->config->idle_timeout_us);
	for (size_t i = 0; i < writer->task_count; i++) {
		const struct lake_task *task = &writer->tasks[i];
		int64_t high = task->partition->high;

		metric_set(task->lag, high > task->from.next ? high - task->from.next : 0);
	}
	len = intake_watch_text(writer->intake, text, 0, sizeof(text));
	if (len || schema_reason || writer->watch_reported)
		health_ready(len ? text : schema_reason);
	writer->watch_reported = len || schema_reason;
}

/* ---- the client */

static bool open_intake(struct lake_writer *writer, struct err *err)
{
	struct intake_config config = {
		.kafka = &writer->config->kafka,
		.group = "lake",
		.client_id = writer->config->service.instance_id,
		.stale = metric_get(METRIC_COUNTER, "lake_stale_records_total", "",
	                            "records before the position, discarded"),
	};

	if (!writer->intake)
		writer->intake = intake_new(&config, err);
	return writer->intake != NULL;
}

static bool counts_fit(struct lake_writer *writer, struct err *err)
{
	const struct intake_topic *bronze = intake_topic(writer->intake, 0);
	struct set_partitions set = {.all = bronze->partition_count};

	for (size_t i = 0; i < LAKE_TOPICS; i++) {
		const struct intake_topic *topic = intake_topic(writer->intake, i);

		if (!topic_partitions_fit(topic_kinds[i].kind, topic->name, topic->partition_count,
		                          bronze->name, &set, err))
			return false;
	}
	return true;
}

static bool registry_known(struct lake_writer *writer, struct err *err)
{
	for (size_t i = 0; i < LAKE_TOPICS; i++) {
		struct counts_topic counts = {&writer->config->kafka, intake_client(writer->intake),
		                              intake_topic(writer->intake, i)->decoder, 0, false};

		if (topic_kinds[i].kind == TOPIC_COUNTS &&
		    !counts_topic_read(&counts, NULL, NULL, err))
			return false;
	}
	return true;
}

bool lake_subscribe(struct lake_writer *writer, struct err *err)
{
	struct intake_topic topics[LAKE_TOPICS];

	for (size_t i = 0; i < LAKE_TOPICS; i++)
		topics[i] =
			(struct intake_topic){.suffix = topic_of(topic_kinds[i].kind)->suffix,
		                              .kind = topic_kinds[i].slot,
		                              .framed = topic_kinds[i].framed,
		                              .compacted = topic_is_compacted(topic_kinds[i].kind)};
	return open_intake(writer, err) &&
	       intake_set_topics(writer->intake, writer->registry, topics, LAKE_TOPICS, err) &&
	       counts_fit(writer, err) && registry_known(writer, err) &&
	       intake_subscribe(writer->intake, err);
}

void lake_mirror(struct lake_writer *writer)
{
	rd_kafka_topic_partition_list_t *list = intake_list(writer->intake);

	for (int i = 0; i < list->cnt; i++)
		for (size_t t = 0; t < writer->task_count; t++)
			if (writer->tasks[t].from.partition == list->elems[i].partition &&
			    strcmp(writer->tasks[t].from.topic, list->elems[i].topic) == 0)
				list->elems[i].offset = writer->tasks[t].from.next;
	rd_kafka_commit(intake_client(writer->intake), list, 1);
	rd_kafka_topic_partition_list_destroy(list);
}

void lake_input_close(struct lake_writer *writer)
{
	intake_close(writer->intake);
	writer->intake = NULL;
	forget_tasks(writer);
}
