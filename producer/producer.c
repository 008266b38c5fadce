/* A state machine of phases. Each step does a part of one phase.
 *
 *   CONNECTING -> SORTING -> SCANNING -> SKIPPING -> SENDING -> DRAINING -> ENDING -> finished, or
 *   CHECKING (--fail-above)
 *   SORTING -> SCANNING -> WRITING (no Kafka: --dry-run, --output)
 *   PLANNING -> WAITING -> CONNECTING ... ENDING -> WAITING ... -> finished (--every)
 *
 * With --every, each month is a run with a segment, a state file and phases of its own. The Kafka
 * client stays until a run fails; then the next attempt gets a new one.
 *
 * No loss: the state file holds the acknowledged prefix only, so after kill -9 the rows after that
 * prefix are sent again, and bronze-sink removes the duplicates. The end of a segment is announced
 * when all of its rows are acknowledged. The segment is complete when that announcement is
 * acknowledged. A stop waits for the acknowledgements of what was sent and leaves the rest to the
 * next run. What survives kill -9: everything; up to a second of rows is sent twice. */
#include "producer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "acks.h"
#include "display.h"
#include "feed.h"
#include "options.h"
#include "pace.h"
#include "producer_check.h"
#include "producer_finish.h"
#include "producer_output.h"
#include "producer_reading.h"
#include "producer_resume.h"
#include "producer_schedule.h"
#include "producer_send.h"
#include "producer_sort.h"
#include "producer_state.h"
#include "registry/registry.h"
#include "rejects.h"
#include "schedule.h"
#include "selection.h"
#include "sender.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/monotime.h"
#include "source.h"
#include "state_file.h"

/* more than the queue of the library can hold, so that the queue fills up first */
#define ACKS_CAPACITY 131072

/* How long a row waits for others of its partition. */
#define FULL_SPEED_LINGER_MS 50

/* ---- opening */

static void open_metrics(struct producer *p)
{
	p->metrics.sent = metric_get(METRIC_COUNTER, "producer_rows_sent_total", "",
	                             "rows handed to the Kafka library");
	p->metrics.acknowledged =
		metric_get(METRIC_COUNTER, "producer_records_acknowledged_total", "",
	                   "records acknowledged by the brokers, including controls");
	p->metrics.malformed = metric_get(METRIC_COUNTER, "producer_rows_malformed_total", "",
	                                  "rows that could not be split into their columns");
	p->metrics.event_time =
		metric_get(METRIC_GAUGE, "producer_event_time_seconds", "",
	                   "newest event time of the rows sent, in seconds since 1970");
	p->metrics.waiting = metric_get(METRIC_GAUGE, "producer_records_waiting", "",
	                                "records sent and not yet acknowledged");
	p->metrics.runs = metric_get(METRIC_GAUGE, "producer_schedule_runs", "",
	                             "runs of EVERY, one for each month");
	p->metrics.runs_complete = metric_get(METRIC_GAUGE, "producer_schedule_runs_complete", "",
	                                      "runs of EVERY that are complete");
}

static bool open_feed(struct producer *p, struct err *err)
{
	struct feed_params params = {
		.fallback_us = p->plan.synthetic ? p->plan.generator.start_us : EARLIEST_TIME_US,
		.check_order = !p->plan.synthetic && !p->plan.live &&
	                       strcmp(p->config->order, "input") == 0,
		.horizon_us = p->config->dedup_horizon_us,
		.in_real_time = p->plan.selection.shift == SHIFT_FIRST,
	};

	p->feed = feed_new(p->source, &params, err);
	return p->feed != NULL;
}

static bool open_source(struct producer *p, struct err *err)
{
	struct selection_config selected = producer_run_selection(p);
	size_t ignored, files;

	if (!producer_open_format(p, err))
		return false;
	if (p->plan.live)
		p->source = source_fakestore_new(&p->plan.fakestore, p->config->limit, err);
	else if (p->plan.synthetic)
		p->source = source_synthetic_new(&p->plan.generator, p->config->limit, err);
	else
		p->source = source_files_open(p->config->input, &p->format, p->config->limit, err);
	selection_init(&p->selection, &selected);
	if (!p->source || !source_select(p->source, &p->selection, err) ||
	    !producer_set_order(p, err))
		return false;
	files = source_file_count(p->source, &ignored);
	log_info("source_opened", log_str("segment", source_segment(p->source)),
	         log_uint("files", files), log_uint("empty_files", source_empty_files(p->source)),
	         log_uint("ignored_files", ignored));
	return open_feed(p, err);
}

/* For sender_new. A replay at full speed sends fewer and larger requests, which saves CPU time of
 * the brokers. Rows that arrive now, or are paced, are sent soon. librdkafka requires a longer
 * TIMEOUT. */
static int linger_ms(const struct producer *p)
{
	const struct producer_config *config = p->config;
	bool at_full_speed = config->rate == 0 && p->plan.speed_milli == 0 && !p->plan.live &&
	                     strcmp(config->input, "-") != 0;
	bool in_time = config->timeout_us == 0 || config->timeout_us > FULL_SPEED_LINGER_MS * 2000;

	return at_full_speed && in_time ? FULL_SPEED_LINGER_MS : 0;
}

static bool open_kafka(struct producer *p, struct err *err)
{
	const struct producer_config *config = p->config;

	if (!acks_init(&p->acks, ACKS_CAPACITY))
		return err_set(err, ERR_FATAL, "out of memory");
	if (config->registry.urls[0]) {
		p->registry = registry_new(&config->registry, 5000, err);
		if (!p->registry)
			return false;
	}
	p->sender = sender_new(&config->kafka, "producer", config->timeout_us, linger_ms(p), err);
	return p->sender != NULL;
}

static bool state_path_of(struct producer *p, struct err *err)
{
	const char *set = p->config->state_file;
	int len = 0;

	if (strcmp(set, "none") == 0 || source_is_live(p->source))
		return true;
	if (!source_can_resume(p->source)) {
		log_info("no_state_file",
		         log_str("detail", "standard input cannot be read again, so an "
		                           "interrupted run cannot be resumed"));
		return true;
	}
	if (set[0])
		len = snprintf(p->state_path, sizeof(p->state_path), "%s", set);
	else
		len = snprintf(p->state_path, sizeof(p->state_path), ".producer-state/%s.%s.json",
		               sender_topic(p->sender), source_segment(p->source));
	return (size_t)len < sizeof(p->state_path) ||
	       err_set(err, ERR_INPUT, "STATE_FILE: the path is longer than %zu bytes",
	               sizeof(p->state_path) - 1);
}

/* Opens what belongs to one run. */
static bool open_run(struct producer *p, struct err *err)
{
	p->run_is_open = true;
	p->complete_noted = p->unreachable_reported = false;
	p->saved.shift_us = SHIFT_NOT_CHOSEN;
	if (!open_source(p, err))
		return false;
	p->pace = (struct pace){.speed_milli = p->plan.speed_milli, .rate = p->config->rate};
	p->began_us = p->progress_us = monotonic_us();
	display_init(&p->display, p->began_us, 0);
	p->phase = PHASE_CONNECTING;
	return true;
}

static void close_run(struct producer *p)
{
	display_end(&p->display);
	rejects_fini(&p->rejects);
	p->rejects = (struct rejects){0};
	feed_free(p->feed);
	source_free(p->source);
	selection_fini(&p->selection);
	producer_close_format(p);
	p->feed = NULL;
	p->source = NULL;
	p->run_is_open = false;
	p->control = (struct control){0};
	p->saved = (struct saved_state){0};
	p->earlier.sent += p->sent;
	p->earlier.malformed += p->malformed;
	p->skip = p->sent = p->malformed = p->saved_rows = 0;
}

static void close_kafka(struct producer *p)
{
	sender_free(p->sender);
	acks_fini(&p->acks);
	registry_free(p->registry);
	p->sender = NULL;
	p->registry = NULL;
}

static bool open_schedule(struct producer *p, struct err *err)
{
	p->phase = PHASE_PLANNING;
	p->began_us = monotonic_us();
	return producer_schedule_open(p, err) && open_kafka(p, err);
}

bool producer_open(void *config, void **state, struct err *err)
{
	struct producer_config *settings = config;
	struct producer *p = calloc(1, sizeof(*p));

	if (!p)
		return err_set(err, ERR_FATAL, "out of memory");
	*state = p;
	p->config = settings;
	if (settings->restart) {
		log_warn("deprecated_setting", log_str("setting", "RESTART"),
		         log_str("detail", "use RESUME=false (--resume=false) instead"));
		settings->resume = false;
	}
	p->resume = settings->resume;
	p->form.partition_count = 1;
	open_metrics(p);
	if (!producer_plan_read(p->config, &p->plan, err))
		return false;
	if (p->config->every_us > 0)
		return open_schedule(p, err);
	if (!open_run(p, err) || !producer_open_rows(p, err))
		return false;
	if (p->config->dry_run || p->config->output[0]) {
		p->phase = PHASE_SORTING;
		return true;
	}
	return open_kafka(p, err) && state_path_of(p, err);
}

/* ---- the service's callbacks */

static enum step stop_now(struct producer *p, struct err *err)
{
	p->stopped = true;
	p->stop_us = monotonic_us();
	switch (p->phase) {
	case PHASE_PLANNING:
	case PHASE_WAITING:
	case PHASE_CONNECTING:
	case PHASE_SORTING:
	case PHASE_SCANNING:
	case PHASE_SKIPPING:
		log_info("interrupted", log_str("detail", "nothing was sent"));
		return STEP_DONE;
	case PHASE_WRITING:
		producer_summarise(p, "interrupted", "the output ends after a complete row");
		return producer_flush_rows(p, err) ? STEP_DONE : STEP_FAILED;
	case PHASE_SENDING: p->phase = PHASE_DRAINING; break;
	case PHASE_DRAINING: /* all rows were sent; waiting for the acknowledgements continues */
	case PHASE_ENDING:
	case PHASE_CHECKING: break;
	}
	return STEP_MORE;
}

/* Begins the next run of the schedule, if it is due. */
static enum step step_waiting(struct producer *p, struct err *err)
{
	switch (producer_schedule_next(p)) {
	case SCHEDULE_DONE: return STEP_DONE;
	case SCHEDULE_WAIT: return STEP_MORE;
	case SCHEDULE_RUN: break;
	}
	return open_run(p, err) && state_path_of(p, err) ? STEP_MORE : STEP_FAILED;
}

static bool can_try_again(const struct err *err)
{
	switch (err->class) {
	case ERR_RETRY:
	case ERR_ABORT:
	case ERR_CONFLICT:
	case ERR_FENCED: return true;
	case ERR_NONE:
	case ERR_INPUT:
	case ERR_OPERATOR:
	case ERR_REFUSED:
	case ERR_FATAL: break;
	}
	return false;
}

/* A run of the schedule has ended. A run that FAIL_ABOVE refuses is complete: it is not sent again.
 * The producer continues, unless another attempt would fail for the same cause. */
static enum step after_run(struct producer *p, enum step step, struct err *err)
{
	bool complete = step == STEP_DONE, checked = p->phase == PHASE_CHECKING;

	producer_schedule_ended(p, complete || checked ? NULL : err);
	close_run(p);
	p->resume = complete ? p->config->resume : true;
	p->phase = PHASE_WAITING;
	if (complete)
		return STEP_MORE;
	if (checked || !can_try_again(err))
		return STEP_FAILED;
	close_kafka(p);
	return open_kafka(p, err) ? STEP_MORE : STEP_FAILED;
}

static enum step step_phase(struct producer *p, struct err *err)
{
	switch (p->phase) {
	case PHASE_PLANNING: return producer_step_planning(p, err);
	case PHASE_WAITING: return step_waiting(p, err);
	case PHASE_CONNECTING: return producer_step_connecting(p, err);
	case PHASE_SORTING: return producer_step_sorting(p, err);
	case PHASE_SCANNING: return producer_step_scanning(p, err);
	case PHASE_SKIPPING: return producer_step_skipping(p, err);
	case PHASE_SENDING: return producer_step_sending(p, err);
	case PHASE_DRAINING: return producer_step_draining(p, err);
	case PHASE_ENDING: return producer_step_ending(p, err);
	case PHASE_CHECKING: return producer_step_checking(p, err);
	case PHASE_WRITING: return producer_step_writing(p, err);
	}
	return STEP_FAILED;
}

enum step producer_step(void *state, bool stopping, struct err *err)
{
	struct producer *p = state;
	enum step step;

	if (stopping && !p->stopped) {
		step = stop_now(p, err);
		if (step != STEP_MORE)
			return step;
	}
	step = step_phase(p, err);
	if (step == STEP_MORE || !p->schedule || !p->run_is_open || p->stopped)
		return step;
	return after_run(p, step, err);
}

void producer_close(void *state)
{
	struct producer *p = state;

	if (!p)
		return;
	close_run(p);
	close_kafka(p);
	producer_schedule_close(p);
	producer_close_rows(p);
	free(p);
}
