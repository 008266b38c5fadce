/* A state machine of phases. Each step does a part of one phase.
 *
 *   CONNECTING -> SORTING -> SKIPPING -> SENDING -> DRAINING -> ENDING -> finished, or CHECKING
 *   (--fail-above)
 *   SORTING -> WRITING (no Kafka: --dry-run, --output)
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
#include "base/timetext.h"
#include "display.h"
#include "feed.h"
#include "options.h"
#include "pace.h"
#include "producer_check.h"
#include "producer_finish.h"
#include "producer_output.h"
#include "producer_reading.h"
#include "producer_resume.h"
#include "producer_send.h"
#include "producer_sort.h"
#include "producer_state.h"
#include "registry/registry.h"
#include "rejects.h"
#include "sender.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/monotime.h"
#include "source.h"

/* more than the queue of the library can hold, so that the queue fills up first */
#define ACKS_CAPACITY 131072

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
}

static bool open_feed(struct producer *p, struct err *err)
{
	struct feed_params params = {
		.fallback_us = p->plan.synthetic ? p->plan.generator.start_us : EARLIEST_TIME_US,
		.check_order = !p->plan.synthetic && !p->plan.live &&
		               strcmp(p->config->order, "input") == 0,
		.horizon_us = 7 * US_PER_DAY,
	};

	p->feed = feed_new(p->source, &params, err);
	return p->feed != NULL;
}

static bool open_source(struct producer *p, struct err *err)
{
	size_t ignored, files;

	if (!producer_open_format(p, err))
		return false;
	if (p->plan.live)
		p->source = source_fakestore_new(&p->plan.fakestore, p->config->limit, err);
	else if (p->plan.synthetic)
		p->source = source_synthetic_new(&p->plan.generator, p->config->limit, err);
	else
		p->source = source_files_open(p->config->input, &p->format, p->config->limit, err);
	if (!p->source || !producer_set_order(p, err))
		return false;
	files = source_file_count(p->source, &ignored);
	log_info("source_opened", log_str("segment", source_segment(p->source)),
	         log_uint("files", files), log_uint("ignored_files", ignored));
	return open_feed(p, err);
}

static bool open_kafka(struct producer *p, struct err *err)
{
	const struct producer_config *config = p->config;

	if (!acks_init(&p->acks, ACKS_CAPACITY))
		return err_set(err, ERR_FATAL, "out of memory");
	if (config->registry_url[0]) {
		p->registry = registry_new(config->registry_url, 5000, err);
		if (!p->registry)
			return false;
	}
	p->sender = sender_new(&config->kafka, "producer", config->timeout_us, err);
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
	p->form.partition_count = 1;
	open_metrics(p);
	if (!producer_plan_read(p->config, &p->plan, err) || !open_source(p, err) ||
	    !producer_open_rows(p, err))
		return false;
	p->pace = (struct pace){.speed_milli = p->plan.speed_milli, .rate = p->config->rate};
	p->began_us = p->progress_us = monotonic_us();
	display_init(&p->display, p->began_us, 0);
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
	case PHASE_CONNECTING:
	case PHASE_SORTING:
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

enum step producer_step(void *state, bool stopping, struct err *err)
{
	struct producer *p = state;

	if (stopping && !p->stopped) {
		enum step step = stop_now(p, err);

		if (step != STEP_MORE)
			return step;
	}
	switch (p->phase) {
	case PHASE_CONNECTING: return producer_step_connecting(p, err);
	case PHASE_SORTING: return producer_step_sorting(p, err);
	case PHASE_SKIPPING: return producer_step_skipping(p, err);
	case PHASE_SENDING: return producer_step_sending(p, err);
	case PHASE_DRAINING: return producer_step_draining(p, err);
	case PHASE_ENDING: return producer_step_ending(p, err);
	case PHASE_CHECKING: return producer_step_checking(p, err);
	case PHASE_WRITING: return producer_step_writing(p, err);
	}
	return STEP_FAILED;
}

void producer_close(void *state)
{
	struct producer *p = state;

	if (!p)
		return;
	display_end(&p->display);
	rejects_fini(&p->rejects);
	sender_free(p->sender);
	acks_fini(&p->acks);
	registry_free(p->registry);
	feed_free(p->feed);
	source_free(p->source);
	producer_close_format(p);
	producer_close_rows(p);
	free(p);
}
