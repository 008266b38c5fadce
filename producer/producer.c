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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "display.h"
#include "feed.h"
#include "log.h"
#include "metrics.h"
#include "options.h"
#include "pace.h"
#include "registry.h"
#include "sender.h"
#include "state_file.h"
#include "timetext.h"

#define SLICE_US INT64_C(50000)
#define SLICE_ROWS 256
#define ACKS_CAPACITY 131072 /* above what the library's queue takes, so that the queue is what fills up */
#define SAVE_EVERY_US INT64_C(1000000)
#define STALLED_US INT64_C(10000000)
#define STOP_DRAIN_US INT64_C(10000000)
#define SKIP_ROWS 100000
#define LATEST_AHEAD_US US_PER_DAY
#define CSV_HEADER "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"

enum phase { PHASE_CONNECTING, PHASE_SKIPPING, PHASE_SENDING, PHASE_DRAINING, PHASE_ENDING, PHASE_WRITING };

struct control {
	const char *kind; /* NULL: none to send */
	int64_t time_us;
	int32_t next_partition;
	bool anchors; /* the replay clock begins anew with it */
};

struct producer {
	const struct producer_config *config;
	struct producer_plan plan;
	struct source *source;
	struct feed *feed;
	struct sender *sender;
	struct registry *registry;
	struct acks acks;
	struct saved_state saved; /* its checkpoint is the acknowledged prefix */
	struct message_form form;
	struct pace pace;
	struct control control;
	struct display display;
	enum phase phase;
	int64_t skip;
	char state_path[1024]; /* "": none */
	FILE *rows_out;        /* --tee, --output, --dry-run */
	bool stopped, unreachable_told, stalled_told;
	int64_t sent, unsplit, began_us, saved_us, saved_rows, stop_us, moved_us, moved_acks;
	struct {
		struct metric *sent, *acknowledged, *unsplit, *event_time, *waiting;
	} metrics;
};

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
	struct producer *p = calloc(1, sizeof(*p));

	if (!p)
		return err_set(err, ERR_FATAL, "out of memory");
	*state = p;
	p->config = config;
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

/* ---- the state file */

static bool save(struct producer *p, bool complete, struct err *err)
{
	p->saved.complete = complete;
	p->saved_us = monotonic_us();
	p->saved_rows = p->saved.checkpoint.rows;
	return !p->state_path[0] || state_file_write(p->state_path, &p->saved, err);
}

/* The checks that the saved prefix is about this topic as it is now. */
static bool state_fits(struct producer *p, const struct saved_state *state, int32_t partition_count, struct err *err)
{
	const char *segment = source_segment(p->source);

	if (strcmp(state->segment, segment) != 0 || strcmp(state->topic, sender_topic(p->sender)) != 0)
		return err_set(err, ERR_REFUSE, "%s belongs to segment %s of topic %s, not to %s of %s; use another STATE_FILE, or --restart", p->state_path,
		               state->segment, state->topic, segment, sender_topic(p->sender));
	if (state->checkpoint.partition_count != partition_count || strcmp(state->cluster, sender_cluster(p->sender)) != 0)
		return err_set(err, ERR_REFUSE, "%s is about another cluster, or topic %s has another number of partitions (%d) now; --restart begins anew",
		               p->state_path, state->topic, (int)partition_count);
	for (int32_t i = 0; i < partition_count; i++) {
		int64_t last_offset = state->checkpoint.partitions[i].last_offset;
		bool reaches;

		if (last_offset < 0)
			continue;
		if (!sender_log_reaches(p->sender, i, last_offset, &reaches, err))
			return false;
		if (!reaches)
			return err_set(err, ERR_REFUSE, "topic %s was made anew since (partition %d ends before offset %lld); --restart sends the input from its beginning",
			               state->topic, (int)i, (long long)last_offset);
	}
	return true;
}

static bool load_state(struct producer *p, int32_t partition_count, struct err *err)
{
	struct saved_state *found = NULL;
	bool good = true;

	checkpoint_init(&p->saved.checkpoint, partition_count);
	snprintf(p->saved.segment, sizeof(p->saved.segment), "%s", source_segment(p->source));
	snprintf(p->saved.topic, sizeof(p->saved.topic), "%s", sender_topic(p->sender));
	snprintf(p->saved.cluster, sizeof(p->saved.cluster), "%s", sender_cluster(p->sender));
	if (!p->state_path[0] || !p->config->resume || p->config->restart)
		return true;
	found = calloc(1, sizeof(*found));
	if (!found)
		return err_set(err, ERR_FATAL, "out of memory");
	switch (state_file_read(p->state_path, found, err)) {
	case STATE_NONE: break;
	case STATE_UNREADABLE: good = false; break;
	case STATE_FOUND:
		if (found->complete)
			break;
		good = state_fits(p, found, partition_count, err);
		if (good)
			p->saved = *found;
	}
	free(found);
	return good;
}

/* ---- connecting and skipping */

static void begin_sending(struct producer *p)
{
	int64_t total;

	feed_start(p->feed, &p->form, p->saved.checkpoint.newest_us, wallclock_us() + LATEST_AHEAD_US);
	p->began_us = p->moved_us = monotonic_us();
	display_init(&p->display, p->began_us, source_progress(p->source, &total));
	p->display.shown_rows = p->saved.checkpoint.rows;
	p->phase = PHASE_SENDING;
	health_ready(NULL);
}

static bool resume(struct producer *p, struct err *err)
{
	const struct checkpoint *checkpoint = &p->saved.checkpoint;

	if (checkpoint->rows == 0)
		return true;
	log_info("resumed", "segment=\"%s\" rows=%lld file=%d row=%lld", p->saved.segment, (long long)checkpoint->rows,
	         (int)checkpoint->position.file + 1, (long long)checkpoint->position.row);
	return source_resume(p->source, &checkpoint->position, checkpoint->rows, &p->skip, err);
}

static bool begin_segment(struct producer *p, struct err *err)
{
	int32_t partition_count;

	if (!sender_connect(p->sender, 500, &partition_count, err))
		return false;
	if (p->registry && !registry_register(p->registry, p->config->kafka.topic_prefix, SCHEMA_RAW, &p->form.schema_id, err))
		return false;
	p->form.partition_count = partition_count;
	if (!load_state(p, partition_count, err) || !save(p, false, err) || !resume(p, err))
		return false;
	log_info("sending", "segment=\"%s\" topic=%s partitions=%d state_file=\"%s\"", p->saved.segment, p->saved.topic, (int)partition_count,
	         p->state_path);
	p->phase = PHASE_SKIPPING;
	return true;
}

static enum step step_connecting(struct producer *p, struct err *err)
{
	if (begin_segment(p, err))
		return STEP_MORE;
	if (err->class != ERR_RETRY)
		return STEP_FAILED;
	if (p->config->timeout_us > 0 && monotonic_us() - p->began_us > p->config->timeout_us)
		return STEP_FAILED;
	if (!p->unreachable_told)
		log_warn("waiting", "detail=\"%s; trying on\"", err->message);
	p->unreachable_told = true;
	health_ready(err->message);
	if (!sender_poll(p->sender, 100, err))
		return STEP_FAILED;
	return STEP_MORE;
}

static bool write_line(struct producer *p, struct span line, struct err *err)
{
	if (fwrite(line.at, 1, line.len, p->rows_out) == line.len && putc('\n', p->rows_out) != EOF)
		return true;
	return err_set(err, ERR_FATAL, "writing rows failed: %s", strerror(errno));
}

/* The tee holds all rows of the segment, so those of the earlier run are written to it again. */
static enum step step_skipping(struct producer *p, struct err *err)
{
	struct row row;

	for (int i = 0; i < SKIP_ROWS && p->skip > 0; i++, p->skip--) {
		switch (source_next(p->source, &row, err)) {
		case SOURCE_ROW: break;
		case SOURCE_END: err_set(err, ERR_REFUSE, "the input has fewer rows than were sent of it; --restart begins anew"); return STEP_FAILED;
		case SOURCE_FAILED: return STEP_FAILED;
		}
		if (p->rows_out && !write_line(p, row.raw, err))
			return STEP_FAILED;
	}
	if (p->skip == 0)
		begin_sending(p);
	return STEP_MORE;
}

/* ---- sending */

enum sent { SENT, SENT_LATER /* its time has not come */, SENT_FULL, SENT_ALL, SENT_FAILED };

static enum sent as_sent(enum send_verdict verdict)
{
	switch (verdict) {
	case SEND_TAKEN: return SENT;
	case SEND_FULL: return SENT_FULL;
	case SEND_FAILED: return SENT_FAILED;
	}
	return SENT_FAILED;
}

static struct ack *push_ack(struct producer *p, int32_t partition, bool is_row)
{
	struct ack *ack = acks_push(&p->acks);

	if (ack) {
		ack->partition = partition;
		ack->is_row = is_row;
		ack->newest_us = feed_newest_us(p->feed);
	}
	return ack;
}

static enum sent send_record(struct producer *p, int32_t partition, struct span key, struct span value, const struct sender_header *headers,
                             size_t header_count, const struct row_position *position, struct err *err)
{
	struct ack *ack = push_ack(p, partition, position != NULL);
	enum sent sent;

	if (!ack)
		return SENT_FULL;
	if (position)
		ack->position = *position;
	sent = as_sent(sender_send(p->sender, partition, key, value, headers, header_count, ack, err));
	if (sent != SENT)
		acks_unpush(&p->acks);
	return sent;
}

/* The control to the partitions that do not have it yet. The time is never beyond the present. */
static enum sent send_control(struct producer *p, struct err *err)
{
	struct control *control = &p->control;
	int64_t now_us = wallclock_us();
	char text[32];

	for (; control->next_partition < p->form.partition_count; control->next_partition++) {
		bool is_end = strcmp(control->kind, "end") == 0;
		struct sender_header headers[] = {{"control", span_of(control->kind)}, {"segment", span_of(p->saved.segment)}, {"event_time", SPAN_NULL}};
		enum sent sent;

		if (is_end) {
			headers[2].name = "rows";
			snprintf(text, sizeof(text), "%lld", (long long)p->saved.checkpoint.partitions[control->next_partition].rows);
		} else {
			time_format_iso(control->time_us < now_us ? control->time_us : now_us, text);
		}
		headers[2].value = span_of(text);
		sent = send_record(p, control->next_partition, SPAN_NULL, SPAN_NULL, headers, 3, NULL, err);
		if (sent != SENT)
			return sent;
	}
	if (control->anchors)
		pace_anchor(&p->pace, control->time_us, monotonic_us());
	control->kind = NULL;
	return SENT;
}

static size_t decimal(int64_t number, char out[20])
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	memcpy(out, digits + at, sizeof(digits) - at);
	return sizeof(digits) - at;
}

static enum sent send_message(struct producer *p, const struct message *message, struct err *err)
{
	char row[20];
	struct sender_header headers[3] = {{"source_file", span_of(message->source_file)},
	                                   {"source_row", {row, decimal(message->position.row, row)}},
	                                   {"source_error", span_of(message->error)}};

	return send_record(p, message->partition, message->key, message->value, headers, message->error[0] ? 3 : 2, &message->position, err);
}

static bool paced(const struct producer *p)
{
	return p->pace.speed_milli > 0 || p->pace.rate > 0;
}

/* The next control or row. */
static enum sent send_next(struct producer *p, int64_t *wait_us, struct err *err)
{
	const struct message *message = feed_message(p->feed);
	int64_t time_us;
	enum sent sent;

	if (p->control.kind) {
		sent = send_control(p, err);
		if (sent != SENT)
			return sent;
	}
	if (!message)
		return SENT_ALL;
	switch (feed_announce(p->feed, &time_us)) {
	case FEED_BEGIN: p->control = (struct control){"begin", time_us, 0, true}; return SENT;
	case FEED_JUMP: p->control = (struct control){"jump", time_us, 0, true}; return SENT;
	case FEED_NOTHING: break;
	}
	if (paced(p) && (*wait_us = pace_wait_us(&p->pace, feed_newest_us(p->feed), monotonic_us())) > 0)
		return SENT_LATER;
	sent = send_message(p, message, err);
	if (sent != SENT)
		return sent;
	if (p->rows_out && !write_line(p, message->line, err))
		return SENT_FAILED;
	if (paced(p))
		pace_sent(&p->pace, monotonic_us());
	p->sent++;
	p->unsplit += message->error[0] != 0;
	feed_advance(p->feed);
	return SENT;
}

static void tell_stalled(struct producer *p, int64_t now_us)
{
	int64_t acknowledged = sender_acknowledged(p->sender);

	if (acknowledged != p->moved_acks || acks_waiting(&p->acks) == 0) {
		if (p->stalled_told)
			log_info("broker_back", "acknowledged=%lld", (long long)acknowledged);
		p->stalled_told = false;
		p->moved_acks = acknowledged;
		p->moved_us = now_us;
	} else if (now_us - p->moved_us > STALLED_US && !p->stalled_told) {
		log_warn("broker_silent", "waiting=%llu detail=\"no acknowledgement for 10 s; trying on, nothing is lost\"",
		         (unsigned long long)acks_waiting(&p->acks));
		sender_tell_partitions(p->sender);
		p->stalled_told = true;
	}
}

static void show(struct producer *p, int64_t now_us)
{
	struct display_numbers numbers = {.rows = p->sender ? p->saved.checkpoint.rows : p->sent, .event_time_us = feed_newest_us(p->feed)};

	numbers.part = source_progress(p->source, &numbers.total);
	display_show(&p->display, &numbers, now_us);
	metric_set(p->metrics.sent, p->sent);
	metric_set(p->metrics.unsplit, p->unsplit);
	if (numbers.event_time_us != EVENT_CLOCK_NONE)
		metric_set(p->metrics.event_time, numbers.event_time_us / US_PER_SECOND);
}

/* Acknowledgements, state file, display: between slices of rows. */
static bool serve(struct producer *p, int timeout_ms, struct err *err)
{
	int64_t now_us;

	if (!sender_poll(p->sender, timeout_ms, err))
		return false;
	now_us = monotonic_us();
	acks_advance(&p->acks, &p->saved.checkpoint);
	tell_stalled(p, now_us);
	metric_set(p->metrics.acknowledged, sender_acknowledged(p->sender));
	metric_set(p->metrics.waiting, (int64_t)acks_waiting(&p->acks));
	show(p, now_us);
	return p->saved_rows == p->saved.checkpoint.rows || now_us - p->saved_us < SAVE_EVERY_US || save(p, false, err);
}

/* Whole milliseconds are spent serving the library, the rest asleep. */
static bool wait_for_row(struct producer *p, int64_t wait_us, struct err *err)
{
	struct timespec nap = {0, 500000};

	if (wait_us >= 1000)
		return serve(p, (int)(wait_us < 100000 ? wait_us / 1000 : 100), err);
	nanosleep(&nap, NULL);
	return serve(p, 0, err);
}

static enum step step_sending(struct producer *p, struct err *err)
{
	int64_t until_us = monotonic_us() + SLICE_US, wait_us = 0;

	do {
		enum sent sent = SENT;

		for (int i = 0; i < SLICE_ROWS && sent == SENT; i++)
			sent = send_next(p, &wait_us, err);
		switch (sent) {
		case SENT:
			if (!serve(p, 0, err))
				return STEP_FAILED;
			break;
		case SENT_LATER: return wait_for_row(p, wait_us, err) ? STEP_MORE : STEP_FAILED;
		case SENT_FULL: return serve(p, 10, err) ? STEP_MORE : STEP_FAILED;
		case SENT_ALL: p->phase = PHASE_DRAINING; return STEP_MORE;
		case SENT_FAILED: return STEP_FAILED;
		}
	} while (monotonic_us() < until_us);
	return STEP_MORE;
}

/* ---- draining and ending */

static void summarise(struct producer *p, const char *event, const char *detail)
{
	double seconds = (double)(monotonic_us() - p->began_us) / 1e6;

	display_end(&p->display);
	log_info(event, "segment=\"%s\" rows=%lld malformed=%lld seconds=%.1f rate=%lld segment_rows=%lld detail=\"%s\"", source_segment(p->source),
	         (long long)p->sent, (long long)p->unsplit, seconds, (long long)(seconds > 0 ? (double)p->sent / seconds : 0),
	         (long long)p->saved.checkpoint.rows, detail);
}

static bool flush_rows_out(struct producer *p, struct err *err)
{
	return !p->rows_out || fflush(p->rows_out) == 0 || err_set(err, ERR_FATAL, "writing rows failed: %s", strerror(errno));
}

static enum step finish(struct producer *p, bool complete, const char *event, const char *detail, struct err *err)
{
	bool good = save(p, complete, err) && flush_rows_out(p, err);

	summarise(p, event, detail);
	return good ? STEP_DONE : STEP_FAILED;
}

static enum step finish_stopped(struct producer *p, struct err *err)
{
	return finish(p, false, "interrupted",
	              p->state_path[0] ? "the same command goes on from here; add --restart to begin anew" : "there is no state file to go on from", err);
}

/* False: still waiting. */
static enum step drained(struct producer *p, struct err *err)
{
	if (p->stopped)
		return finish_stopped(p, err);
	if (!feed_ended_well(p->feed, err)) {
		struct err unsaved;

		if (!save(p, false, &unsaved))
			log_warn("state_file", "detail=\"%s\"", unsaved.message);
		summarise(p, "input_failed", "what could be read was sent");
		return STEP_FAILED;
	}
	if (!source_whole(p->source))
		return finish(p, true, "finished", "stopped at LIMIT; the segment was not ended", err);
	p->control = (struct control){"end", 0, 0, false};
	p->phase = PHASE_ENDING;
	return STEP_MORE;
}

/* Whether a stop has waited long enough for a broker that does not answer. */
static bool gave_up(struct producer *p, struct err *err)
{
	struct err unsaved;

	if (p->stop_us == 0 || monotonic_us() - p->stop_us < STOP_DRAIN_US)
		return false;
	if (!save(p, false, &unsaved))
		log_warn("state_file", "detail=\"%s\"", unsaved.message);
	err_set(err, ERR_RETRY, "stopped with %llu records not acknowledged; the same command sends them again",
	        (unsigned long long)acks_waiting(&p->acks));
	return true;
}

static enum step step_draining(struct producer *p, struct err *err)
{
	if (!serve(p, 20, err))
		return STEP_FAILED;
	if (acks_waiting(&p->acks) == 0)
		return drained(p, err);
	return gave_up(p, err) ? STEP_FAILED : STEP_MORE;
}

static enum step step_ending(struct producer *p, struct err *err)
{
	enum sent sent = p->control.kind ? send_control(p, err) : SENT;

	if (sent == SENT_FAILED || !serve(p, 20, err))
		return STEP_FAILED;
	if (!p->control.kind && acks_waiting(&p->acks) == 0)
		return finish(p, true, "finished", "all rows are acknowledged and the segment is ended", err);
	return gave_up(p, err) ? STEP_FAILED : STEP_MORE;
}

/* ---- without Kafka */

static enum step step_writing(struct producer *p, struct err *err)
{
	for (int i = 0; i < SKIP_ROWS; i++) {
		const struct message *message = feed_message(p->feed);

		if (!message) {
			if (!flush_rows_out(p, err) || !feed_ended_well(p->feed, err))
				return STEP_FAILED;
			summarise(p, "finished", "written, not sent");
			return STEP_DONE;
		}
		if (paced(p)) {
			int64_t now_us = monotonic_us(), wait_us;

			if (!p->pace.anchored)
				pace_anchor(&p->pace, feed_newest_us(p->feed), now_us);
			wait_us = pace_wait_us(&p->pace, feed_newest_us(p->feed), now_us);
			if (wait_us > 0) {
				struct timespec nap = {0, (wait_us < 100000 ? wait_us : 100000) * 1000};

				fflush(p->rows_out);
				nanosleep(&nap, NULL);
				return STEP_MORE;
			}
			pace_sent(&p->pace, now_us);
		}
		if (!write_line(p, p->config->dry_run ? message->value : message->line, err))
			return STEP_FAILED;
		p->sent++;
		p->unsplit += message->error[0] != 0;
		feed_advance(p->feed);
	}
	show(p, monotonic_us());
	return STEP_MORE;
}

/* ---- the service's callbacks */

static enum step stop_now(struct producer *p, struct err *err)
{
	p->stopped = true;
	p->stop_us = monotonic_us();
	switch (p->phase) {
	case PHASE_CONNECTING:
	case PHASE_SKIPPING: log_info("interrupted", "detail=\"nothing was sent\""); return STEP_DONE;
	case PHASE_WRITING: summarise(p, "interrupted", "the output is cut here"); return flush_rows_out(p, err) ? STEP_DONE : STEP_FAILED;
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
	case PHASE_CONNECTING: return step_connecting(p, err);
	case PHASE_SKIPPING: return step_skipping(p, err);
	case PHASE_SENDING: return step_sending(p, err);
	case PHASE_DRAINING: return step_draining(p, err);
	case PHASE_ENDING: return step_ending(p, err);
	case PHASE_WRITING: return step_writing(p, err);
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
