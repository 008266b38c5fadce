/* Where a run begins. Checks the state file of an earlier run against the topic, and skips the rows
 * of the input that this run does not need to send. */
#include "producer_resume.h"

#include <stdlib.h>
#include <string.h>

#include "acks.h"
#include "base/timetext.h"
#include "display.h"
#include "event/clock.h"
#include "feed.h"
#include "producer_check.h"
#include "producer_output.h"
#include "producer_schedule.h"
#include "registry/registry.h"
#include "row.h"
#include "run_state.h"
#include "selection.h"
#include "sender.h"
#include "service/fault.h"
#include "service/health.h"
#include "service/log.h"
#include "service/monotime.h"
#include "source.h"
#include "state_file.h"
#include "topic_clock.h"
#include "wire/schemas.h"

/* ---- the state file */

bool producer_save(struct producer *p, bool complete, struct err *err)
{
	p->saved.complete = complete;
	p->saved_us = monotonic_us();
	p->saved_rows = p->saved.checkpoint.rows;
	FAULT_POINT("before_save");
	if (p->state_path[0] && !state_file_write(p->state_path, &p->saved, err))
		return false;
	FAULT_POINT("after_save");
	return true;
}

/* Checks that the saved prefix belongs to this topic as it is now. */
static bool state_fits(struct producer *p, const struct saved_state *state, int32_t partition_count,
                       struct err *err)
{
	const char *segment = source_segment(p->source);

	if (strcmp(state->segment, segment) != 0 ||
	    strcmp(state->topic, sender_topic(p->sender)) != 0)
		return err_set(
			err, ERR_OPERATOR,
			"%s belongs to segment %s of topic %s, and this run is segment %s of "
			"topic %s; use another STATE_FILE, or --resume=false to start again",
			p->state_path, state->segment, state->topic, segment,
			sender_topic(p->sender));
	if (state->checkpoint.partition_count != partition_count ||
	    strcmp(state->cluster, sender_cluster(p->sender)) != 0)
		return err_set(
			err, ERR_OPERATOR,
			"%s was written for another cluster or for %d partitions, and topic %s has "
			"%d partitions; --resume=false sends the input from its beginning",
			p->state_path, (int)state->checkpoint.partition_count, state->topic,
			(int)partition_count);
	for (int32_t i = 0; i < partition_count; i++) {
		int64_t last_offset = state->checkpoint.partitions[i].last_offset;
		bool reaches;

		if (last_offset < 0)
			continue;
		if (!sender_log_reaches(p->sender, i, last_offset, &reaches, err))
			return false;
		if (!reaches)
			return err_set(
				err, ERR_OPERATOR,
				"topic %s was deleted and created again since %s was written "
				"(partition %d ends before offset %lld); --resume=false sends the "
				"input from its beginning",
				state->topic, p->state_path, (int)i, (long long)last_offset);
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
	p->saved.shift_us = SHIFT_NOT_CHOSEN;
	if (!p->state_path[0] || !p->resume)
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

/* ---- connecting, scanning and skipping */

static bool topic_is_later(const struct producer *p, int64_t first_us, struct err *err)
{
	char first[32], newest[32], horizon[32];

	time_format_iso(first_us, first);
	time_format_iso(p->topic_newest_us, newest);
	duration_format(p->config->dedup_horizon_us, horizon);
	return err_set(
		err, ERR_OPERATOR,
		"the first row has the event time %s, and topic %s has events up to %s, more than "
		"DEDUP_HORIZON=%s later: rows that old become dead letters "
		"(too_late_to_deduplicate). Nothing was sent. --replay sends them; another "
		"TOPIC_PREFIX processes them separately",
		first, sender_topic(p->sender), newest, horizon);
}

/* A set of topics has either history or present events. False: the topic's events are so late that
 * bronze-sink would refuse the rows of this run. */
static bool times_fit(const struct producer *p, struct err *err)
{
	int64_t first_us = feed_clock_us(p->feed);

	return p->topic_newest_us == TOPIC_CLOCK_NONE || first_us == CLOCK_NONE ||
	       first_us >= p->topic_newest_us - p->config->dedup_horizon_us ||
	       topic_is_later(p, first_us, err);
}

int64_t producer_latest_us(const struct producer *p)
{
	return p->selection.config.shift == SHIFT_FIRST ? INT64_MAX
	                                                : wallclock_us() + LATEST_AHEAD_US;
}

bool producer_start_feed(struct producer *p, const struct source_clock_state *resumed,
                         struct err *err)
{
	feed_set_latest(p->feed, producer_latest_us(p));
	return feed_start(p->feed, &p->form, resumed, err);
}

static bool begin_sending(struct producer *p, struct err *err)
{
	const struct checkpoint *checkpoint = &p->saved.checkpoint;
	int64_t total;

	if (!producer_start_feed(p, checkpoint->rows > 0 ? &checkpoint->clock : NULL, err) ||
	    !times_fit(p, err))
		return false;
	p->began_us = p->progress_us = monotonic_us();
	display_init(&p->display, p->began_us, source_progress(p->source, &total));
	p->display.shown_rows = p->saved.checkpoint.rows;
	producer_schedule_name(p, p->display.run, sizeof(p->display.run));
	p->phase = PHASE_SENDING;
	health_ready(NULL);
	return true;
}

static bool resume(struct producer *p, struct err *err)
{
	const struct checkpoint *checkpoint = &p->saved.checkpoint;

	if (checkpoint->rows == 0)
		return true;
	log_info("resumed", log_str("segment", p->saved.segment), log_int("rows", checkpoint->rows),
	         log_int("file", (int64_t)checkpoint->position.file + 1),
	         log_int("row", checkpoint->position.row));
	return source_resume(p->source, &checkpoint->position, checkpoint->rows, &p->skip, err);
}

/* A run that begins needs the newest event time of the topic; a run that continues does not. A
 * producer may not have the right to read the topic. */
static bool read_topic_clock(struct producer *p, int32_t partition_count, struct err *err)
{
	p->topic_newest_us = TOPIC_CLOCK_NONE;
	if (p->config->replay || p->saved.checkpoint.rows > 0 ||
	    topic_clock_read(&p->config->kafka, sender_client(p->sender), sender_topic(p->sender),
	                     partition_count, &p->topic_newest_us, err))
		return true;
	if (err->class != ERR_OPERATOR)
		return false;
	log_warn("topic_clock_unknown", log_str("error", err->message),
	         log_str("detail",
	                 "cannot check whether rows are too old for the topic before they are "
	                 "sent"));
	return true;
}

/* Plain values need no schema id, so a registry that is away does not hold back a replay. */
static bool register_contract(struct producer *p, struct err *err)
{
	bool framed = strcmp(p->config->framing, "confluent") == 0;
	int32_t schema_id;

	if (!p->registry)
		return true;
	if (registry_register(p->registry, p->config->kafka.topic_prefix, SCHEMA_RAW, &schema_id,
	                      err)) {
		p->form.schema_id = framed ? schema_id : 0;
		return true;
	}
	if (framed)
		return false;
	if (err->class != ERR_RETRY)
		return err_prefix(err, "the schema of the raw topic cannot be registered (without "
		                       "SCHEMA_REGISTRY_URL, FRAMING=plain sends without it)");
	log_warn("schema_not_registered", log_str("error", err->message),
	         log_str("detail", "FRAMING=plain continues without it; the next run registers the "
	                           "schema of the raw topic"));
	return true;
}

static bool begin_segment(struct producer *p, struct err *err)
{
	int32_t partition_count;

	if (!sender_connect(p->sender, 500, &partition_count, err))
		return false;
	if (!register_contract(p, err))
		return false;
	p->form.partition_count = partition_count;
	if (!producer_check_begin(p, err) || !load_state(p, partition_count, err) ||
	    !read_topic_clock(p, partition_count, err))
		return false;
	log_info("sending", log_str("segment", p->saved.segment), log_str("topic", p->saved.topic),
	         log_int("partitions", partition_count), log_str("state_file", p->state_path));
	if (p->saved.shift_us != SHIFT_NOT_CHOSEN)
		p->selection.shift_us = p->saved.shift_us;
	p->phase = PHASE_SORTING;
	return producer_save(p, false, err) && resume(p, err) &&
	       producer_schedule_note(p, RUN_RUNNING, err);
}

enum step producer_step_connecting(struct producer *p, struct err *err)
{
	if (begin_segment(p, err))
		return STEP_MORE;
	if (err->class != ERR_RETRY)
		return STEP_FAILED;
	if (p->config->timeout_us > 0 && monotonic_us() - p->began_us > p->config->timeout_us)
		return STEP_FAILED;
	if (!p->unreachable_reported)
		log_warn("retrying", log_str("phase", "open"), log_str("error", err->message));
	p->unreachable_reported = true;
	health_ready(err->message);
	if (!sender_poll(p->sender, 100, err))
		return STEP_FAILED;
	return STEP_MORE;
}

static enum step scanned(struct producer *p, struct err *err)
{
	char shift[32];

	if (!selection_set_shift(&p->selection, wallclock_us(), err))
		return STEP_FAILED;
	p->saved.shift_us = p->selection.shift_us;
	snprintf(shift, sizeof(shift), "%lld", (long long)(p->selection.shift_us / US_PER_SECOND));
	log_info("shift_chosen", log_str("segment", source_segment(p->source)),
	         log_str("seconds", shift));
	if (!source_restart(p->source, false, err))
		return STEP_FAILED;
	if (p->sender && !producer_save(p, false, err))
		return STEP_FAILED;
	return STEP_MORE;
}

/* The rows are ready: skips those that were sent, or writes them. */
static enum step ready(struct producer *p, struct err *err)
{
	p->phase = p->sender ? PHASE_SKIPPING : PHASE_WRITING;
	return p->sender || producer_start_feed(p, NULL, err) ? STEP_MORE : STEP_FAILED;
}

enum step producer_step_scanning(struct producer *p, struct err *err)
{
	struct row row;

	if (!selection_needs_scan(&p->selection) || p->saved.shift_us != SHIFT_NOT_CHOSEN)
		return ready(p, err);
	if (!p->selection.scanning && !source_restart(p->source, true, err))
		return STEP_FAILED;
	if (p->sender && !sender_poll(p->sender, 0, err))
		return STEP_FAILED;
	for (int i = 0; i < SKIP_ROWS && !selection_has_scanned(&p->selection); i++)
		switch (source_next(p->source, &row, err)) {
		case SOURCE_ROW: break;
		case SOURCE_END: return scanned(p, err);
		case SOURCE_FAILED: return STEP_FAILED;
		}
	return selection_has_scanned(&p->selection) ? scanned(p, err) : STEP_MORE;
}

/* The file of TEE holds all rows of the segment, so the rows of the earlier run are written
 * again. */
enum step producer_step_skipping(struct producer *p, struct err *err)
{
	struct row row;

	for (int i = 0; i < SKIP_ROWS && p->skip > 0; i++, p->skip--) {
		switch (source_next(p->source, &row, err)) {
		case SOURCE_ROW: break;
		case SOURCE_END:
			err_set(err, ERR_OPERATOR,
			        "the input has fewer rows than an earlier run has sent; "
			        "--resume=false sends the input from its beginning");
			return STEP_FAILED;
		case SOURCE_FAILED: return STEP_FAILED;
		}
		if (p->rows_out && !producer_write_line(p, row.raw, err))
			return STEP_FAILED;
	}
	if (p->skip == 0 && !begin_sending(p, err))
		return STEP_FAILED;
	return STEP_MORE;
}
