/* Per record: clock, lateness, one cell per rollup and window, the visit. Per commit: the cells
 * and visits that changed, each once, and the partition's progress where its watermark has crossed a
 * window boundary.
 *
 * A pane that the watermark has passed is freed after the next flush, since its last changes may
 * still have to go out; while a rebuild runs nothing goes out, and such flushes into nothing are made here.
 * Texts are kept while any open pane or visit may refer to them: see keep_from.
 *
 * A rollup that is added to a running system counts from its first window that begins after
 * everything seen, so that no window of it is ever half counted here; `since` says from when. Other partitions begin at another
 * window, and may still run with the former list. So each partition tells the merge half what it counts since when, in the
 * first commit under a list that is new to it: the merge half alone can know which windows all have counted whole.
 * It is told with a record of ours only, so that telling and committing are one: restore metadata holds what was told. */
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
#include "event/reason.h"
#include "panes.h"
#include "stream/control.h"
#include "stream/dead_letter.h"
#include "stream/outbox.h"
#include "stream/record.h"
#include "visits.h"
#include "wire/record_keys.h"
#include "wire/records_aggregate.h"
#include "wire/records_bronze.h"
#include "wire/records_counts.h"
#include "wire/records_visit.h"
#include "wire/schemas.h"
#include "wire/topics.h"

#define SINCE_EVER          ROLLUP_SINCE_EVER
#define SINCE_PENDING       INT64_MAX
#define NO_WATERMARK        INT64_MIN
#define QUIET_FLUSH_RECORDS 8192
#define LATE_FOR_MAX        1024

struct changed_cell {
	struct pane *pane;
	uint32_t cell;
};

struct session_fold {
	const struct session_fold_config *config;
	int32_t partition;
	struct partition_clock clock;
	int64_t watermark_us;
	int64_t keep_from_us;  /* texts last used before this may go */
	int64_t boundary_us;   /* progress is told when the watermark crosses a multiple of this */
	int64_t told_us;       /* boundary last told */
	int64_t next_close_us; /* watermark at which the next pane closes */
	bool idle_told;
	bool tell_rollups;                  /* what we count is not what the last commit says */
	bool applied;                       /* a record since the start or the rebuild */
	char adopted[FOLD_START_TIMES_MAX]; /* as the last commit says; empty: nothing was told */
	struct interner sessions, groups;
	struct visits *visits;
	struct pane **panes;
	uint32_t pane_count, pane_capacity;
	struct pane *recent[ROLLUP_MAX];
	int64_t since_us[ROLLUP_MAX];
	struct changed_cell *changed;
	uint32_t changed_count, changed_capacity;
	uint32_t quiet_records;
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
	                              .watermark_us = NO_WATERMARK,
	                              .keep_from_us = INT64_MIN,
	                              .told_us = INT64_MIN,
	                              .next_close_us = INT64_MAX};
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

	for (uint32_t i = 0; i < fold->pane_count; i++)
		pane_free(fold->panes[i], &fold->config->stages);
	free(fold->panes);
	free(fold->changed);
	visits_free(fold->visits);
	interner_free(&fold->sessions);
	interner_free(&fold->groups);
	buffer_free(&fold->value);
	free(fold);
}

/* ---- time */

/* Nothing with a newest time below this matters any more: to open windows, to open visits. */
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

static void close_panes(struct session_fold *fold)
{
	fold->next_close_us = INT64_MAX;
	for (uint32_t i = 0; i < fold->pane_count; i++) {
		struct pane *pane = fold->panes[i];
		int64_t close_us = pane->window.end_us + fold->config->grace_us;

		if (close_us <= fold->watermark_us)
			pane->closed = true;
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
		close_panes(fold);
	visits_close(fold->visits, fold->watermark_us - fold->config->grace_us);
}

static int64_t boundary_passed(const struct session_fold *fold)
{
	return fold->watermark_us == NO_WATERMARK
	               ? INT64_MIN
	               : time_floor(fold->watermark_us - fold->config->grace_us, fold->boundary_us);
}

/* ---- one event */

static struct pane *find_pane(struct session_fold *fold, int rollup, struct window window)
{
	struct pane *pane = fold->recent[rollup];

	if (pane && pane->window.start_us == window.start_us &&
	    pane->window.end_us == window.end_us)
		return pane;
	for (uint32_t i = fold->pane_count; i-- > 0;) {
		pane = fold->panes[i];
		if (pane->rollup == rollup && pane->window.start_us == window.start_us &&
		    pane->window.end_us == window.end_us)
			return fold->recent[rollup] = pane;
	}
	pane = pane_new(rollup, window);
	GROW(fold->panes, fold->pane_count, fold->pane_capacity);
	fold->panes[fold->pane_count++] = pane;
	if (window.end_us + fold->config->grace_us < fold->next_close_us)
		fold->next_close_us = window.end_us + fold->config->grace_us;
	return fold->recent[rollup] = pane;
}

static bool count_in(struct session_fold *fold, struct pane *pane, uint32_t group, uint32_t session,
                     const struct event *event, int64_t offset)
{
	uint32_t number = pane_cell(pane, group);
	struct cell *cell = &pane->cells[number];

	cell->revision = offset;
	if (!cell->changed) {
		cell->changed = true;
		GROW(fold->changed, fold->changed_count, fold->changed_capacity);
		fold->changed[fold->changed_count++] = (struct changed_cell){pane, number};
	}
	return pane_count(pane, number, session, event, &fold->config->stages);
}

/* What an event was too late for, as text for the header `late_for`. */
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

/* One rollup takes an event into those of its windows that are open. Where some are not, the
 * entry says up to which window end it came too late. */
static bool apply_rollup(struct session_fold *fold, int r, uint32_t session,
                         const struct event *event, int64_t offset, struct lateness *late)
{
	const struct rollup *rollup = &fold->config->rollups.at[r];
	int count = rollup_window_count(rollup, event->event_time_us), late_count = 0;
	int64_t latest_late_us = INT64_MIN;
	uint32_t group = INTERNED_NONE;
	bool kept = true;
	char number[32], suffix[40] = "<=", end[32];

	for (int i = 0; i < count; i++) {
		struct window window = rollup_window(rollup, event->event_time_us, i);

		if (window.start_us < fold->since_us[r])
			continue;
		if (fold->watermark_us != NO_WATERMARK &&
		    window.end_us + fold->config->grace_us <= fold->watermark_us) {
			late_count++;
			if (window.end_us > latest_late_us)
				latest_late_us = window.end_us;
			continue;
		}
		if (group == INTERNED_NONE)
			group = interner_put(&fold->groups,
			                     group_value(rollup->group, event, number),
			                     event->event_time_us, fold->keep_from_us);
		kept &= count_in(fold, find_pane(fold, r, window), group, session, event, offset);
	}
	if (late_count && late_count < count) {
		time_format_iso(latest_late_us, end);
		snprintf(suffix, sizeof(suffix), "<=%s", end);
	}
	if (late_count)
		late_for(late, rollup->name, late_count < count ? suffix : "");
	return kept;
}

static bool apply_visit(struct session_fold *fold, uint32_t session,
                        const struct bronze_event *bronze, int64_t offset, struct lateness *late)
{
	uint32_t category = INTERNED_NONE;

	if (fold->watermark_us != NO_WATERMARK &&
	    bronze->event.event_time_us < fold->watermark_us - fold->config->grace_us) {
		late_for(late, "visit", "");
		return true;
	}
	if (bronze->event.category_code.at)
		category = interner_put(&fold->groups, bronze->event.category_code,
		                        bronze->event.event_time_us, fold->keep_from_us);
	return visits_add(fold->visits, session, category, bronze, offset);
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

/* While a rebuild runs, what changed is forgotten now and then instead of being emitted. */
static void discard_changes(struct session_fold *fold)
{
	for (uint32_t i = 0; i < fold->changed_count; i++)
		fold->changed[i].pane->cells[fold->changed[i].cell].changed = false;
	fold->changed_count = 0;
	visits_discard_changes(fold->visits);
	drop_passed(fold);
	fold->quiet_records = 0;
}

static int64_t apply_event(struct session_fold *fold, const struct input_record *record,
                           const struct bronze_event *bronze, struct counts *counts,
                           struct outbox *out)
{
	struct lateness late;
	char key_buffer[32];
	uint32_t session;
	bool kept = true;

	late.len = 0;
	clock_event(&fold->clock, bronze->event.event_time_us, bronze->event.user_id);
	advance(fold);
	fold->idle_told = false;
	session = interner_put(&fold->sessions, event_session_key(&bronze->event, key_buffer),
	                       bronze->event.event_time_us, fold->keep_from_us);
	for (int r = 0; r < fold->config->rollups.count; r++)
		kept &= apply_rollup(fold, r, session, &bronze->event, record->offset, &late);
	kept &= apply_visit(fold, session, bronze, record->offset, &late);
	counts->records_out++;
	if (late.len) {
		counts->late++;
		if (out)
			emit_late(fold, record, bronze, &late, out);
	}
	if (!kept) {
		output_dead_letter(out, fold->config->outputs, record, REASON_TOO_MANY_STAGE_TIMES,
		                   NULL, true, counts);
		counts->records_out--;
	}
	return bronze->event.event_time_us;
}

static int64_t refuse(struct session_fold *fold, const struct input_record *record,
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
	if (!out && ++fold->quiet_records >= QUIET_FLUSH_RECORDS)
		discard_changes(fold);
	if (control.kind == CONTROL_INVALID)
		return refuse(fold, record, REASON_INVALID_CONTROL, NULL, counts, out);
	if (control.kind != CONTROL_NONE) {
		if (control.kind != CONTROL_END)
			clock_control(&fold->clock, control.event_time_us,
			              record->timestamp_ms * 1000);
		advance(fold);
		return FOLD_NOTHING;
	}
	if (record->refused != REASON_NONE)
		return refuse(fold, record, record->refused, record->detail, counts, out);
	if (!record->value.at)
		return refuse(fold, record, REASON_NULL_VALUE, NULL, counts, out);
	if (!bronze_decode(record->body, &bronze, &why))
		return refuse(fold, record, REASON_MALFORMED_AVRO, why, counts, out);
	counts->records_in++;
	return apply_event(fold, record, &bronze, counts, out);
}

/* ---- output */

static void emit_cell(struct session_fold *fold, const struct changed_cell *changed,
                      struct outbox *out)
{
	const struct pane *pane = changed->pane;
	struct cell *cell = &changed->pane->cells[changed->cell];
	struct partial partial = {
		.rollup = span_of(fold->config->rollups.at[pane->rollup].name),
		.group_value = interner_text(&fold->groups, cell->group),
		.window_start_us = pane->window.start_us,
		.window_end_us = pane->window.end_us,
		.measures = cell->measures,
		.revision = cell->revision,
		.watermark_us = fold->watermark_us,
		.source_partition = fold->partition,
	};
	char key[RECORD_KEY_MAX + 16];
	size_t len = aggregate_key(partial.rollup, partial.window_start_us, partial.window_end_us,
	                           partial.group_value, key);
	size_t with_source =
		len + (size_t)snprintf(key + len, sizeof(key) - len, "|%" PRId32, fold->partition);

	cell->changed = false;
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

static void emit_visit(void *context, const struct visit *visit)
{
	struct visit_context *c = context;
	char key[RECORD_KEY_MAX];
	size_t len = visit_key(visit->user_session, visit->start_us, key);

	c->fold->value.len = 0;
	visit_encode(&c->fold->value, c->fold->config->outputs->schema_id[SCHEMA_VISIT], visit);
	output_keyed(c->out, c->fold->config->outputs, TOPIC_SESSION_FUNNELS, visit->user_session,
	             (struct span){key, len}, (struct span){c->fold->value.at, c->fold->value.len});
}

/* Tells every merge partition how far this source is. */
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
	fold->told_us = boundary_passed(fold);
	fold->idle_told =
		idle; /* progress that a control causes wakes the source, so it may have to say again that it is idle */
}

static size_t format_rollups(const struct session_fold *fold, char out[FOLD_START_TIMES_MAX]);

/* Tells every merge partition what this source counts since when. */
static void emit_rollups(struct session_fold *fold, struct outbox *out)
{
	char key[32], partition[16], terms[FOLD_START_TIMES_MAX];
	struct span key_span = {key, (size_t)snprintf(key, sizeof(key), "rollups|%" PRId32,
	                                              fold->partition)};
	struct header headers[] = {
		{SPAN("control"), SPAN(CONTROL_ROLLUPS)},
		{SPAN("source_partition"),
	         {partition,
	          (size_t)snprintf(partition, sizeof(partition), "%" PRId32, fold->partition)}},
		{SPAN("since"), {terms, format_rollups(fold, terms)}},
	};

	for (int32_t p = 0; p < fold->config->outputs->partition_count[TOPIC_FUNNEL_PARTIALS]; p++)
		outbox_add(out, TOPIC_FUNNEL_PARTIALS, p, key_span, SPAN_NULL, headers,
		           sizeof(headers) / sizeof(headers[0]));
	fold->tell_rollups = false;
}

static void drop_passed(struct session_fold *fold)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < fold->pane_count; i++) {
		struct pane *pane = fold->panes[i];

		if (!pane->closed) {
			fold->panes[kept++] = pane;
			continue;
		}
		if (fold->recent[pane->rollup] == pane)
			fold->recent[pane->rollup] = NULL;
		pane_free(pane, &fold->config->stages);
	}
	fold->pane_count = kept;
	fold->keep_from_us = fold_horizon(fold);
}

static void fold_flush(void *state, struct outbox *out)
{
	struct session_fold *fold = state;
	struct visit_context context = {fold, out};

	if (fold->tell_rollups && fold->applied)
		emit_rollups(fold, out);
	for (uint32_t i = 0; i < fold->changed_count; i++)
		emit_cell(fold, &fold->changed[i], out);
	fold->changed_count = 0;
	visits_flush(fold->visits, emit_visit, &context);
	if (boundary_passed(fold) > fold->told_us)
		emit_progress(fold, false, out);
	drop_passed(fold);
}

static void fold_idle(void *state, struct outbox *out)
{
	struct session_fold *fold = state;

	if (fold->idle_told)
		return;
	emit_progress(fold, true, out);
}

static void fold_active(void *state, struct outbox *out)
{
	emit_progress(state, false, out);
}

/* ---- rebuild */

static void fold_restored(void *state)
{
	struct session_fold *fold = state;
	int64_t seen_us = fold->clock.first_us > fold->clock.control_us ? fold->clock.first_us
	                                                                : fold->clock.control_us;
	char terms[FOLD_START_TIMES_MAX];

	discard_changes(fold);
	fold->told_us = boundary_passed(fold);
	for (int r = 0; r < fold->config->rollups.count; r++)
		if (fold->since_us[r] == SINCE_PENDING)
			fold->since_us[r] =
				seen_us == CLOCK_NONE
					? SINCE_EVER
					: rollup_next_start(&fold->config->rollups.at[r],
			                                    seen_us + 1);
	format_rollups(fold, terms);
	fold->tell_rollups = strcmp(terms, fold->adopted) != 0;
}

static size_t fold_snapshot(const void *state, char out[FOLD_SNAPSHOT_MAX])
{
	const struct session_fold *fold = state;

	return clock_format(&fold->clock, out);
}

static bool fold_restore_snapshot(void *state, struct span header, struct err *err)
{
	struct session_fold *fold = state;

	if (!clock_parse(header, &fold->clock))
		return err_set(err, ERR_OPERATOR, "restore metadata holds no clock: '%.*s'",
		               (int)header.len, header.at);
	advance(fold);
	return true;
}

/* "1m:all@ever,1d:brand@1569888000000000" */
static size_t format_rollups(const struct session_fold *fold, char out[FOLD_START_TIMES_MAX])
{
	size_t len = 0;

	for (int r = 0; r < fold->config->rollups.count; r++) {
		len += (size_t)snprintf(out + len, FOLD_START_TIMES_MAX - len, "%s%s@",
		                        r ? "," : "", fold->config->rollups.at[r].name);
		if (fold->since_us[r] == SINCE_EVER)
			len += (size_t)snprintf(out + len, FOLD_START_TIMES_MAX - len, "ever");
		else
			len += (size_t)snprintf(out + len, FOLD_START_TIMES_MAX - len, "%" PRId64,
			                        fold->since_us[r]);
	}
	return len;
}

/* What was told, not what is still to be told: offsets are committed for transaction markers too. */
static size_t fold_start_times(const void *state, char out[FOLD_START_TIMES_MAX])
{
	const struct session_fold *fold = state;

	if (!fold->tell_rollups)
		return format_rollups(fold, out);
	return (size_t)snprintf(out, FOLD_START_TIMES_MAX, "%s", fold->adopted);
}

static bool fold_restore_start_times(void *state, struct span terms, struct err *err)
{
	struct session_fold *fold = state;
	struct span name;
	int64_t since_us;

	for (int r = 0; r < fold->config->rollups.count; r++)
		fold->since_us[r] = SINCE_PENDING;
	snprintf(fold->adopted, sizeof(fold->adopted), "%.*s", (int)terms.len, terms.at);
	while (rollup_since_next(&terms, &name, &since_us))
		for (int r = 0; r < fold->config->rollups.count; r++)
			if (span_is(name, fold->config->rollups.at[r].name))
				fold->since_us[r] = since_us;
	if (terms.len)
		return err_set(err, ERR_OPERATOR, "restore metadata holds no rollups: '%.*s'",
		               (int)terms.len, terms.at);
	return true;
}

static int by_window(const void *a, const void *b)
{
	const struct pane *x = *(struct pane *const *)a, *y = *(struct pane *const *)b;

	if (x->rollup != y->rollup)
		return x->rollup < y->rollup ? -1 : 1;
	if (x->window.start_us != y->window.start_us)
		return x->window.start_us < y->window.start_us ? -1 : 1;
	return (x->window.end_us > y->window.end_us) - (x->window.end_us < y->window.end_us);
}

static void fold_dump(const void *state, struct buffer *out)
{
	const struct session_fold *fold = state;
	struct pane **panes = xrealloc(NULL, (fold->pane_count + 1) * sizeof(struct pane *));
	char line[CLOCK_TEXT_MAX + 2];
	size_t len = clock_format(&fold->clock, line);

	line[len++] = '\n';
	buffer_append(out, line, len);
	if (fold->pane_count)
		memcpy(panes, fold->panes, fold->pane_count * sizeof(struct pane *));
	qsort(panes, fold->pane_count, sizeof(struct pane *), by_window);
	for (uint32_t i = 0; i < fold->pane_count; i++)
		if (!panes[i]->closed)
			pane_dump(panes[i], fold->config->rollups.at[panes[i]->rollup].name,
			          &fold->groups, out);
	free(panes);
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
	.dump = fold_dump,
};
