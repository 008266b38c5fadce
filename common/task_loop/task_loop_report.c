/* Counters grow when a commit has succeeded, by the difference of the task's counts to those of the
 * commit before. So they never contain rows whose outputs are not visible, and a restore adds
 * nothing. They begin at 0 in each process; the topic of counts has the sums since the beginning of
 * the set.
 *
 * Limits: a commit whose answer is lost in a crash is not in the counters of any process. */
#include "task_loop/task_loop_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "event/event.h"
#include "event/reason.h"
#include "kafka/group_lag.h"
#include "kafka/intake.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/monotime.h"
#include "stream/fold.h"

#define GAUGES_EVERY_US  INT64_C(2000000)
#define SUMMARY_EVERY_US INT64_C(60000000)
#define LIST_TEXT_MAX    1024

void report_open(struct task_loop *loop)
{
	struct task_loop_report *report = &loop->report;

	report->batch_seconds = histogram_get(
		"batch_seconds", "",
		"time from the first record of a transaction to its acknowledged commit");
	report->batch_records =
		number_histogram_get("batch_records", "", "input records of a transaction");
	report->run.began_us = report->minute.began_us = monotonic_us();
}

/* ---- metrics of a partition */

static struct metric *counter(const char *labels, const char *name, const char *help)
{
	return metric_get(METRIC_COUNTER, name, labels, help);
}

static void row_metrics(struct task_metrics *metrics)
{
	const char *labels = metrics->labels;

	metrics->in = counter(labels, "rows_in_total", "input rows, when they are committed");
	metrics->out = counter(labels, "rows_out_total", "of the input rows: accepted");
	metrics->duplicates = counter(labels, "rows_duplicate_total",
	                              "of the input rows: events that were accepted before");
	metrics->late = counter(labels, "rows_late_total",
	                        "of the input rows: too late for a window or a visit");
	metrics->dead = counter(labels, "rows_dead_total", "of the input rows: dead letters");
}

static void state_metrics(struct task_metrics *metrics)
{
	const char *labels = metrics->labels;

	metrics->restore = metric_get(METRIC_GAUGE, "restore_records_remaining", labels,
	                              "offsets that the restore has not read yet; 0: no restore");
	metrics->entries = metric_get(METRIC_GAUGE, "state_entries", labels,
	                              "entries of the state: event ids; groups, sessions and "
	                              "visits; totals");
	metrics->bytes = metric_get(METRIC_GAUGE, "state_bytes", labels,
	                            "bytes of the tables of the state, without texts");
	metrics->clock = metric_get(METRIC_GAUGE_SECONDS, "clock_timestamp_seconds", labels,
	                            "event time of the partition's clock, in seconds since 1970");
	metrics->watermark = metric_get(METRIC_GAUGE_SECONDS, "watermark_timestamp_seconds", labels,
	                                "event time of the watermark, in seconds since 1970");
	metrics->event_time_lag =
		metric_get(METRIC_GAUGE_SECONDS, "event_time_lag_seconds", labels,
	                   "time of day minus the clock, or minus the watermark without a clock");
}

void report_task_init(struct task_loop *loop, struct assigned_task *assigned)
{
	struct task_metrics *metrics = &assigned->metrics;
	int32_t partition = assigned->task.params.partition;

	snprintf(metrics->labels, sizeof(metrics->labels), "topic=\"%s\",partition=\"%" PRId32 "\"",
	         assigned->topic, partition);
	metrics->records = counter(metrics->labels, "records_in_total",
	                           "records folded, including those of a restore");
	if (assigned->input->rows)
		row_metrics(metrics);
	state_metrics(metrics);
	metrics->lag = group_lag_metric(loop->kafka.topic_prefix, loop->service_name,
	                                assigned->topic, partition);
	assigned->reported =
		assigned->task.restoring ? assigned->task.committed_counts : assigned->task.counts;
	loop->report.next_gauges_us = 0;
}

void report_task_stop(struct assigned_task *assigned)
{
	const struct task_metrics *metrics = &assigned->metrics;
	struct metric *const gauges[] = {metrics->restore,   metrics->entries,
	                                 metrics->bytes,     metrics->clock,
	                                 metrics->watermark, metrics->event_time_lag,
	                                 metrics->lag};

	for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++)
		metric_set(gauges[i], METRIC_ABSENT);
}

/* ---- counters, at a commit */

static struct counts difference(const struct counts *now, const struct counts *before)
{
	struct counts change = {.records_in = now->records_in - before->records_in,
	                        .records_out = now->records_out - before->records_out,
	                        .duplicates = now->duplicates - before->duplicates,
	                        .late = now->late - before->late};

	for (int r = 0; r < REASON_COUNT; r++)
		change.dead[r] = now->dead[r] - before->dead[r];
	for (int f = 0; f < EVENT_FIELD_COUNT; f++)
		change.unreadable[f] = now->unreadable[f] - before->unreadable[f];
	return change;
}

static void add_to_sums(struct report_sums *sums, const struct counts *change)
{
	sums->counts.records_in += change->records_in;
	sums->counts.records_out += change->records_out;
	sums->counts.duplicates += change->duplicates;
	sums->counts.late += change->late;
	for (int r = 0; r < REASON_COUNT; r++)
		sums->counts.dead[r] += change->dead[r];
	for (int f = 0; f < EVENT_FIELD_COUNT; f++)
		sums->counts.unreadable[f] += change->unreadable[f];
}

/* Adds to the series of each reason that occurred. Returns the number of dead letters. */
static int64_t add_dead_letters(const struct task_metrics *metrics, const struct counts *change)
{
	char labels[sizeof(metrics->labels) + 64];
	int64_t dead = 0;

	for (int r = 0; r < REASON_COUNT; r++) {
		if (change->dead[r] == 0)
			continue;
		snprintf(labels, sizeof(labels), "%s,reason=\"%s\"", metrics->labels,
		         reason_name((enum reason)r));
		metric_add(counter(labels, "dead_letters_total",
		                   "dead letters by reason, when they are committed"),
		           change->dead[r]);
		dead += change->dead[r];
	}
	return dead;
}

static void add_counts(struct task_loop_report *report, struct assigned_task *assigned)
{
	const struct task_metrics *metrics = &assigned->metrics;
	struct counts change = difference(&assigned->task.counts, &assigned->reported);
	int64_t dead = add_dead_letters(metrics, &change);

	assigned->reported = assigned->task.counts;
	add_to_sums(&report->minute, &change);
	add_to_sums(&report->run, &change);
	if (!assigned->input->rows)
		return;
	metric_add(metrics->in, change.records_in);
	metric_add(metrics->out, change.records_out);
	metric_add(metrics->duplicates, change.duplicates);
	metric_add(metrics->late, change.late);
	metric_add(metrics->dead, dead);
}

void report_commit_begins(struct task_loop *loop)
{
	int64_t records = 0;

	for (size_t i = 0; i < loop->task_count; i++)
		if (!loop->tasks[i].task.restoring)
			records += loop->tasks[i].task.position - loop->tasks[i].task.committed;
	loop->report.batch = records;
}

void report_committed(struct task_loop *loop)
{
	struct task_loop_report *report = &loop->report;

	for (size_t i = 0; i < loop->task_count; i++)
		if (!loop->tasks[i].task.restoring)
			add_counts(report, &loop->tasks[i]);
	if (loop->first_uncommitted_us == 0)
		return; /* markers or announcements alone */
	report->minute.records += report->batch;
	report->run.records += report->batch;
	histogram_observe_number(report->batch_records, report->batch);
	histogram_observe_us(report->batch_seconds, monotonic_us() - loop->first_uncommitted_us);
}

/* ---- gauges, every few seconds */

static void set_state_gauges(const struct assigned_task *assigned, int64_t now_us)
{
	const struct task_metrics *metrics = &assigned->metrics;
	const struct task *task = &assigned->task;
	struct fold_measures state;
	int64_t reached_us;

	task->params.ops->measure(task->fold, &state);
	reached_us = state.clock_us != INT64_MIN ? state.clock_us : state.watermark_us;
	metric_set(metrics->entries, (int64_t)state.entries);
	metric_set(metrics->bytes, (int64_t)state.bytes);
	metric_set(metrics->clock, state.clock_us == INT64_MIN ? METRIC_ABSENT : state.clock_us);
	metric_set(metrics->watermark,
	           state.watermark_us == INT64_MIN ? METRIC_ABSENT : state.watermark_us);
	metric_set(metrics->event_time_lag,
	           reached_us == INT64_MIN ? METRIC_ABSENT : now_us - reached_us);
}

static void set_gauges(struct task_loop *loop)
{
	int64_t now_us = wallclock_us();

	for (size_t i = 0; i < loop->task_count; i++) {
		const struct assigned_task *assigned = &loop->tasks[i];
		const struct task *task = &assigned->task;

		group_lag_set(assigned->metrics.lag, assigned->partition->high, task->committed);
		metric_set(assigned->metrics.restore,
		           task->restoring ? task->restore_to - task->position : 0);
		set_state_gauges(assigned, now_us);
	}
}

/* ---- summaries */

/* "name:count,name:count", for the counts that are not 0. */
static void list_add(char list[LIST_TEXT_MAX], const char *name, int64_t count)
{
	size_t len = strlen(list);

	if (count)
		snprintf(list + len, LIST_TEXT_MAX - len, "%s%s:%" PRId64, len ? "," : "", name,
		         count);
}

static int64_t lag_of(const struct task_loop *loop)
{
	int64_t lag = 0;

	for (size_t i = 0; i < loop->task_count; i++) {
		const struct assigned_task *assigned = &loop->tasks[i];

		if (assigned->partition->high > assigned->task.committed)
			lag += assigned->partition->high - assigned->task.committed;
	}
	return lag;
}

static void log_summary(const struct task_loop *loop, const char *period,
                        const struct report_sums *sums)
{
	const struct counts *counts = &sums->counts;
	char reasons[LIST_TEXT_MAX] = "", unreadable[LIST_TEXT_MAX] = "";
	int64_t dead = 0;

	for (int r = 0; r < REASON_COUNT; r++) {
		list_add(reasons, reason_name((enum reason)r), counts->dead[r]);
		dead += counts->dead[r];
	}
	for (int f = 0; f < EVENT_FIELD_COUNT; f++)
		list_add(unreadable, event_field_names[f], counts->unreadable[f]);
	log_info("summary", log_str("period", period),
	         log_seconds("seconds", monotonic_us() - sums->began_us),
	         log_int("records", sums->records), log_int("rows_in", counts->records_in),
	         log_int("rows_out", counts->records_out),
	         log_int("duplicates", counts->duplicates), log_int("late", counts->late),
	         log_int("dead_letters", dead), log_str("reasons", *reasons ? reasons : NULL),
	         log_percent("dead_percent", dead, counts->records_in),
	         log_str("unreadable_fields", *unreadable ? unreadable : NULL),
	         log_int("commits", metric_value(loop->commits_metric) - sums->commits_before),
	         log_int("aborts", metric_value(loop->aborts_metric) - sums->aborts_before),
	         log_int("lag", lag_of(loop)));
}

void report_step(struct task_loop *loop)
{
	struct task_loop_report *report = &loop->report;
	int64_t now_us = monotonic_us();

	if (now_us >= report->next_gauges_us) {
		report->next_gauges_us = now_us + GAUGES_EVERY_US;
		set_gauges(loop);
	}
	if (now_us - report->minute.began_us < SUMMARY_EVERY_US)
		return;
	log_summary(loop, "minute", &report->minute);
	report->minute = (struct report_sums){.began_us = now_us,
	                                      .commits_before = metric_value(loop->commits_metric),
	                                      .aborts_before = metric_value(loop->aborts_metric)};
}

void report_close(struct task_loop *loop)
{
	if (loop->inputs)
		log_summary(loop, "run", &loop->report.run);
}
