/* The loop: subscribe, then poll and commit.
 *
 *   poll --> sheets --> files in the lake --> one transaction of the catalogue (files, positions)
 *
 * kill -9 before the COMMIT: the catalogue knows none of the files, the next writer removes them
 * and reads the same records again from the old positions. After the COMMIT: files and positions
 * are stored. Only the copy of the offsets in Kafka is missing, and nothing relies on it.
 *
 * One recovery covers every failure that passes (a full disk, PostgreSQL, bucket or registry away,
 * positions moved by another writer): drop the rows, stop reading, wait, read the positions again
 * and continue from there.
 *
 * Files should be large, so the writer commits when many rows wait, or at an interval. */
#include "lake_writer.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "lake_batch.h"
#include "lake_config.h"
#include "lake_forgotten.h"
#include "lake_input.h"
#include "lake_writer_state.h"
#include "service/fault.h"
#include "service/health.h"
#include "service/log.h"
#include "service/monotime.h"
#include "stream/moved_offsets.h"

#define IDLE_WAIT_MS        100 /* for the first record of a batch */
#define MORE_WAIT_MS        20  /* for one more record */
#define REGISTRY_TIMEOUT_MS 5000

/* ---- failures that pass */

static bool is_temporary(const struct err *err)
{
	return err->class == ERR_RETRY || err->class == ERR_ABORT || err->class == ERR_CONFLICT;
}

/* Logs an error that passes, and schedules the next attempt. Other errors end the service. */
static enum step wait_for(struct lake_writer *writer, const char *what, struct err *err)
{
	char reason[1200];

	if (!is_temporary(err))
		return STEP_FAILED;
	backoff_grow(&writer->backoff, monotonic_us());
	snprintf(reason, sizeof(reason), "%s: %s", what, err->message);
	health_ready(reason);
	log_warn("retrying", log_str("waiting_for", what),
	         log_int("pause_ms", (writer->backoff.next_us - monotonic_us()) / 1000),
	         log_str("error", err->message));
	return STEP_MORE;
}

static bool clear_rows(struct lake_writer *writer, struct err *err)
{
	for (int t = 0; t < LAKE_TABLE_COUNT; t++)
		if (!lake_sheet_clear(&writer->sheets[t], err))
			return false;
	for (size_t i = 0; i < writer->task_count; i++)
		memset(writer->tasks[i].rows, 0, sizeof(writer->tasks[i].rows));
	writer->batch_started_us = 0;
	writer->batch_bytes = 0;
	return true;
}

/* Drops the rows and stops reading, until the next lake_position. */
static enum step rewind_and_wait(struct lake_writer *writer, const char *what, struct err *err)
{
	struct err why = *err;

	if (intake_is_reading(writer->intake)) {
		intake_hold(writer->intake);
		metric_add(writer->rewinds, 1);
	}
	if (!clear_rows(writer, err))
		return STEP_FAILED;
	*err = why;
	return wait_for(writer, what, err);
}

/* ---- commits */

/* Without space, not even the rows are read. */
static bool has_room(struct lake_writer *writer, struct err *err)
{
	int64_t free_bytes = lake_storage_free_bytes(writer->storage);

	if (free_bytes < 0 || free_bytes >= writer->config->min_free_bytes)
		return true;
	return err_set(err, ERR_RETRY,
	               "%s has %" PRId64 " MiB of free space, and LAKE_MIN_FREE is %" PRId64
	               " MiB: make room, or set another value",
	               lake_storage_root(writer->storage), free_bytes >> 20,
	               writer->config->min_free_bytes >> 20);
}

static void count_commit(struct lake_writer *writer, const struct lake_batches *batches,
                         int64_t began_us)
{
	for (size_t i = 0; i < batches->count; i++)
		for (int t = 0; t < LAKE_TABLE_COUNT; t++)
			metric_add(writer->rows[t], batches->at[i].rows[t]);
	for (size_t i = 0; i < batches->file_count; i++)
		metric_add(writer->file_bytes, batches->files[i].bytes);
	metric_add(writer->files, (int64_t)batches->file_count);
	metric_add(writer->commits, 1);
	histogram_observe_us(writer->seconds, monotonic_us() - began_us);
}

static void log_committed(const struct lake_writer *writer, const struct lake_batches *batches,
                          int64_t began_us)
{
	size_t prefix = strlen(writer->config->kafka.topic_prefix);
	struct moved_offsets moved = {"", 0};
	int64_t rows = 0;

	for (size_t i = 0; i < batches->count; i++) {
		const struct lake_commit *batch = &batches->at[i];

		moved_offsets_add(&moved, batch->to.topic + prefix, batch->to.partition,
		                  batch->first, batch->to.next);
		for (int t = 0; t < LAKE_TABLE_COUNT; t++)
			rows += batch->rows[t];
	}
	log_info("committed", log_int("rows", rows), log_uint("files", batches->file_count),
	         log_str("offsets", moved.text), log_int("took_us", monotonic_us() - began_us));
}

static void move_tasks(struct lake_writer *writer, const struct lake_batches *batches)
{
	size_t next = 0;

	for (size_t i = 0; i < writer->task_count; i++)
		if (writer->tasks[i].partition->position != writer->tasks[i].from.next)
			writer->tasks[i].from = batches->at[next++].to;
}

/* *waiting_for names the system that failed. */
static bool commit(struct lake_writer *writer, const char **waiting_for, struct err *err)
{
	struct postgres *pg = lake_catalogue_postgres(writer->catalogue);
	struct lake_batches batches;
	int64_t began_us = monotonic_us();
	bool ok;

	*waiting_for = "Kafka";
	if (!intake_recognises(writer->intake, err))
		return false;
	*waiting_for = "PostgreSQL";
	if (pg && !lake_forget(pg, writer->sheets, err))
		return false;
	*waiting_for = "the lake";
	if (!has_room(writer, err) || !lake_batches_store(writer, &batches, err))
		return false;
	*waiting_for = "the catalogue";
	ok = lake_catalogue_commit(writer->catalogue, batches.at, batches.count, err);
	if (ok) {
		count_commit(writer, &batches, began_us);
		log_committed(writer, &batches, began_us);
		move_tasks(writer, &batches);
		lake_mirror(writer);
	}
	lake_batches_free(&batches);
	return ok && clear_rows(writer, err);
}

/* Of the input. Only the sheets have seen the headers, which are read once. */
static int64_t waiting_bytes(const struct lake_writer *writer)
{
	int64_t bytes = writer->batch_bytes;

	for (int t = 0; t < LAKE_TABLE_COUNT; t++)
		bytes += writer->sheets[t].header_bytes;
	return bytes;
}

static bool commit_is_due(const struct lake_writer *writer)
{
	const struct lake_config *config = writer->config;

	return writer->batch_started_us != 0 &&
	       (monotonic_us() - writer->batch_started_us >= config->batch_interval_us ||
	        lake_waiting_rows(writer) >= config->batch_rows ||
	        waiting_bytes(writer) >= config->batch_bytes ||
	        (config->until_end && lake_at_end(writer)));
}

/* ---- phases */

static enum step start_step(struct lake_writer *writer, struct err *err)
{
	if (!lake_storage_prepare(writer->storage, err))
		return wait_for(writer, "the lake", err);
	if (!lake_catalogue_open(writer->catalogue, err))
		return wait_for(writer, "the catalogue", err);
	if (!lake_subscribe(writer, err))
		return wait_for(writer, "Kafka and the schema registry", err);
	lake_storage_clear_scratch(writer->storage);
	backoff_reset(&writer->backoff);
	health_ready("waiting for the group's assignment");
	writer->phase = LAKE_RUNNING;
	return STEP_MORE;
}

static enum step position_step(struct lake_writer *writer, struct err *err)
{
	if (!has_room(writer, err) || !lake_catalogue_open(writer->catalogue, err) ||
	    !lake_position(writer, err))
		return wait_for(writer, "where to start", err);
	health_ready(NULL);
	return STEP_MORE;
}

/* Commits the open batches before the partitions change. If the assignment is lost, other writers
 * may have the partitions, and the rows are dropped. */
static enum step rebalance_step(struct lake_writer *writer, struct err *err)
{
	enum step step = STEP_MORE;
	const char *waiting_for;

	if (writer->batch_started_us != 0 &&
	    !rd_kafka_assignment_lost(intake_client(writer->intake)) &&
	    !commit(writer, &waiting_for, err))
		step = wait_for(writer, waiting_for, err);
	if (step == STEP_FAILED || !clear_rows(writer, err) || !lake_rebalance(writer, err))
		return STEP_FAILED;
	if (writer->task_count == 0)
		health_ready(NULL); /* other writers have all partitions; this one is in reserve */
	return step;
}

static enum step run_step(struct lake_writer *writer, struct err *err)
{
	int wait_ms = writer->batch_started_us != 0 ? MORE_WAIT_MS : IDLE_WAIT_MS;
	const char *waiting_for;
	size_t taken = 0;

	if (!intake_is_reading(writer->intake) && writer->task_count > 0 &&
	    backoff_is_due(&writer->backoff, monotonic_us()) &&
	    position_step(writer, err) == STEP_FAILED)
		return STEP_FAILED;
	if (!lake_poll(writer, wait_ms, &taken, err))
		return rewind_and_wait(writer, "records", err);
	if (intake_change(writer->intake) != INTAKE_SAME)
		return rebalance_step(writer, err);
	if (!intake_verify_client(writer->intake, monotonic_us(), err))
		return STEP_FAILED;
	lake_watch(writer);
	if (commit_is_due(writer)) {
		if (!commit(writer, &waiting_for, err))
			return rewind_and_wait(writer, waiting_for, err);
		backoff_reset(&writer->backoff);
	}
	return writer->config->until_end && writer->batch_started_us == 0 && lake_at_end(writer)
	               ? STEP_DONE
	               : STEP_MORE;
}

static enum step stop_step(struct lake_writer *writer, struct err *err)
{
	const char *waiting_for;

	if (writer->phase == LAKE_RUNNING && writer->batch_started_us != 0 &&
	    !commit(writer, &waiting_for, err)) {
		if (!is_temporary(err))
			return STEP_FAILED;
		log_warn("stopped_uncommitted", log_str("error", err->message),
		         log_str("detail", "the next start reads the last batch again"));
	}
	return STEP_DONE;
}

static enum step writer_step(void *state, bool stopping, struct err *err)
{
	struct lake_writer *writer = state;

	if (stopping)
		return stop_step(writer, err);
	if (writer->phase == LAKE_RUNNING)
		return run_step(writer, err);
	if (!backoff_is_due(&writer->backoff, monotonic_us())) {
		poll(NULL, 0, 50);
		return STEP_MORE;
	}
	return start_step(writer, err);
}

/* ---- open and close */

static void open_metrics(struct lake_writer *writer)
{
	for (int t = 0; t < LAKE_TABLE_COUNT; t++) {
		char labels[80];

		snprintf(labels, sizeof(labels), "table=\"%s\"",
		         lake_table_def((enum lake_table)t)->name);
		writer->rows[t] = metric_get(METRIC_COUNTER, "lake_rows_total", labels,
		                             "rows written to the lake");
	}
	writer->files =
		metric_get(METRIC_COUNTER, "lake_files_total", "", "files written to the lake");
	writer->file_bytes =
		metric_get(METRIC_COUNTER, "lake_file_bytes_total", "", "their size in bytes");
	writer->commits =
		metric_get(METRIC_COUNTER, "lake_commits_total", "", "transactions committed");
	writer->rewinds = metric_get(METRIC_COUNTER, "lake_rewinds_total", "",
	                             "batches dropped and read again");
	writer->removed = metric_get(METRIC_COUNTER, "lake_removed_files_total", "",
	                             "files of interrupted writers, removed");
	writer->seconds =
		histogram_get("lake_commit_seconds", "", "time to write and register the files");
}

static bool open_sheets(struct lake_writer *writer, struct err *err)
{
	writer->duck = duck_open(writer->config->memory_bytes, (int)writer->config->threads, err);
	if (!writer->duck)
		return false;
	for (int t = 0; t < LAKE_TABLE_COUNT; t++)
		if (!lake_sheet_open(&writer->sheets[t], writer->duck, (enum lake_table)t, err))
			return false;
	return true;
}

static bool writer_open(void *config, void **state, struct err *err)
{
	struct lake_writer *writer = xrealloc(NULL, sizeof(*writer));

	*writer = (struct lake_writer){.config = config};
	*state = writer;
	writer->backoff.seed = (unsigned)monotonic_us();
	open_metrics(writer);
	health_ready("opening the lake");
	writer->storage = lake_storage_new(&writer->config->storage, err);
	if (!writer->storage || !open_sheets(writer, err))
		return false;
	writer->catalogue = lake_catalogue_new(&writer->config->postgres, writer->storage);
	writer->registry = registry_new(&writer->config->registry, REGISTRY_TIMEOUT_MS, err);
	return writer->registry != NULL;
}

static void writer_close(void *state)
{
	struct lake_writer *writer = state;

	if (!writer)
		return;
	lake_input_close(writer);
	for (int t = 0; t < LAKE_TABLE_COUNT; t++)
		lake_sheet_close(&writer->sheets[t]);
	duck_close(writer->duck);
	registry_free(writer->registry);
	lake_catalogue_free(writer->catalogue);
	lake_storage_free(writer->storage);
	free(writer);
}

static const struct config_option *const tables[] = {lake_kafka_options, lake_registry_options,
                                                     lake_storage_options, lake_write_options,
                                                     NULL};

const struct service lake_write_service = {
	.name = "lake",
	.summary =
		"writes bronze events, controls, dead letters, late events and counts as Parquet "
		"files",
	.tables = tables,
	.config_size = sizeof(struct lake_config),
	.open = writer_open,
	.step = writer_step,
	.close = writer_close,
};
