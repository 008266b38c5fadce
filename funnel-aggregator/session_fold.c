/* Per record: the clock, the lateness, one accumulator per rollup and window, the visit. Per
 * commit: each changed accumulator (as a partial) and each changed visit, once; and a progress
 * record if the watermark has crossed a window boundary.
 *
 * A window that the watermark has passed is freed after the next flush, because its last changes
 * may not be emitted yet. A restore emits nothing: it calls discard_changes instead of the flush.
 * Texts are kept as long as an open window or an open visit may refer to them: see keep_from_us.
 *
 * A rollup that is added to a running deployment counts from the first window that begins after all
 * events seen so far. So this partition counts each of its windows completely. since_us has the
 * start of that window. Other partitions start at other windows, or still run with the former list.
 * Only the merge half can know which windows all partitions count. So each partition announces its
 * rollups and their start times to the merge half, by a control record.
 *
 * The announcement waits for the first commit that has a record of this partition. That commit also
 * has the restore metadata of this partition, with the announced start times. So both are committed
 * together, and a restored fold knows what it has announced.
 *
 * Buyers (measures.buying_view_sessions and the two after it) were added by a later version.
 * Restore metadata of an older program has no start time for them. Then they are counted from the
 * first window that begins after all events seen so far, like an added rollup. Older windows keep
 * NOT_COUNTED, although the replay could count them, because the partials of groups without further
 * events are from the older program. Their start time is one more entry of the start times. An
 * older program ignores this entry and does not write it. The start time is not announced, because
 * a total is NOT_COUNTED if one of its partials is. */
#include "session_fold.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/interner.h"
#include "base/memory.h"
#include "base/span.h"
#include "base/timetext.h"
#include "event/clock.h"
#include "event/event.h"
#include "event/pseudonym.h"
#include "event/reason.h"
#include "open_windows.h"
#include "stream/control.h"
#include "stream/dead_letter.h"
#include "stream/outbox.h"
#include "stream/record.h"
#include "visits.h"
#include "wire/record_keys.h"
#include "wire/records_aggregate.h"
#include "wire/records_bronze.h"
#include "wire/records_cart.h"
#include "wire/records_counts.h"
#include "wire/records_visit.h"
#include "wire/schemas.h"
#include "wire/topics.h"

#define SINCE_EVER        ROLLUP_SINCE_EVER
#define SINCE_PENDING     INT64_MAX /* a rollup was added; fold_restored sets its start */
#define BUYERS            "buyers"  /* not a rollup, whose name has a colon */
#define NO_WATERMARK      INT64_MIN
#define DISCARD_RECORDS   8192 /* a restore discards changes each time it has applied this many */
#define LATE_FOR_MAX      1024
#define SOURCE_SUFFIX_MAX 16

struct accumulator_at {
	struct open_window *window;
	uint32_t accumulator; /* index in the window */
};

struct session_fold {
	const struct session_fold_config *config;
	int32_t partition;
	char source_suffix[SOURCE_SUFFIX_MAX]; /* "|3": the end of the keys of this source */
	size_t source_suffix_len;
	struct partition_clock clock;
	/* Newest time of an event. The clock may be before it. A restore finds it again: the
	 * windows of such an event are open, so the restore applies its record. */
	int64_t newest_us;
	int64_t watermark_us;
	int64_t keep_from_us; /* texts whose last use is before this may be evicted */
	int64_t boundary_us;  /* a progress record goes out when the watermark crosses a multiple */
	int64_t progress_us;  /* the boundary in the last progress record */
	int64_t next_close_us; /* watermark at which the next window closes */
	bool idle_announced;   /* no event since the last idle progress record */
	bool announce_rollups; /* our start times differ from the announced ones */
	bool applied;          /* a record was applied since the start or the restore */
	/* Start times of the last announcement; empty if there was none. */
	char announced[FOLD_START_TIMES_MAX];
	struct interner sessions, groups;
	struct visits *visits;
	struct open_window **windows;
	uint32_t window_count, window_capacity;
	struct open_window *recent[ROLLUP_MAX];
	int64_t since_us[ROLLUP_MAX];
	int64_t buyers_since_us; /* windows that begin before this do not count buyers */
	struct accumulator_at *changed;
	uint32_t changed_count, changed_capacity;
	struct accumulator_at *targets; /* of the event that is applied */
	uint32_t target_count, target_capacity;
	uint32_t undiscarded_records; /* applied by a restore since the last discard_changes */
	struct buffer value;
};

static int64_t gcd(int64_t a, int64_t b)
{
	return b ? gcd(b, a % b) : a;
}

static void *fold_new(const void *config, int32_t partition)
{
	struct session_fold *fold = xrealloc(NULL, sizeof(*fold));

	*fold = (struct session_fold){.config = config,
	                              .partition = partition,
	                              .newest_us = CLOCK_NONE,
	                              .watermark_us = NO_WATERMARK,
	                              .keep_from_us = INT64_MIN,
	                              .progress_us = INT64_MIN,
	                              .buyers_since_us = SINCE_EVER,
	                              .next_close_us = INT64_MAX};
	fold->source_suffix_len = (size_t)snprintf(fold->source_suffix, sizeof(fold->source_suffix),
	                                           "|%" PRId32, partition);
	clock_init(&fold->clock);
	fold->visits = visits_new(&fold->config->stages, &fold->sessions, &fold->groups);
	for (int r = 0; r < fold->config->rollups.count; r++) {
		fold->boundary_us = gcd(fold->config->rollups.at[r].step_us, fold->boundary_us);
		fold->since_us[r] = SINCE_EVER;
	}
	return fold;
}

static void fold_free(void *state)
{
	struct session_fold *fold = state;

	for (uint32_t i = 0; i < fold->window_count; i++)
		open_window_free(fold->windows[i], &fold->config->stages);
	free(fold->windows);
	free(fold->changed);
	free(fold->targets);
	visits_free(fold->visits);
	interner_free(&fold->sessions);
	interner_free(&fold->groups);
	buffer_free(&fold->value);
	free(fold);
}

/* ---- time */

/* Neither an open window nor an open visit needs records whose newest time is below this. */
static int64_t fold_horizon(const void *state)
{
	const struct session_fold *fold = state;
	int64_t passed_us, earliest_us;

	if (fold->watermark_us == NO_WATERMARK)
		return INT64_MIN;
	passed_us = fold->watermark_us - fold->config->grace_us;
	earliest_us = time_floor(passed_us - VISIT_GAP_US, US_PER_DAY);
	for (int r = 0; r < fold->config->rollups.count; r++) {
		int64_t open_us = rollup_earliest_open(&fold->config->rollups.at[r], passed_us);

		if (open_us < earliest_us)
			earliest_us = open_us;
	}
	return earliest_us;
}

static void close_windows(struct session_fold *fold)
{
	fold->next_close_us = INT64_MAX;
	for (uint32_t i = 0; i < fold->window_count; i++) {
		struct open_window *window = fold->windows[i];
		int64_t close_us = window->bounds.end_us + fold->config->grace_us;

		if (close_us <= fold->watermark_us)
			window->closed = true;
		else if (close_us < fold->next_close_us)
			fold->next_close_us = close_us;
	}
}

static void advance(struct session_fold *fold)
{
	int64_t now_us = clock_now(&fold->clock);

	if (now_us == CLOCK_NONE || now_us - fold->config->disorder_us == fold->watermark_us)
		return;
	fold->watermark_us = now_us - fold->config->disorder_us;
	if (fold->watermark_us >= fold->next_close_us)
		close_windows(fold);
	visits_close(fold->visits, fold->watermark_us - fold->config->grace_us);
}

static int64_t boundary_passed(const struct session_fold *fold)
{
	return fold->watermark_us == NO_WATERMARK
	               ? INT64_MIN
	               : time_floor(fold->watermark_us - fold->config->grace_us, fold->boundary_us);
}

/* ---- one event */

static struct open_window *find_window(struct session_fold *fold, int rollup, struct window bounds)
{
	struct open_window *window = fold->recent[rollup];

	if (window && window->bounds.start_us == bounds.start_us &&
	    window->bounds.end_us == bounds.end_us)
		return window;
	for (uint32_t i = fold->window_count; i-- > 0;) {
		window = fold->windows[i];
		if (window->rollup == rollup && window->bounds.start_us == bounds.start_us &&
		    window->bounds.end_us == bounds.end_us)
			return fold->recent[rollup] = window;
	}
	window = open_window_new(rollup, bounds, bounds.start_us >= fold->buyers_since_us,
	                         fold->recent[rollup]);
	GROW(fold->windows, fold->window_count, fold->window_capacity);
	fold->windows[fold->window_count++] = window;
	if (bounds.end_us + fold->config->grace_us < fold->next_close_us)
		fold->next_close_us = bounds.end_us + fold->config->grace_us;
	return fold->recent[rollup] = window;
}

/* The windows and visits that an event was too late for: the text of the header `late_for`. */
struct lateness {
	char text[LATE_FOR_MAX];
	size_t len;
};

static void late_for(struct lateness *late, const char *name, const char *suffix)
{
	int n = snprintf(late->text + late->len, sizeof(late->text) - late->len, "%s%s%s",
	                 late->len ? "," : "", name, suffix);

	if (n > 0 && late->len + (size_t)n < sizeof(late->text))
		late->len += (size_t)n;
}

/* One event on its way into windows and visits. */
struct arrival {
	const struct event *event;
	uint32_t session;
	uint32_t groups[GROUP_KIND_COUNT]; /* ids; INTERNED_NONE: not looked up yet */
	struct lateness late;
};

/* The session is still to be set. */
static void arrival_init(struct arrival *arrival, const struct event *event)
{
	arrival->event = event;
	arrival->late.len = 0;
	for (int kind = 0; kind < GROUP_KIND_COUNT; kind++)
		arrival->groups[kind] = INTERNED_NONE;
}

static uint32_t group_of(struct session_fold *fold, struct arrival *arrival, enum group_kind kind)
{
	char number[32];

	if (arrival->groups[kind] == INTERNED_NONE)
		arrival->groups[kind] =
			interner_put(&fold->groups, group_value(kind, arrival->event, number),
		                     arrival->event->event_time_us, fold->keep_from_us);
	return arrival->groups[kind];
}

static void add_target(struct session_fold *fold, struct open_window *window, uint32_t group,
                       uint32_t session)
{
	struct accumulator_at target = {window, open_window_group(window, group)};

	open_window_prefetch(window, target.accumulator, session);
	GROW(fold->targets, fold->target_count, fold->target_capacity);
	fold->targets[fold->target_count++] = target;
}

/* Adds the open windows of one rollup to the targets. If some of its windows are closed, the entry
 * in `late` has the end of the latest closed one: "5m/1m:all<=2019-10-01T00:05:00Z". */
static void find_targets(struct session_fold *fold, int r, struct arrival *arrival)
{
	const struct rollup *rollup = &fold->config->rollups.at[r];
	int64_t time_us = arrival->event->event_time_us, latest_late_us = INT64_MIN;
	int count = rollup_window_count(rollup, time_us), late_count = 0;
	char suffix[40] = "<=", end[32];

	for (int i = 0; i < count; i++) {
		struct window bounds = rollup_window(rollup, time_us, i);

		if (bounds.start_us < fold->since_us[r])
			continue;
		if (fold->watermark_us != NO_WATERMARK &&
		    bounds.end_us + fold->config->grace_us <= fold->watermark_us) {
			late_count++;
			if (bounds.end_us > latest_late_us)
				latest_late_us = bounds.end_us;
			continue;
		}
		add_target(fold, find_window(fold, r, bounds),
		           group_of(fold, arrival, rollup->group), arrival->session);
	}
	if (late_count && late_count < count) {
		time_format_iso(latest_late_us, end);
		snprintf(suffix, sizeof(suffix), "<=%s", end);
	}
	if (late_count)
		late_for(&arrival->late, rollup->name, late_count < count ? suffix : "");
}

static bool count_in(struct session_fold *fold, const struct accumulator_at *target,
                     const struct arrival *arrival, int64_t offset)
{
	struct accumulator *accumulator = &target->window->accumulators[target->accumulator];

	accumulator->revision = offset;
	if (!accumulator->changed) {
		accumulator->changed = true;
		GROW(fold->changed, fold->changed_count, fold->changed_capacity);
		fold->changed[fold->changed_count++] = *target;
	}
	return open_window_count(target->window, target->accumulator, arrival->session,
	                         arrival->event, &fold->config->stages);
}

/* Finds all windows first, then counts. So the memory of one is loaded while the others are
 * searched. */
static bool apply_rollups(struct session_fold *fold, struct arrival *arrival, int64_t offset)
{
	bool kept = true;

	fold->target_count = 0;
	for (int r = 0; r < fold->config->rollups.count; r++)
		find_targets(fold, r, arrival);
	for (uint32_t i = 0; i < fold->target_count; i++)
		kept &= count_in(fold, &fold->targets[i], arrival, offset);
	return kept;
}

static bool apply_visit(struct session_fold *fold, struct arrival *arrival,
                        const struct bronze_event *bronze, int64_t offset)
{
	uint32_t category = INTERNED_NONE;

	if (fold->watermark_us != NO_WATERMARK &&
	    bronze->event.event_time_us < fold->watermark_us - fold->config->grace_us) {
		late_for(&arrival->late, "visit", "");
		return true;
	}
	if (bronze->event.category_code.at)
		category = group_of(fold, arrival, GROUP_CATEGORY);
	return visits_add(fold->visits, arrival->session, category, bronze, offset);
}

static void emit_late(struct session_fold *fold, const struct input_record *record,
                      const struct bronze_event *bronze, const struct lateness *late,
                      struct outbox *out)
{
	char partition[16], offset[24], watermark[32], key[32];
	struct header headers[] = {
		{SPAN("late_for"), {late->text, late->len}},
		{SPAN("source_partition"),
	         {partition,
	          (size_t)snprintf(partition, sizeof(partition), "%" PRId32, record->partition)}},
		{SPAN("source_offset"),
	         {offset, (size_t)snprintf(offset, sizeof(offset), "%" PRId64, record->offset)}},
		{SPAN("watermark"), {watermark, time_format_iso(fold->watermark_us, watermark)}},
	};

	fold->value.len = 0;
	bronze_encode(&fold->value, fold->config->outputs->schema_id[SCHEMA_LATE], bronze);
	outbox_add(out, TOPIC_LATE_EVENTS,
	           record->partition % fold->config->outputs->partition_count[TOPIC_LATE_EVENTS],
	           event_session_key(&bronze->event, key),
	           (struct span){fold->value.at, fold->value.len}, headers,
	           sizeof(headers) / sizeof(headers[0]));
}

static void drop_passed(struct session_fold *fold);

/* During a restore: clears the list of changes without emitting them, since earlier commits did. */
static void discard_changes(struct session_fold *fold)
{
	for (uint32_t i = 0; i < fold->changed_count; i++)
		fold->changed[i].window->accumulators[fold->changed[i].accumulator].changed = false;
	fold->changed_count = 0;
	visits_discard_changes(fold->visits);
	drop_passed(fold);
	fold->undiscarded_records = 0;
}

static int64_t apply_event(struct session_fold *fold, const struct input_record *record,
                           const struct bronze_event *bronze, struct counts *counts,
                           struct outbox *out)
{
	struct clock_event at = bronze_clock_event(bronze, record->timestamp_ms);
	struct arrival arrival;
	char key_buffer[32];
	bool kept;

	arrival_init(&arrival, &bronze->event);
	clock_follow(&fold->clock, &at);
	advance(fold);
	if (bronze->event.event_time_us > fold->newest_us)
		fold->newest_us = bronze->event.event_time_us;
	fold->idle_announced = false;
	arrival.session =
		interner_put(&fold->sessions, event_session_key(&bronze->event, key_buffer),
	                     bronze->event.event_time_us, fold->keep_from_us);
	visits_prefetch(fold->visits, arrival.session);
	kept = apply_rollups(fold, &arrival, record->offset);
	kept &= apply_visit(fold, &arrival, bronze, record->offset);
	counts->records_out++;
	if (arrival.late.len) {
		counts->late++;
		if (out)
			emit_late(fold, record, bronze, &arrival.late, out);
	}
	if (!kept) {
		output_dead_letter(out, fold->config->outputs, record, REASON_TOO_MANY_STAGE_TIMES,
		                   NULL, true, counts);
		counts->records_out--;
	}
	return bronze->event.event_time_us;
}

static int64_t reject(struct session_fold *fold, const struct input_record *record,
                      enum reason reason, const char *detail, struct counts *counts,
                      struct outbox *out)
{
	counts->records_in++;
	output_dead_letter(out, fold->config->outputs, record, reason, detail, false, counts);
	return FOLD_NOTHING;
}

static int64_t fold_apply(void *state, const struct input_record *record, struct counts *counts,
                          struct outbox *out)
{
	struct session_fold *fold = state;
	struct control control =
		record->value.at ? (struct control){CONTROL_NONE, 0} : control_read(record);
	struct bronze_event bronze;
	const char *why = NULL;

	fold->applied |= out != NULL;
	if (!out && ++fold->undiscarded_records >= DISCARD_RECORDS)
		discard_changes(fold);
	if (control.kind == CONTROL_INVALID)
		return reject(fold, record, REASON_INVALID_CONTROL, NULL, counts, out);
	if (control.kind != CONTROL_NONE) {
		if (control.kind != CONTROL_END)
			clock_announce(&fold->clock, control.event_time_us,
			               record->timestamp_ms * 1000);
		advance(fold);
		return FOLD_NOTHING;
	}
	if (record->refused != REASON_NONE)
		return reject(fold, record, record->refused, record->detail, counts, out);
	if (!record->value.at)
		return reject(fold, record, REASON_NULL_VALUE, NULL, counts, out);
	if (!bronze_decode(record->body, &bronze, &why))
		return reject(fold, record, REASON_MALFORMED_AVRO, why, counts, out);
	counts->records_in++;
	return apply_event(fold, record, &bronze, counts, out);
}

/* ---- output */

static void emit_partial(struct session_fold *fold, const struct accumulator_at *changed,
                         struct outbox *out)
{
	const struct open_window *window = changed->window;
	struct accumulator *accumulator = &changed->window->accumulators[changed->accumulator];
	struct partial partial = {
		.rollup = span_of(fold->config->rollups.at[window->rollup].name),
		.group_value = interner_text(&fold->groups, accumulator->group),
		.window_start_us = window->bounds.start_us,
		.window_end_us = window->bounds.end_us,
		.measures = accumulator->measures,
		.revision = accumulator->revision,
		.watermark_us = fold->watermark_us,
		.source_partition = fold->partition,
	};
	char key[RECORD_KEY_MAX + SOURCE_SUFFIX_MAX];
	size_t len = aggregate_key(partial.rollup, partial.window_start_us, partial.window_end_us,
	                           partial.group_value, key);
	size_t with_source = len + fold->source_suffix_len;

	memcpy(key + len, fold->source_suffix, fold->source_suffix_len);
	accumulator->changed = false;
	fold->value.len = 0;
	partial_encode(&fold->value, fold->config->outputs->schema_id[SCHEMA_PARTIAL], &partial);
	output_keyed(out, fold->config->outputs, TOPIC_FUNNEL_PARTIALS, (struct span){key, len},
	             (struct span){key, with_source},
	             (struct span){fold->value.at, fold->value.len});
}

struct visit_context {
	struct session_fold *fold;
	struct outbox *out;
};

/* A visit is final once, in the flush after it has closed. No event can join it then, and it has no
 * purchase any more: a purchase that came in time, or that joined it with another visit, was
 * counted in it before. */
static bool is_abandoned_cart(const struct visit *visit)
{
	return visit->final && !visit->deleted && visit->events[EVENT_CART] > 0 &&
	       visit->events[EVENT_PURCHASE] == 0;
}

static void emit_cart(struct session_fold *fold, const struct visit *visit, struct outbox *out)
{
	const struct session_fold_config *config = fold->config;
	struct abandoned_cart cart = {
		.session = visit->user_session,
		.pseudonymous = config->abandoned_carts == CARTS_PSEUDONYMOUS,
		.start_us = visit->start_us,
		.end_us = visit->end_us,
		.views = visit->events[EVENT_VIEW],
		.carts = visit->events[EVENT_CART],
		.removes = visit->events[EVENT_REMOVE_FROM_CART],
		.checkouts = visit->events[EVENT_CHECKOUT],
		.products = visit->products,
		.last_category = visit->last_category,
		.furthest_stage = visit->furthest_stage,
		.revision = visit->revision,
	};
	char user[24], session_name[PSEUDONYM_MAX], user_name[PSEUDONYM_MAX];

	snprintf(user, sizeof(user), "%" PRId64, visit->user_id);
	cart.user = span_of(user);
	if (cart.pseudonymous) {
		pseudonym(config->salt, "session", cart.session, session_name);
		pseudonym(config->salt, "user", cart.user, user_name);
		cart.session = span_of(session_name);
		cart.user = span_of(user_name);
	}
	fold->value.len = 0;
	cart_encode(&fold->value, config->outputs->schema_id[SCHEMA_CART], &cart);
	output_keyed(out, config->outputs, TOPIC_ABANDONED_CARTS, cart.session, cart.session,
	             (struct span){fold->value.at, fold->value.len});
}

static void emit_visit(void *context, const struct visit *visit)
{
	struct visit_context *c = context;
	char key[RECORD_KEY_MAX];
	size_t len = visit_key(visit->user_session, visit->start_us, key);

	c->fold->value.len = 0;
	visit_encode(&c->fold->value, c->fold->config->outputs->schema_id[SCHEMA_VISIT], visit);
	output_keyed(c->out, c->fold->config->outputs, TOPIC_SESSION_FUNNELS, visit->user_session,
	             (struct span){key, len}, (struct span){c->fold->value.at, c->fold->value.len});
	if (c->fold->config->abandoned_carts != CARTS_OFF && is_abandoned_cart(visit))
		emit_cart(c->fold, visit, c->out);
}

/* Sends the watermark of this source to every merge partition. */
static void emit_progress(struct session_fold *fold, bool idle, struct outbox *out)
{
	struct partial progress = {
		.rollup = SPAN(""),
		.group_value = SPAN(""),
		.revision = -1,
		.watermark_us = fold->watermark_us,
		.source_partition = fold->partition,
		.idle = idle,
	};
	char key[32];
	struct span key_span = {key, (size_t)snprintf(key, sizeof(key), "progress|%" PRId32,
	                                              fold->partition)};

	fold->value.len = 0;
	partial_encode(&fold->value, fold->config->outputs->schema_id[SCHEMA_PARTIAL], &progress);
	for (int32_t p = 0; p < fold->config->outputs->partition_count[TOPIC_FUNNEL_PARTIALS]; p++)
		outbox_add(out, TOPIC_FUNNEL_PARTIALS, p, key_span,
		           (struct span){fold->value.at, fold->value.len}, NULL, 0);
	fold->progress_us = boundary_passed(fold);
	/* Progress caused by a control wakes the source: it may have to announce again that it is
	 * idle. */
	fold->idle_announced = idle;
}

static size_t format_start_times(const struct session_fold *fold, char out[FOLD_START_TIMES_MAX]);

/* Announces to every merge partition which rollups this source counts, and since when. */
static void emit_rollups(struct session_fold *fold, struct outbox *out)
{
	char key[32], partition[16], start_times[FOLD_START_TIMES_MAX];
	struct span key_span = {key, (size_t)snprintf(key, sizeof(key), "rollups|%" PRId32,
	                                              fold->partition)};
	struct header headers[] = {
		{SPAN("control"), SPAN(CONTROL_ROLLUPS)},
		{SPAN("source_partition"),
	         {partition,
	          (size_t)snprintf(partition, sizeof(partition), "%" PRId32, fold->partition)}},
		{SPAN("since"), {start_times, format_start_times(fold, start_times)}},
	};

	for (int32_t p = 0; p < fold->config->outputs->partition_count[TOPIC_FUNNEL_PARTIALS]; p++)
		outbox_add(out, TOPIC_FUNNEL_PARTIALS, p, key_span, SPAN_NULL, headers,
		           sizeof(headers) / sizeof(headers[0]));
	fold->announce_rollups = false;
}

static void drop_passed(struct session_fold *fold)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < fold->window_count; i++) {
		struct open_window *window = fold->windows[i];

		if (!window->closed) {
			fold->windows[kept++] = window;
			continue;
		}
		if (fold->recent[window->rollup] == window)
			fold->recent[window->rollup] = NULL;
		open_window_free(window, &fold->config->stages);
	}
	fold->window_count = kept;
	fold->keep_from_us = fold_horizon(fold);
}

static void fold_flush(void *state, struct outbox *out)
{
	struct session_fold *fold = state;
	struct visit_context context = {fold, out};

	if (fold->announce_rollups && fold->applied)
		emit_rollups(fold, out);
	for (uint32_t i = 0; i < fold->changed_count; i++)
		emit_partial(fold, &fold->changed[i], out);
	fold->changed_count = 0;
	visits_flush(fold->visits, emit_visit, &context);
	if (boundary_passed(fold) > fold->progress_us)
		emit_progress(fold, false, out);
	drop_passed(fold);
}

static void fold_idle(void *state, struct outbox *out)
{
	struct session_fold *fold = state;

	if (fold->idle_announced)
		return;
	emit_progress(fold, true, out);
}

static void fold_active(void *state, struct outbox *out)
{
	emit_progress(state, false, out);
}

/* ---- restore */

static void set_start_times(struct session_fold *fold, int64_t seen_us)
{
	for (int r = 0; r < fold->config->rollups.count; r++)
		if (fold->since_us[r] == SINCE_PENDING)
			fold->since_us[r] =
				seen_us == CLOCK_NONE
					? SINCE_EVER
					: rollup_next_start(&fold->config->rollups.at[r],
			                                    seen_us + 1);
	if (fold->buyers_since_us == SINCE_PENDING)
		fold->buyers_since_us = seen_us == CLOCK_NONE ? SINCE_EVER : seen_us + 1;
}

static void fold_restored(void *state)
{
	struct session_fold *fold = state;
	int64_t now_us = clock_now(&fold->clock),
		seen_us = fold->newest_us > now_us ? fold->newest_us : now_us;
	char start_times[FOLD_START_TIMES_MAX];

	discard_changes(fold);
	fold->progress_us = boundary_passed(fold);
	set_start_times(fold, seen_us);
	format_start_times(fold, start_times);
	fold->announce_rollups = strcmp(start_times, fold->announced) != 0;
}

static size_t fold_snapshot(const void *state, char out[FOLD_SNAPSHOT_MAX])
{
	const struct session_fold *fold = state;

	return clock_format(&fold->clock, out);
}

static bool fold_restore_snapshot(void *state, struct span snapshot, struct err *err)
{
	struct session_fold *fold = state;

	if (!clock_parse(snapshot, &fold->clock))
		return err_set(err, ERR_OPERATOR, "invalid clock '%.*s' in restore metadata",
		               (int)snapshot.len, snapshot.at);
	advance(fold);
	return true;
}

/* Appends "1d:brand@1569888000000000". */
static size_t add_start_time(char out[FOLD_START_TIMES_MAX], size_t len, const char *name,
                             int64_t since_us)
{
	char start[24] = "ever";

	if (since_us != SINCE_EVER)
		snprintf(start, sizeof(start), "%" PRId64, since_us);
	return len + (size_t)snprintf(out + len, FOLD_START_TIMES_MAX - len, "%s%s@%s",
	                              len ? "," : "", name, start);
}

/* "1m:all@ever,1d:brand@1569888000000000" */
static size_t format_start_times(const struct session_fold *fold, char out[FOLD_START_TIMES_MAX])
{
	size_t len = 0;

	for (int r = 0; r < fold->config->rollups.count; r++)
		len = add_start_time(out, len, fold->config->rollups.at[r].name, fold->since_us[r]);
	return len;
}

/* The announced start times, not the ones that are still to be announced: a commit may have only
 * transaction markers, and then it has no announcement. The start of BUYERS follows. */
static size_t fold_start_times(const void *state, char out[FOLD_START_TIMES_MAX])
{
	const struct session_fold *fold = state;

	size_t len = fold->announce_rollups
	                     ? (size_t)snprintf(out, FOLD_START_TIMES_MAX, "%s", fold->announced)
	                     : format_start_times(fold, out);

	return add_start_time(out, len, BUYERS, fold->buyers_since_us);
}

/* Takes the entry of BUYERS, which is the last one, off the text. */
static struct span take_buyers_since(struct session_fold *fold, struct span start_times)
{
	struct span rest = start_times, name;
	int64_t since_us;

	fold->buyers_since_us = SINCE_PENDING;
	while (rollup_since_next(&rest, &name, &since_us))
		if (span_is(name, BUYERS) && rest.len == 0) {
			fold->buyers_since_us = since_us;
			start_times.len = (size_t)(name.at - start_times.at);
			start_times.len -= start_times.len > 0; /* the comma */
		}
	return start_times;
}

static bool fold_restore_start_times(void *state, struct span start_times, struct err *err)
{
	struct session_fold *fold = state;
	struct span name;
	int64_t since_us;

	for (int r = 0; r < fold->config->rollups.count; r++)
		fold->since_us[r] = SINCE_PENDING;
	start_times = take_buyers_since(fold, start_times);
	snprintf(fold->announced, sizeof(fold->announced), "%.*s", (int)start_times.len,
	         start_times.at);
	while (rollup_since_next(&start_times, &name, &since_us))
		for (int r = 0; r < fold->config->rollups.count; r++)
			if (span_is(name, fold->config->rollups.at[r].name))
				fold->since_us[r] = since_us;
	if (start_times.len)
		return err_set(err, ERR_OPERATOR,
		               "invalid start times '%.*s' in restore metadata: expected "
		               "ROLLUP@MICROSECONDS or ROLLUP@ever, comma-separated",
		               (int)start_times.len, start_times.at);
	return true;
}

static int by_window(const void *a, const void *b)
{
	const struct open_window *x = *(struct open_window *const *)a,
				 *y = *(struct open_window *const *)b;

	if (x->rollup != y->rollup)
		return x->rollup < y->rollup ? -1 : 1;
	if (x->bounds.start_us != y->bounds.start_us)
		return x->bounds.start_us < y->bounds.start_us ? -1 : 1;
	return (x->bounds.end_us > y->bounds.end_us) - (x->bounds.end_us < y->bounds.end_us);
}

static void fold_measure(const void *state, struct fold_measures *out)
{
	const struct session_fold *fold = state;

	*out = (struct fold_measures){.clock_us = clock_now(&fold->clock),
	                              .watermark_us = fold->watermark_us == NO_WATERMARK
	                                                      ? INT64_MIN
	                                                      : fold->watermark_us,
	                              .entries = visits_entries(fold->visits),
	                              .bytes = sizeof(*fold) + visits_bytes(fold->visits) +
	                                       interner_bytes(&fold->sessions) +
	                                       interner_bytes(&fold->groups)};
	for (uint32_t i = 0; i < fold->window_count; i++) {
		out->entries += open_window_entries(fold->windows[i]);
		out->bytes += open_window_bytes(fold->windows[i]);
	}
}

static void fold_dump(const void *state, struct buffer *out)
{
	const struct session_fold *fold = state;
	struct open_window **windows =
		xrealloc(NULL, (fold->window_count + 1) * sizeof(struct open_window *));
	char line[CLOCK_TEXT_MAX + 2];
	size_t len = clock_format(&fold->clock, line);

	line[len++] = '\n';
	buffer_append(out, line, len);
	if (fold->window_count)
		memcpy(windows, fold->windows, fold->window_count * sizeof(struct open_window *));
	qsort(windows, fold->window_count, sizeof(struct open_window *), by_window);
	for (uint32_t i = 0; i < fold->window_count; i++)
		if (!windows[i]->closed)
			open_window_dump(windows[i],
			                 fold->config->rollups.at[windows[i]->rollup].name,
			                 &fold->groups, out);
	free(windows);
	visits_dump(fold->visits, out);
}

const struct fold_ops session_fold_ops = {
	.name = "funnel-aggregator (session half)",
	.new = fold_new,
	.free = fold_free,
	.apply = fold_apply,
	.flush = fold_flush,
	.restored = fold_restored,
	.horizon = fold_horizon,
	.snapshot = fold_snapshot,
	.restore_snapshot = fold_restore_snapshot,
	.start_times = fold_start_times,
	.restore_start_times = fold_restore_start_times,
	.idle = fold_idle,
	.active = fold_active,
	.measure = fold_measure,
	.dump = fold_dump,
};
