/* A small machine of phases; each step does a slice of one of them.
 *
 *   CONNECTING -> SKIPPING -> SENDING -> DRAINING -> ENDING -> finished
 *   WRITING (no Kafka: --dry-run, --output)
 *
 * No loss: the state file holds the acknowledged prefix only, so after kill -9 the rows behind it are sent again (the sink
 * removes repeats). The end of a segment is announced after every row of it was acknowledged, and the segment counts
 * as complete after the announcement was. A stop drains what was sent and keeps the rest for the next run.
 * What survives kill -9: everything; up to a second of rows is sent twice. */
#include "producer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "acks.h"
#include "base/span.h"
#include "base/timetext.h"
#include "display.h"
#include "event_clock.h"
#include "feed.h"
#include "options.h"
#include "pace.h"
#include "producer_internal.h"
#include "registry/registry.h"
#include "sender.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/monotime.h"
#include "source.h"

#define ACKS_CAPACITY 131072 /* above what the library's queue takes, so that the queue is what fills up */
#define CSV_HEADER "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"

/* ---- opening */

static FILE *open_out(const char *path, struct err *err)
{
	FILE *out = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");

	if (!out)
		err_set(err, ERR_INPUT, "%s: cannot be written: %s", path, strerror(errno));
	return out;
}

static bool open_rows_out(struct producer *p, struct err *err)
{
	const char *path = p->config->dry_run ? "-" : p->config->output[0] ? p->config->output : p->config->tee;

	if (!path[0])
		return true;
	p->rows_out = open_out(path, err);
	if (p->rows_out && !p->config->dry_run)
		fputs(CSV_HEADER, p->rows_out);
	p->form.keep_line = !p->config->dry_run;
	return p->rows_out != NULL;
}

static void open_metrics(struct producer *p)
{
	p->metrics.sent = metric_get(METRIC_COUNTER, "producer_rows_sent_total", "", "rows handed to the Kafka library");
	p->metrics.acknowledged = metric_get(METRIC_COUNTER, "producer_records_acknowledged_total", "", "records the broker has, controls among them");
	p->metrics.unsplit = metric_get(METRIC_COUNTER, "producer_rows_malformed_total", "", "rows that could not be split into their columns");
	p->metrics.event_time = metric_get(METRIC_GAUGE, "producer_event_time_seconds", "", "newest event time reached");
	p->metrics.waiting = metric_get(METRIC_GAUGE, "producer_records_waiting", "", "records sent and not yet acknowledged");
}

static bool open_source(struct producer *p, struct err *err)
{
	size_t ignored, files;

	if (p->plan.synthetic)
		p->source = source_synthetic_new(&p->plan.generator, p->config->limit, err);
	else
		p->source = source_files_new(p->config->input, p->config->limit, err);
	if (!p->source)
		return false;
	files = source_file_count(p->source, &ignored);
	log_info("source", "segment=\"%s\" files=%zu ignored_files=%zu", source_segment(p->source), files, ignored);
	p->feed = feed_new(p->source, p->plan.synthetic ? p->plan.generator.start_us : EVENT_CLOCK_EARLIEST_US, err);
	return p->feed != NULL;
}

static bool open_kafka(struct producer *p, struct err *err)
{
	const struct producer_config *config = p->config;

	if (!acks_init(&p->acks, ACKS_CAPACITY))
		return err_set(err, ERR_FATAL, "out of memory");
	if (strcmp(config->framing, "confluent") == 0) {
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

	if (strcmp(set, "none") == 0)
		return true;
	if (set[0])
		len = snprintf(p->state_path, sizeof(p->state_path), "%s", set);
	else
		len = snprintf(p->state_path, sizeof(p->state_path), ".producer-state/%s.%s.json", sender_topic(p->sender), source_segment(p->source));
	return (size_t)len < sizeof(p->state_path) || err_set(err, ERR_INPUT, "STATE_FILE: the path is too long");
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
		log_warn("former_setting", "setting=RESTART detail=\"use RESUME=false (--resume=false)\"");
		settings->resume = false;
	}
	p->form.partition_count = 1;
	open_metrics(p);
	if (!producer_plan_read(p->config, &p->plan, err) || !open_source(p, err) || !open_rows_out(p, err))
		return false;
	p->pace = (struct pace){.speed_milli = p->plan.speed_milli, .rate = p->config->rate};
	p->began_us = p->moved_us = monotonic_us();
	display_init(&p->display, p->began_us, 0);
	if (p->config->dry_run || p->config->output[0]) {
		p->phase = PHASE_WRITING;
		feed_start(p->feed, &p->form, EVENT_CLOCK_NONE, wallclock_us() + LATEST_AHEAD_US);
		return true;
	}
	return open_kafka(p, err) && state_path_of(p, err);
}

/* ---- rows as CSV, and what people see */

bool producer_write_line(struct producer *p, struct span line, struct err *err)
{
	if (fwrite(line.at, 1, line.len, p->rows_out) == line.len && putc('\n', p->rows_out) != EOF)
		return true;
	return err_set(err, ERR_FATAL, "writing rows failed: %s", strerror(errno));
}

bool producer_flush_rows(struct producer *p, struct err *err)
{
	return !p->rows_out || fflush(p->rows_out) == 0 || err_set(err, ERR_FATAL, "writing rows failed: %s", strerror(errno));
}

bool producer_paced(const struct producer *p)
{
	return p->pace.speed_milli > 0 || p->pace.rate > 0;
}

void producer_show(struct producer *p, int64_t now_us)
{
	struct display_numbers numbers = {.rows = p->sender ? p->saved.checkpoint.rows : p->sent, .event_time_us = feed_newest_us(p->feed)};

	numbers.part = source_progress(p->source, &numbers.total);
	display_show(&p->display, &numbers, now_us);
	metric_set(p->metrics.sent, p->sent);
	metric_set(p->metrics.unsplit, p->unsplit);
	if (numbers.event_time_us != EVENT_CLOCK_NONE)
		metric_set(p->metrics.event_time, numbers.event_time_us / US_PER_SECOND);
}

void producer_summarise(struct producer *p, const char *event, const char *detail)
{
	double seconds = (double)(monotonic_us() - p->began_us) / 1e6;

	display_end(&p->display);
	log_info(event, "segment=\"%s\" rows=%lld malformed=%lld seconds=%.1f rate=%lld segment_rows=%lld detail=\"%s\"", source_segment(p->source),
	         (long long)p->sent, (long long)p->unsplit, seconds, (long long)(seconds > 0 ? (double)p->sent / seconds : 0),
	         (long long)p->saved.checkpoint.rows, detail);
}

/* ---- the service's callbacks */

static enum step stop_now(struct producer *p, struct err *err)
{
	p->stopped = true;
	p->stop_us = monotonic_us();
	switch (p->phase) {
	case PHASE_CONNECTING:
	case PHASE_SKIPPING: log_info("interrupted", "detail=\"nothing was sent\""); return STEP_DONE;
	case PHASE_WRITING: producer_summarise(p, "interrupted", "the output is cut here"); return producer_flush_rows(p, err) ? STEP_DONE : STEP_FAILED;
	case PHASE_SENDING: p->phase = PHASE_DRAINING; break;
	case PHASE_DRAINING: /* the rows are all sent: a stop now only ends the segment earlier than its end */
	case PHASE_ENDING: break;
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
	case PHASE_SKIPPING: return producer_step_skipping(p, err);
	case PHASE_SENDING: return producer_step_sending(p, err);
	case PHASE_DRAINING: return producer_step_draining(p, err);
	case PHASE_ENDING: return producer_step_ending(p, err);
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
	sender_free(p->sender);
	acks_fini(&p->acks);
	registry_free(p->registry);
	feed_free(p->feed);
	source_free(p->source);
	if (p->rows_out && p->rows_out != stdout)
		fclose(p->rows_out);
	free(p);
}
