/* One transaction is one step. A partition is complete before the next one begins, so the engine
 * reads its files in their order. The consumers of bronze do not depend on the order of partitions.
 *
 *   files --footers--> batches --windows--> rows --one transaction: records, position--> topics
 *
 * kill -9 before the commit: the broker aborts the transaction, and the same command continues at
 * the position of the last one. After the commit: records and position are stored.
 *
 * Dead letters of funnel-aggregator and its counts are left out, because it writes them again. The
 * names of the old topics in dead letters and counts become those of the new set, because reports
 * join them.
 *
 * Limits: markers of redrive name offsets of the old dead-letter topic. Schedules of the producer
 * are not in the lake. */
#include "lake_rebuild.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "duck.h"
#include "lake_config.h"
#include "rebuild_files.h"
#include "rebuild_rows.h"
#include "rebuild_target.h"
#include "service/health.h"
#include "service/log.h"
#include "service/monotime.h"
#include "stream/dead_letter.h"
#include "wire/partitioner.h"
#include "wire/record_keys.h"
#include "wire/records_counts.h"

#define BATCH_RECORDS  50000
#define BATCH_BYTES    (INT64_C(32) << 20)
#define PROGRESS_US    INT64_C(5000000)
#define SERVICE_HEADER "__connect.errors.connector.name"
#define TOPIC_HEADER   "__connect.errors.topic"
#define SERVICE        "bronze-sink"

struct rebuild {
	const struct lake_config *config;
	struct rebuild_target_config target_config;
	char raw_before[TOPIC_NAME_MAX + 1], raw_after[TOPIC_NAME_MAX + 1];
	struct lake_storage *storage;
	struct duck *duck;
	struct rebuild_files files;
	struct rebuild_rows *rows;
	struct rebuild_target *target;
	struct buffer value;
	bool prepared;
	/* What is being written. */
	size_t stream; /* index of streams */
	int32_t partition;
	struct rebuild_progress progress;
	struct rebuild_window window;
	bool window_open;
	/* Since the start of this process. */
	int64_t records, bytes, began_us, reported_us;
};

/* In this order. The counts are last, so that they never say more than the topics have. */
static const enum topic_id streams[] = {TOPIC_BRONZE_EVENTS, TOPIC_DEAD_LETTER, TOPIC_COUNTS};
#define STREAM_COUNT (sizeof(streams) / sizeof(*streams))

/* ---- records */

static bool check_partition(const struct rebuild *rebuild, const struct rebuild_row *row,
                            struct span key, struct err *err)
{
	int32_t count = rebuild_target_partitions(rebuild->target, TOPIC_BRONZE_EVENTS),
		home = partition_of(key, count);

	/* The first events are enough: with another number, most are elsewhere. The key of a
	 * forgotten user is not the one that the partition was chosen for. */
	if (rebuild->progress.events >= 100 || home == rebuild->partition ||
	    row->bronze.event.user_id < 0)
		return true;
	return err_set(
		err, ERR_OPERATOR,
		"the event of record %" PRId64 " of partition %" PRId32
		" belongs to partition %" PRId32 " of %" PRId32
		": the lake was written from another number of partitions; create the topics "
		"with that number (topics reset --partitions N empties them)",
		row->offset, rebuild->partition, home, count);
}

static bool add_event(struct rebuild *rebuild, const struct rebuild_row *row, struct err *err)
{
	char buffer[32];
	struct output out = {.partition = rebuild->partition,
	                     .headers = row->headers,
	                     .header_count = (uint16_t)row->header_count};

	out.key = event_session_key(&row->bronze.event, buffer);
	if (!check_partition(rebuild, row, out.key, err))
		return false;
	rebuild->value.len = 0;
	bronze_encode(&rebuild->value, rebuild_target_schema_id(rebuild->target, SCHEMA_BRONZE),
	              &row->bronze);
	out.value = (struct span){rebuild->value.at, rebuild->value.len};
	rebuild->progress.events++;
	return rebuild_target_add(rebuild->target, TOPIC_BRONZE_EVENTS, row->time_ms, &out, err);
}

/* A control, or a record that is not an event. */
static bool add_as_it_came(struct rebuild *rebuild, const struct rebuild_row *row,
                           enum topic_id topic, struct err *err)
{
	const struct output out = {.key = row->key,
	                           .value = row->value,
	                           .partition = rebuild->partition,
	                           .headers = row->headers,
	                           .header_count = (uint16_t)row->header_count};

	return rebuild_target_add(rebuild->target, topic, row->time_ms, &out, err);
}

static struct input_record record_of(const struct rebuild_row *row)
{
	return (struct input_record){.offset = row->offset,
	                             .timestamp_ms = row->time_ms,
	                             .key = row->key,
	                             .value = row->value,
	                             .headers = row->headers,
	                             .header_count = row->header_count};
}

/* The topic in the header is that of the new set. A header of the refused record may have the same
 * name; it comes before. */
static void rename_topic(const struct rebuild *rebuild, struct rebuild_row *row)
{
	for (size_t i = row->header_count; i-- > 0;) {
		if (!span_is(row->headers[i].name, TOPIC_HEADER))
			continue;
		if (span_is(row->headers[i].value, rebuild->raw_before))
			row->headers[i].value = span_of(rebuild->raw_after);
		return;
	}
}

static bool add_dead_letter(struct rebuild *rebuild, struct rebuild_row *row, struct err *err)
{
	struct input_record record = record_of(row);
	struct dead_letter letter;

	if (!span_is(record_header(&record, SERVICE_HEADER), SERVICE))
		return true;
	rebuild->progress.events += dead_letter_read(&record, &letter);
	rename_topic(rebuild, row);
	return add_as_it_came(rebuild, row, TOPIC_DEAD_LETTER, err);
}

static bool decode_counts(const struct rebuild_row *row, struct counts_record *counts,
                          struct err *err)
{
	int64_t unknown = 0;
	const char *why = NULL;

	if (!counts_decode(row->value, counts, &unknown, &why))
		return err_set(err, ERR_OPERATOR,
		               "the counts of record %" PRId64 " are invalid: %s", row->offset,
		               why ? why : "");
	return unknown == 0 ||
	       err_set(err, ERR_OPERATOR,
	               "the counts of record %" PRId64 " have %" PRId64
	               " dead letters with reasons that this version does not know: use the "
	               "version that wrote them, or a newer one",
	               row->offset, unknown);
}

static bool add_counts(struct rebuild *rebuild, const struct rebuild_row *row, struct err *err)
{
	struct counts_record counts;
	char key[RECORD_KEY_MAX];
	int len;
	struct output out = {.headers = row->headers, .header_count = (uint16_t)row->header_count};

	if (!decode_counts(row, &counts, err))
		return false;
	if (span_is(counts.topic, rebuild->raw_before))
		counts.topic = span_of(rebuild->raw_after);
	rebuild->value.len = 0;
	counts_encode(&rebuild->value, rebuild_target_schema_id(rebuild->target, SCHEMA_COUNTS),
	              &counts);
	len = snprintf(key, sizeof(key), SERVICE "|%.*s|%" PRId32, (int)counts.topic.len,
	               counts.topic.at, counts.partition);
	out.key = (struct span){key, (size_t)len};
	out.value = (struct span){rebuild->value.at, rebuild->value.len};
	rebuild->progress.events++;
	return rebuild_target_add(rebuild->target, TOPIC_COUNTS, row->time_ms, &out, err);
}

static bool add_row(struct rebuild *rebuild, struct rebuild_row *row, struct err *err)
{
	rebuild->records++;
	rebuild->bytes += (int64_t)(row->value.len + row->key.len + 200);
	if (row->is_event)
		return add_event(rebuild, row, err);
	switch (streams[rebuild->stream]) {
	case TOPIC_DEAD_LETTER: return add_dead_letter(rebuild, row, err);
	case TOPIC_COUNTS: return add_counts(rebuild, row, err);
	default: return add_as_it_came(rebuild, row, TOPIC_BRONZE_EVENTS, err);
	}
}

/* ---- windows */

static bool open_window(struct rebuild *rebuild, struct err *err)
{
	enum topic_id topic = streams[rebuild->stream];
	int64_t end = rebuild_files_end(&rebuild->files, topic, rebuild->partition);
	bool ok;

	if (topic == TOPIC_COUNTS) {
		rebuild->window = (struct rebuild_window){topic, 0, rebuild->progress.next, end};
		rebuild->window_open = rebuild->progress.next < end;
		return !rebuild->window_open ||
		       rebuild_rows_open_counts(rebuild->rows, &rebuild->files, rebuild->storage,
		                                err);
	}
	rebuild_files_release(&rebuild->files, topic, rebuild->partition, rebuild->progress.next);
	rebuild->window_open =
		rebuild_files_window(&rebuild->files, topic, rebuild->partition,
	                             rebuild->progress.next, rebuild->config->window_records,
	                             &rebuild->window);
	ok = !rebuild->window_open || rebuild_rows_open(rebuild->rows, &rebuild->files,
	                                                rebuild->storage, &rebuild->window, err);
	rebuild->window_open = rebuild->window_open && ok;
	return ok;
}

/* The record that was written last is in the lake, at the same offset and with the same time.
 * Otherwise it is another lake. */
static bool check_last(struct rebuild *rebuild, struct err *err)
{
	const struct rebuild_progress *progress = &rebuild->progress;
	const struct rebuild_window window = {streams[rebuild->stream], rebuild->partition,
	                                      progress->last_offset, progress->last_offset + 1};
	struct rebuild_row row = {.offset = OFFSET_NONE};
	bool end = false;

	if (progress->last_offset == OFFSET_NONE || window.topic == TOPIC_COUNTS)
		return true;
	if (!rebuild_rows_open(rebuild->rows, &rebuild->files, rebuild->storage, &window, err) ||
	    !rebuild_rows_next(rebuild->rows, &row, &end, err))
		return false;
	if (row.offset == progress->last_offset && row.time_ms == progress->last_time_ms)
		return true;
	return err_set(err, ERR_OPERATOR,
	               "%s%s/%" PRId32
	               " has records of a rebuild from another lake, which had a record at offset "
	               "%" PRId64 " of time %" PRId64
	               " ms; empty the set (topics reset), and run the same command again",
	               rebuild->config->kafka.topic_prefix, topic_of(window.topic)->suffix,
	               window.partition, progress->last_offset, progress->last_time_ms);
}

static bool begin_partition(struct rebuild *rebuild, struct err *err)
{
	if (rebuild->stream == STREAM_COUNT)
		return true;
	rebuild->progress = rebuild_target_progress(rebuild->target, streams[rebuild->stream],
	                                            rebuild->partition);
	return check_last(rebuild, err);
}

/* The partition has no more records. */
static bool next_partition(struct rebuild *rebuild, struct err *err)
{
	enum topic_id topic = streams[rebuild->stream];

	rebuild_files_release(&rebuild->files, topic, rebuild->partition, INT64_MAX);
	if (rebuild->progress.next > 0)
		log_info("partition_rebuilt", log_str("topic", topic_of(topic)->suffix),
		         log_int("partition", rebuild->partition),
		         log_int("lake_offset", rebuild->progress.next),
		         log_int("rows", rebuild->progress.events));
	if (++rebuild->partition >= rebuild_target_partitions(rebuild->target, topic)) {
		rebuild->partition = 0;
		rebuild->stream++;
	}
	return begin_partition(rebuild, err);
}

static void report_progress(struct rebuild *rebuild)
{
	int64_t now_us = monotonic_us();
	enum topic_id topic = streams[rebuild->stream];

	if (now_us < rebuild->reported_us + PROGRESS_US)
		return;
	rebuild->reported_us = now_us;
	log_info("rebuilding", log_str("topic", topic_of(topic)->suffix),
	         log_int("partition", rebuild->partition),
	         log_int("lake_offset", rebuild->progress.next),
	         log_int("lake_end", rebuild_files_end(&rebuild->files, topic, rebuild->partition)),
	         log_int("records", rebuild->records),
	         log_int("records_per_s",
	                 rebuild->records * US_PER_SECOND / (now_us - rebuild->began_us + 1)));
}

/* Adds rows of the window to the transaction until one of them is full, and commits. */
static bool write_batch(struct rebuild *rebuild, struct err *err)
{
	int64_t records_end = rebuild->records + BATCH_RECORDS,
		bytes_end = rebuild->bytes + BATCH_BYTES;
	struct rebuild_row row;
	bool end = false;

	while (!end && rebuild->records < records_end && rebuild->bytes < bytes_end) {
		if (!rebuild_rows_next(rebuild->rows, &row, &end, err))
			return false;
		if (end)
			break;
		if (!add_row(rebuild, &row, err))
			return false;
		rebuild->progress.next = row.offset + 1;
		rebuild->progress.last_offset = row.offset;
		rebuild->progress.last_time_ms = row.time_ms;
	}
	if (end) {
		rebuild->progress.next = rebuild->window.to;
		rebuild->window_open = false;
	}
	return rebuild_target_commit(rebuild->target, streams[rebuild->stream], rebuild->partition,
	                             rebuild->progress, err);
}

/* ---- the end */

/* What bronze-sink counted and what the lake has can differ: the lake was not complete, or its
 * oldest days were removed. */
static void compare_counts(const struct rebuild *rebuild, const struct counts_record *counts)
{
	int64_t events, letters, dead = 0;

	if (!span_is(counts->topic, rebuild->raw_before) ||
	    counts->partition >= rebuild_target_partitions(rebuild->target, TOPIC_BRONZE_EVENTS))
		return;
	events = rebuild_target_progress(rebuild->target, TOPIC_BRONZE_EVENTS, counts->partition)
	                 .events;
	letters = rebuild_target_progress(rebuild->target, TOPIC_DEAD_LETTER, counts->partition)
	                  .events;
	for (int i = 0; i < REASON_COUNT; i++)
		dead += counts->counts.dead[i];
	if (events == counts->counts.records_out && letters == dead)
		return;
	log_warn("counts_differ", log_int("partition", counts->partition),
	         log_int("events", events), log_int("events_counted", counts->counts.records_out),
	         log_int("dead_letters", letters), log_int("dead_letters_counted", dead),
	         log_str("detail",
	                 "the lake does not have what bronze-sink has counted: its newest batches "
	                 "were not written, or days were removed"));
}

static bool compare_all_counts(struct rebuild *rebuild, struct err *err)
{
	struct counts_record counts;
	struct rebuild_row row;
	bool end = false;

	if (!rebuild_rows_open_counts(rebuild->rows, &rebuild->files, rebuild->storage, err))
		return false;
	while (rebuild_rows_next(rebuild->rows, &row, &end, err) && !end) {
		if (!decode_counts(&row, &counts, err))
			return false;
		compare_counts(rebuild, &counts);
	}
	return end;
}

static int64_t total(const struct rebuild *rebuild, enum topic_id topic)
{
	int64_t sum = 0;

	for (int32_t p = 0; p < rebuild_target_partitions(rebuild->target, topic); p++)
		sum += rebuild_target_progress(rebuild->target, topic, p).events;
	return sum;
}

static enum step finish(struct rebuild *rebuild, struct err *err)
{
	int64_t took_us = monotonic_us() - rebuild->began_us;

	if (!compare_all_counts(rebuild, err) || !rebuild_target_finish(rebuild->target, err))
		return STEP_FAILED;
	printf("rebuilt %sbronze_events: %" PRId64 " events; dead letters: %" PRId64
	       "; counts: %" PRId64 "; %" PRId64 ".%03" PRId64 " s\n",
	       rebuild->config->kafka.topic_prefix, total(rebuild, TOPIC_BRONZE_EVENTS),
	       total(rebuild, TOPIC_DEAD_LETTER), total(rebuild, TOPIC_COUNTS),
	       took_us / US_PER_SECOND, took_us % US_PER_SECOND / 1000);
	log_info("rebuilt", log_int("records", rebuild->records), log_seconds("took_s", took_us));
	return STEP_DONE;
}

/* ---- the service */

static bool prepare(struct rebuild *rebuild, struct err *err)
{
	rebuild->began_us = rebuild->reported_us = monotonic_us();
	if (!lake_storage_is_folder(rebuild->storage) &&
	    !lake_storage_prepare(rebuild->storage, err))
		return false;
	if (!rebuild_files_read(&rebuild->files, rebuild->storage, rebuild->duck,
	                        rebuild->target_config.source_prefix, err))
		return false;
	log_info("lake_read", log_uint("files", rebuild->files.count),
	         log_uint("batches", rebuild->files.batch_count),
	         log_int("partitions", rebuild_files_partitions(&rebuild->files)));
	rebuild->target_config.partitions = rebuild_files_partitions(&rebuild->files);
	rebuild->target = rebuild_target_new(&rebuild->target_config);
	if (!rebuild_target_open(rebuild->target, err))
		return false;
	if (rebuild_target_continues(rebuild->target))
		log_info("rebuild_continues");
	rebuild->prepared = true;
	return begin_partition(rebuild, err);
}

static bool rebuild_open(void *settings, void **state, struct err *err)
{
	const struct lake_config *config = settings;
	struct rebuild *rebuild = xzalloc(1, sizeof(*rebuild));
	const char *source =
		*config->source_prefix ? config->source_prefix : config->kafka.topic_prefix;

	*state = rebuild;
	rebuild->config = config;
	if (!topic_name(source, TOPIC_RAW_EVENTS, rebuild->raw_before,
	                sizeof(rebuild->raw_before)) ||
	    !topic_name(config->kafka.topic_prefix, TOPIC_RAW_EVENTS, rebuild->raw_after,
	                sizeof(rebuild->raw_after)))
		return err_set(
			err, ERR_INPUT,
			"TOPIC_PREFIX or SOURCE_PREFIX is too long: topic names have at most "
			"%d bytes",
			TOPIC_NAME_MAX);
	rebuild->storage = lake_storage_new(&config->storage, err);
	if (!rebuild->storage)
		return false;
	rebuild->duck = duck_open(config->memory_bytes, (int)config->threads, err);
	if (!rebuild->duck)
		return false;
	rebuild->rows = rebuild_rows_new(rebuild->duck);
	rebuild->target_config = (struct rebuild_target_config){.kafka = &config->kafka,
	                                                        .registry = &config->registry,
	                                                        .source_prefix = source};
	return true;
}

static enum step rebuild_step(void *state, bool stopping, struct err *err)
{
	struct rebuild *rebuild = state;

	health_alive();
	if (stopping) {
		puts("stopped; the same command continues where this one has stopped");
		return STEP_DONE;
	}
	if (!rebuild->prepared)
		return prepare(rebuild, err) ? STEP_MORE : STEP_FAILED;
	if (rebuild->stream == STREAM_COUNT)
		return finish(rebuild, err);
	if (!rebuild->window_open && !open_window(rebuild, err))
		return STEP_FAILED;
	if (!rebuild->window_open)
		return next_partition(rebuild, err) ? STEP_MORE : STEP_FAILED;
	if (!write_batch(rebuild, err))
		return STEP_FAILED;
	report_progress(rebuild);
	return STEP_MORE;
}

static void rebuild_close(void *state)
{
	struct rebuild *rebuild = state;

	if (!rebuild)
		return;
	rebuild_target_free(rebuild->target);
	rebuild_rows_free(rebuild->rows);
	rebuild_files_free(&rebuild->files);
	duck_close(rebuild->duck);
	lake_storage_free(rebuild->storage);
	buffer_free(&rebuild->value);
	free(rebuild);
}

static const struct config_option *const tables[] = {lake_kafka_options, lake_registry_options,
                                                     lake_storage_options, lake_rebuild_options,
                                                     NULL};

const struct service lake_rebuild_service = {
	.name = "lake",
	.summary = "writes bronze, dead letters and counts again from the lake, into empty topics",
	.tables = tables,
	.config_size = sizeof(struct lake_config),
	.open = rebuild_open,
	.step = rebuild_step,
	.close = rebuild_close,
};
