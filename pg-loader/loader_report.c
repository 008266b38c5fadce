/* Counters grow after a commit, so a batch that is dropped and read again counts once.
 *
 * The latency of an event goes from the time at which the broker appended its raw record to the
 * commit here. Broker and loader must have the same time of day. Events that are read again into
 * another database are as old as they are. */
#include "loader_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "event/reason.h"
#include "event_row.h"
#include "kafka/group_lag.h"
#include "kafka/intake.h"
#include "load_batch.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/monotime.h"
#include "targets.h"

#define SUMMARY_EVERY_US INT64_C(60000000)
#define LIST_TEXT_MAX    1024

static void open_histograms(struct loader *loader)
{
	loader->seconds = histogram_get("loader_batch_seconds", "",
	                                "time to write one batch, including retries");
	loader->batch_rows_seen =
		number_histogram_get("loader_batch_rows", "", "rows of a committed batch");
	loader->latency = histogram_get(
		"end_to_end_seconds", "",
		"time from the append of a raw record to the commit of its event in PostgreSQL");
}

void loader_report_open(struct loader *loader)
{
	for (int t = 0; t < TARGET_COUNT; t++) {
		char labels[80];

		snprintf(labels, sizeof(labels), "table=\"%s\"", targets[t].table);
		loader->rows[t] = metric_get(
			METRIC_COUNTER, "loader_rows_total", labels,
			"rows sent to PostgreSQL; of several with one key in a batch, one");
	}
	loader->controls = metric_get(METRIC_COUNTER, "loader_controls_total", "",
	                              "control records read; they are not events");
	loader->duplicates =
		metric_get(METRIC_COUNTER, "loader_duplicate_events_total", "",
	                   "bronze records, read for the first time, whose event was already "
	                   "stored");
	loader->staged = metric_get(METRIC_COUNTER, "loader_staged_events_total", "",
	                            "events sent through the staging table, because some of their "
	                            "batch, or of one before it, were stored already");
	loader->batches =
		metric_get(METRIC_COUNTER, "loader_batches_total", "", "transactions committed");
	loader->reconnects = metric_get(METRIC_COUNTER, "loader_connects_total", "",
	                                "connections made to PostgreSQL");
	loader->rewinds = metric_get(METRIC_COUNTER, "loader_rewinds_total", "",
	                             "batches dropped and read again");
	loader->up = metric_get(METRIC_GAUGE, "loader_postgres_up", "",
	                        "1 while connected to PostgreSQL");
	loader->event_time =
		metric_get(METRIC_GAUGE_SECONDS, "loader_event_timestamp_seconds", "",
	                   "newest event time of the events that this instance has stored, in "
	                   "seconds since 1970");
	metric_set(loader->event_time, METRIC_ABSENT);
	loader->newest_event_us = INT64_MIN;
	open_histograms(loader);
	loader->minute.began_us = loader->run.began_us = monotonic_us();
}

/* ---- partitions */

void loader_report_task_init(struct loader *loader, struct loader_task *task)
{
	const char *topic = task->partition->topic->name;
	char labels[320];

	snprintf(labels, sizeof(labels), "topic=\"%s\",partition=\"%" PRId32 "\"", topic,
	         task->partition->partition);
	task->records = metric_get(METRIC_COUNTER, "loader_records_total", labels,
	                           "records of committed batches");
	task->lag = metric_get(METRIC_GAUGE, "loader_lag_records", labels,
	                       "records up to the partition's end that are not in PostgreSQL");
	task->group_lag = group_lag_metric(loader->config->kafka.topic_prefix, "pg-loader", topic,
	                                   task->partition->partition);
}

void loader_report_task_stop(struct loader_task *task)
{
	metric_set(task->lag, 0);
	metric_set(task->group_lag, METRIC_ABSENT);
}

void loader_report_lag(struct loader_task *task)
{
	int64_t high = task->partition->high;

	metric_set(task->lag, high > task->committed ? high - task->committed : 0);
	group_lag_set(task->group_lag, high, task->committed);
}

/* ---- commits */

static void count_rejects(struct loader *loader)
{
	for (int r = 0; r < REASON_COUNT; r++) {
		const char *reason = reason_name((enum reason)r);
		int64_t rejects = loader->batch.rejects[r];
		char labels[80];

		if (rejects == 0)
			continue;
		snprintf(labels, sizeof(labels), "reason=\"%s\"", reason);
		metric_add(metric_get(METRIC_COUNTER, "loader_rejects_total", labels,
		                      "records that the loader itself dead-lettered, by reason"),
		           rejects);
		log_warn("rejected", log_str("reason", reason), log_int("records", rejects));
	}
}

static void count_duplicates(struct loader *loader)
{
	if (loader->batch.duplicates == 0)
		return;
	metric_add(loader->duplicates, loader->batch.duplicates);
	log_warn("bronze_doubles", log_int("records", loader->batch.duplicates),
	         log_str("detail", "bronze holds these twice: see reporting.reconciliation"));
}

static void observe_events(struct loader *loader)
{
	const struct row_buffers *rows = &loader->batch.rows;
	int64_t now_us = wallclock_us();

	for (uint32_t i = 0; rows->live[TARGET_EVENTS] > 0 && i < rows->count; i++) {
		const char *row = rows->bytes[TARGET_EVENTS].at + rows->at[i].at;
		int64_t event_us;

		if (!rows->at[i].live || rows->at[i].target != TARGET_EVENTS)
			continue;
		histogram_observe_us(loader->latency, now_us - event_row_raw_time_us(row));
		event_us = event_row_event_time_us(row);
		if (event_us > loader->newest_event_us)
			loader->newest_event_us = event_us;
	}
	if (loader->newest_event_us != INT64_MIN)
		metric_set(loader->event_time, loader->newest_event_us);
}

static void add_to_sums(struct loader_sums *sums, const struct loader *loader, int64_t records)
{
	sums->records += records;
	sums->duplicates += loader->batch.duplicates;
	sums->batches++;
	for (int t = 0; t < TARGET_COUNT; t++)
		sums->rows[t] += loader->batch.rows.live[t];
	for (int r = 0; r < REASON_COUNT; r++)
		sums->rejects[r] += loader->batch.rejects[r];
}

void loader_report_committed(struct loader *loader, int64_t began_us)
{
	int64_t records = 0, rows = 0;

	for (size_t i = 0; i < loader->task_count; i++) {
		metric_add(loader->tasks[i].records, loader->tasks[i].batch_records);
		records += loader->tasks[i].batch_records;
	}
	for (int t = 0; t < TARGET_COUNT; t++) {
		metric_add(loader->rows[t], loader->batch.rows.live[t]);
		rows += loader->batch.rows.live[t];
	}
	count_rejects(loader);
	count_duplicates(loader);
	metric_add(loader->staged, loader->batch.staged);
	metric_add(loader->batches, 1);
	histogram_observe_us(loader->seconds, monotonic_us() - began_us);
	histogram_observe_number(loader->batch_rows_seen, rows);
	observe_events(loader);
	add_to_sums(&loader->minute, loader, records);
	add_to_sums(&loader->run, loader, records);
}

/* ---- summaries */

/* "name:count,name:count" of the rejects. Returns their sum. */
static int64_t list_rejects(const struct loader_sums *sums, char list[LIST_TEXT_MAX])
{
	int64_t sum = 0;
	size_t len = 0;

	list[0] = '\0';
	for (int r = 0; r < REASON_COUNT; r++) {
		sum += sums->rejects[r];
		if (sums->rejects[r] == 0 || len >= LIST_TEXT_MAX)
			continue;
		len += (size_t)snprintf(list + len, LIST_TEXT_MAX - len, "%s%s:%" PRId64,
		                        len ? "," : "", reason_name((enum reason)r),
		                        sums->rejects[r]);
	}
	return sum;
}

static void log_summary(const struct loader *loader, const char *period,
                        const struct loader_sums *sums)
{
	char reasons[LIST_TEXT_MAX];
	int64_t rejects = list_rejects(sums, reasons), lag = 0;

	for (size_t i = 0; i < loader->task_count; i++) {
		const struct loader_task *task = &loader->tasks[i];

		if (task->partition->high > task->committed)
			lag += task->partition->high - task->committed;
	}
	log_info("summary", log_str("period", period),
	         log_seconds("seconds", monotonic_us() - sums->began_us),
	         log_int("records", sums->records), log_int("events", sums->rows[TARGET_EVENTS]),
	         log_int("aggregates", sums->rows[TARGET_AGGREGATES]),
	         log_int("visits", sums->rows[TARGET_VISITS]),
	         log_int("late_events", sums->rows[TARGET_LATE_EVENTS]),
	         log_int("dead_letters", sums->rows[TARGET_DEAD_LETTERS]),
	         log_int("duplicates", sums->duplicates), log_int("rejects", rejects),
	         log_str("reasons", *reasons ? reasons : NULL),
	         log_percent("rejects_percent", rejects, sums->records),
	         log_int("batches", sums->batches),
	         log_int("rewinds", metric_value(loader->rewinds) - sums->rewinds_before),
	         log_int("lag", lag));
}

void loader_report_step(struct loader *loader)
{
	int64_t now_us = monotonic_us();

	if (now_us - loader->minute.began_us < SUMMARY_EVERY_US)
		return;
	log_summary(loader, "minute", &loader->minute);
	loader->minute = (struct loader_sums){.began_us = now_us,
	                                      .rewinds_before = metric_value(loader->rewinds)};
}

void loader_report_close(struct loader *loader)
{
	if (loader->intake)
		log_summary(loader, "run", &loader->run);
}
