/* The loop: migrate, subscribe, then poll and commit.
 *
 *   poll --> batch --> one PostgreSQL transaction (rows, offsets) --> mirror to the consumer group
 *
 * kill -9 before the COMMIT: PostgreSQL rolls back, and the next loader reads the same records
 * again from the old offsets. After the COMMIT: rows and offsets are stored. Only the mirror is
 * missing, and nothing relies on it.
 *
 * One recovery covers every failure that passes (PostgreSQL away, registry away, offsets moved by
 * another loader): drop the batch, stop reading, wait, read the offsets again and continue from
 * there. So memory is bounded during the wait, and a commit without an answer is not a special
 * case. A deadlock or a lock time-out is first retried with the same batch.
 *
 * The loader commits when no more records wait, or when a limit of time, rows or bytes is reached
 * (batch_due.h). So short queues give low latency, and long queues give big batches. */
#include "loader.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "alert_sender.h"
#include "alert_topic.h"
#include "alert_webhook.h"
#include "base/backoff.h"
#include "base/memory.h"
#include "batch_due.h"
#include "event/reason.h"
#include "kafka/intake.h"
#include "load_batch.h"
#include "load_store.h"
#include "loader_input.h"
#include "loader_offsets.h"
#include "loader_report.h"
#include "loader_state.h"
#include "migrate.h"
#include "migrate_files.h"
#include "registry/registry.h"
#include "reporting.h"
#include "service/health.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/monotime.h"
#include "service/stop.h"
#include "stream/catch_up.h"
#include "stream/moved_offsets.h"
#include "stream/partition_end.h"
#include "targets.h"
#include "wait_idle.h"

#define IDLE_WAIT_MS        100     /* for the first record of a batch */
#define MORE_WAIT_MS        3       /* for one more record */
#define QUERY_CANCELED      "57014" /* statement_timeout */
#define OUT_OF_MEMORY       "53200" /* also of the table of locks */
#define WRITE_TRIES         4
#define WRITE_AGAIN_US      INT64_C(30000000) /* the consumer is not polled during retries */
#define REGISTRY_TIMEOUT_MS 5000

/* ---- failures that pass */

static const char *phase_name(const struct loader *loader)
{
	switch (loader->phase) {
	case LOADER_MIGRATING: return "migrate";
	case LOADER_STARTING: return "open";
	case LOADER_RUNNING: return "run";
	}
	return "";
}

/* Errors of these classes pass: the loader drops its batch and reads it again. */
static bool is_temporary(const struct err *err)
{
	return err->class == ERR_RETRY || err->class == ERR_ABORT || err->class == ERR_CONFLICT;
}

/* Logs an error that passes, and schedules the next attempt. Other errors end the service. */
static enum step wait_for(struct loader *loader, const char *what, struct err *err)
{
	char reason[1200];

	if (!is_temporary(err))
		return STEP_FAILED;
	backoff_grow(&loader->backoff, monotonic_us());
	metric_set(loader->up, postgres_is_connected(loader->pg));
	snprintf(reason, sizeof(reason), "%s: %s", what, err->message);
	health_ready(reason);
	log_warn("retrying", log_str("phase", phase_name(loader)), log_str("waiting_for", what),
	         log_int("pause_ms", (loader->backoff.next_us - monotonic_us()) / 1000),
	         log_str("error", err->message));
	return STEP_MORE;
}

/* ---- commits */

/* A batch that timed out would time out again, and one that took too many locks would take them
 * again. The next batch is half as big, down to one row; each commit lets batches grow again. */
static void shrink_batches(struct loader *loader)
{
	if (loader->batch_rows > loader->batch.rows.count)
		loader->batch_rows = loader->batch.rows.count;
	loader->batch_rows = loader->batch_rows > 1 ? loader->batch_rows / 2 : 1;
}

static void grow_batches(struct loader *loader)
{
	loader->batch_rows += loader->batch_rows / 8 + 1;
	if (loader->batch_rows > loader->config->batch_rows)
		loader->batch_rows = loader->config->batch_rows;
}

static void drop_batch(struct loader *loader)
{
	load_batch_clear(&loader->batch);
	loader->batch_started_us = 0;
	for (size_t i = 0; i < loader->task_count; i++)
		loader->tasks[i].batch_records = 0;
}

static void rewind_loader(struct loader *loader, const char *why)
{
	drop_batch(loader);
	if (!intake_is_reading(loader->intake))
		return;
	intake_hold(loader->intake);
	metric_add(loader->rewinds, 1);
	log_warn("rewind", log_uint("partitions", loader->task_count),
	         log_int("batch_rows", loader->batch_rows), log_str("error", why));
}

static size_t list_moved(struct loader *loader)
{
	size_t count = 0;

	for (size_t i = 0; i < loader->task_count; i++) {
		const struct loader_task *task = &loader->tasks[i];

		const struct assigned_partition *partition = task->partition;

		if (partition->position != task->committed)
			loader->moved[count++] =
				(struct stored_offset){partition->topic->name, partition->partition,
			                               task->committed, partition->position,
			                               task->last};
	}
	return count;
}

static void log_committed(const struct loader *loader, int64_t began_us)
{
	size_t prefix = strlen(loader->config->kafka.topic_prefix);
	struct moved_offsets moved = {"", 0};

	for (size_t i = 0; i < loader->task_count; i++) {
		const struct assigned_partition *partition = loader->tasks[i].partition;

		moved_offsets_add(&moved, partition->topic->name + prefix, partition->partition,
		                  loader->tasks[i].committed, partition->position);
	}
	log_debug("committed", log_uint("rows", loader->batch.rows.count),
	          log_str("offsets", moved.text), log_int("took_us", monotonic_us() - began_us));
}

static void committed(struct loader *loader, size_t moved_count, int64_t began_us)
{
	loader->committed_us = monotonic_us();
	loader->commit_took_us = loader->committed_us - began_us;
	loader_report_committed(loader, began_us);
	reporting_note_rows(loader->reporting, loader->batch.rows.live[TARGET_CONTROLS] > 0);
	loader_mirror(loader, moved_count);
	log_committed(loader, began_us);
	for (size_t i = 0; i < loader->task_count; i++)
		loader->tasks[i].committed = loader->tasks[i].partition->position;
	drop_batch(loader);
}

/* After a deadlock or a lock time-out (classes 40 and 55) the same transaction often succeeds at
 * once. Other temporary errors (a full disk, too many connections) last longer. */
static bool may_succeed_at_once(const char *sqlstate)
{
	return strncmp(sqlstate, "40", 2) == 0 || strncmp(sqlstate, "55", 2) == 0;
}

/* The transaction took too long, or more locks than the server has room for. */
static bool is_too_big(const char *sqlstate)
{
	return strcmp(sqlstate, QUERY_CANCELED) == 0 || strcmp(sqlstate, OUT_OF_MEMORY) == 0;
}

/* Writes the batch. After a temporary error the batch has to be read again; *waiting_for names the
 * server that failed. */
static bool commit(struct loader *loader, const char **waiting_for, struct err *err)
{
	size_t moved_count = list_moved(loader);
	int64_t began_us = monotonic_us();

	*waiting_for = "Kafka";
	if (!intake_recognises(loader->intake, err))
		return false;
	*waiting_for = "PostgreSQL";
	for (int try = 1;; try++) {
		if (load_store_write(loader->store, &loader->batch, loader->moved, moved_count,
		                     err)) {
			committed(loader, moved_count, began_us);
			grow_batches(loader);
			return true;
		}
		if (err->class == ERR_RETRY && is_too_big(postgres_sqlstate(loader->pg)))
			shrink_batches(loader);
		if (err->class != ERR_RETRY ||
		    !may_succeed_at_once(postgres_sqlstate(loader->pg)) || try == WRITE_TRIES ||
		    !postgres_is_connected(loader->pg) || service_stopping() ||
		    monotonic_us() - began_us > WRITE_AGAIN_US)
			return false;
		log_warn("retrying", log_str("phase", "write"), log_int("attempt", try),
		         log_str("error", err->message));
		poll(NULL, 0, 50 * try + rand_r(&loader->backoff.seed) % 50);
	}
}

static bool drained(const struct loader *loader, size_t taken)
{
	if (taken == 0)
		return true;
	for (size_t i = 0; i < loader->task_count; i++)
		if (loader->tasks[i].partition->watch.end.offset == PARTITION_END_NONE)
			return false;
	return true;
}

/* A partition is catching up. The aggregates of others may then be as late as BATCH_INTERVAL, and
 * at least a second, but the records of that partition are later anyway. */
static bool is_catching_up(const struct loader *loader)
{
	for (size_t i = 0; i < loader->task_count; i++) {
		const struct loader_task *task = &loader->tasks[i];

		if (catching_up(task->batch_records, intake_readable(task->partition)))
			return true;
	}
	return false;
}

static bool is_full(const struct loader *loader)
{
	const struct load_batch *batch = &loader->batch;

	return batch->rows.count >= loader->batch_rows || batch->rows.day_count >= LOAD_DAYS_MAX ||
	       (int64_t)batch->input_bytes >= loader->config->batch_bytes;
}

static bool commit_is_due(const struct loader *loader, size_t taken)
{
	int64_t now_us = monotonic_us();
	struct batch_state batch = {.age_us = now_us - loader->batch_started_us,
	                            .rested_us = now_us - loader->committed_us,
	                            .last_commit_took_us = loader->commit_took_us,
	                            .full = is_full(loader),
	                            .drained = drained(loader, taken),
	                            .catching_up = is_catching_up(loader)};

	return loader->batch_started_us != 0 &&
	       batch_is_due(&batch, loader->config->batch_interval_us);
}

/* ---- phases */

static enum step migrate_step(struct loader *loader, struct err *err)
{
	const struct loader_config *config = loader->config;
	struct migration_list list = {0};
	char dir[1024];
	bool ok = true;

	if (strcmp(config->migrate, "false") != 0) {
		ok = migrate_find_dir(config->migrations_dir, dir, sizeof(dir), err) &&
		     migrate_load(dir, &list, err) && migrate_apply(&config->postgres, &list, err);
		migrate_fini(&list);
	}
	if (!ok)
		return wait_for(loader, "PostgreSQL, to migrate", err);
	if (strcmp(config->migrate, "only") == 0)
		return STEP_DONE;
	if (config->rebuild)
		return reporting_rebuild(&config->postgres, err)
		               ? STEP_DONE
		               : wait_for(loader, "PostgreSQL, to rebuild", err);
	backoff_reset(&loader->backoff);
	loader->phase = LOADER_STARTING;
	return STEP_MORE;
}

static void open_alerts(struct loader *loader)
{
	const struct loader_config *config = loader->config;

	if (config->send_alerts && !loader->alerts_to_topic)
		loader->alerts_to_topic =
			alert_sender_new(&config->postgres,
		                         alert_topic_channel(&config->kafka, loader->registry));
	if (*config->webhook_url && !loader->alerts_to_webhook)
		loader->alerts_to_webhook =
			alert_sender_new(&config->postgres,
		                         alert_webhook_channel(config->webhook_url,
		                                               config->webhook_secret));
}

static void step_alerts(struct loader *loader)
{
	if (loader->alerts_to_topic)
		alert_sender_step(loader->alerts_to_topic);
	if (loader->alerts_to_webhook)
		alert_sender_step(loader->alerts_to_webhook);
}

static enum step start_step(struct loader *loader, struct err *err)
{
	if (!loader_subscribe(loader, err))
		return wait_for(loader, "Kafka", err);
	open_alerts(loader);
	backoff_reset(&loader->backoff);
	health_ready("waiting for the group's assignment");
	loader->phase = LOADER_RUNNING;
	return STEP_MORE;
}

static enum step rewind_and_wait(struct loader *loader, const char *what, struct err *err)
{
	rewind_loader(loader, err->message);
	return wait_for(loader, what, err);
}

static enum step position_step(struct loader *loader, struct err *err)
{
	bool reconnected = false;
	bool ok = load_store_connect(loader->store, &reconnected, err);

	metric_add(loader->reconnects, reconnected);
	if (!ok || !loader_position(loader, err))
		return wait_for(loader, "where to start", err);
	metric_set(loader->up, 1);
	health_ready(NULL);
	return STEP_MORE;
}

/* Commits the open batch before the partitions change, if PostgreSQL is there. If the assignment is
 * lost, other loaders may have the partitions, and the batch is dropped. */
static enum step rebalance_step(struct loader *loader, struct err *err)
{
	enum step step = STEP_MORE;
	const char *waiting_for;

	if (loader->batch_started_us != 0 &&
	    !rd_kafka_assignment_lost(intake_client(loader->intake)) &&
	    !commit(loader, &waiting_for, err))
		step = wait_for(loader, waiting_for, err);
	drop_batch(loader);
	if (!loader_rebalance(loader, err))
		return STEP_FAILED;
	if (loader->task_count == 0)
		health_ready(NULL); /* other loaders have all partitions; this one is in reserve */
	return step;
}

static enum step run_step(struct loader *loader, struct err *err)
{
	int wait_ms = loader->batch_started_us != 0 ? MORE_WAIT_MS : IDLE_WAIT_MS;
	const char *waiting_for;
	size_t taken = 0;

	reporting_step(loader->reporting);
	step_alerts(loader);
	if (!intake_is_reading(loader->intake) && loader->task_count > 0 &&
	    backoff_is_due(&loader->backoff, monotonic_us())) {
		if (position_step(loader, err) == STEP_FAILED)
			return STEP_FAILED;
	}
	if (!loader_poll(loader, wait_ms, &taken, err)) {
		if (rewind_and_wait(loader, "schema registry", err) == STEP_FAILED)
			return STEP_FAILED;
	}
	if (intake_change(loader->intake) != INTAKE_SAME)
		return rebalance_step(loader, err);
	if (!intake_verify_client(loader->intake, monotonic_us(), err))
		return STEP_FAILED;
	loader_watch(loader);
	if (taken == 0 && intake_is_reading(loader->intake) &&
	    !postgres_still_there(loader->pg, err))
		return rewind_and_wait(loader, "PostgreSQL", err);
	if (!commit_is_due(loader, taken))
		return STEP_MORE;
	if (!commit(loader, &waiting_for, err))
		return rewind_and_wait(loader, waiting_for, err);
	backoff_reset(&loader->backoff);
	return STEP_MORE;
}

static enum step stop_step(struct loader *loader, struct err *err)
{
	const char *waiting_for;

	if (loader->phase == LOADER_RUNNING && loader->batch_started_us != 0 &&
	    !commit(loader, &waiting_for, err)) {
		if (!is_temporary(err))
			return STEP_FAILED;
		log_warn("stopped_uncommitted", log_str("error", err->message),
		         log_str("detail", "the next start reads the last batch again"));
	}
	return STEP_DONE;
}

enum step loader_step(void *state, bool stopping, struct err *err)
{
	struct loader *loader = state;

	if (loader->wait)
		return wait_idle_step(loader->wait, stopping, err);
	loader_report_step(loader);
	if (stopping)
		return stop_step(loader, err);
	if (loader->phase != LOADER_RUNNING && !backoff_is_due(&loader->backoff, monotonic_us())) {
		poll(NULL, 0, 50);
		return STEP_MORE;
	}
	switch (loader->phase) {
	case LOADER_MIGRATING: return migrate_step(loader, err);
	case LOADER_STARTING: return start_step(loader, err);
	case LOADER_RUNNING: return run_step(loader, err);
	}
	return STEP_FAILED;
}

/* ---- open and close */

bool loader_open(void *config, void **state, struct err *err)
{
	struct loader *loader = xrealloc(NULL, sizeof(*loader));

	*loader = (struct loader){.config = config};
	*state = loader;
	if (loader->config->wait_idle) {
		loader->wait = wait_idle_new(config);
		return true;
	}
	loader->batch_rows = loader->config->batch_rows;
	loader->backoff.seed = (unsigned)monotonic_us();
	loader->pg = postgres_new(&loader->config->postgres, "pg-loader");
	loader->store = load_store_new(loader->pg);
	loader->reporting =
		reporting_new(&loader->config->postgres, loader->config->reporting_interval_us);
	loader_report_open(loader);
	health_ready("connecting to PostgreSQL");
	loader->registry = registry_new(&loader->config->registry, REGISTRY_TIMEOUT_MS, err);
	return loader->registry != NULL;
}

void loader_close(void *state)
{
	struct loader *loader = state;

	if (!loader)
		return;
	wait_idle_free(loader->wait);
	loader_report_close(loader);
	loader_input_close(loader);
	reporting_free(loader->reporting);
	alert_sender_free(loader->alerts_to_topic);
	alert_sender_free(loader->alerts_to_webhook);
	load_store_free(loader->store);
	postgres_free(loader->pg);
	registry_free(loader->registry);
	free(loader);
}
