/* Both halves of the aggregator without Kafka. Random clickstreams of several source partitions go
 * through session folds and merge folds, with commits at random points. An independent recount of
 * the same events gives the expected rows. */
#ifndef FUNNEL_FOLD_PIPELINE_H
#define FUNNEL_FOLD_PIPELINE_H

#include "base/err.h"
#include "base/memory.h"
#include "base/span.h"
#include "base/timetext.h"
#include "event/event.h"
#include "event/window.h"
#include "fold_kit.h"
#include "merge_fold.h"
#include "session_fold.h"
#include "stages.h"
#include "stream/outbox.h"
#include "stream/record.h"
#include "unit/fold_kit.h"
#include "wire/records_bronze.h"
#include "wire/records_counts.h"
#include "wire/records_measures.h"
#include "wire/topics.h"

#define PIPE_SOURCES 4
#define PIPE_MERGES  2
#define PIPE_FAR_US  (KIT_DAY0_US + 40 * US_PER_DAY)
#define PIPE_ROLLUPS \
	"1m:all 1m:category1 1h:category 1d:all 1d:category 1d:brand 5m/1m:brand 1d+1h:all"

struct pipe_event {
	struct bronze_event bronze;
	int64_t offset;
	int32_t partition;
	int64_t watermark_us; /* of the partition after this event; INT64_MIN: none */
	struct span late_for; /* as in the late event's header; at == NULL: not late */
};

struct pipeline {
	uint64_t seed;
	struct session_fold_config session;
	struct merge_fold_config merge;
	int source_count;
	struct kit_log sources[PIPE_SOURCES];
	struct kit_log partials[PIPE_MERGES];
	struct outbox visits, late, carts;
	struct counts counts[PIPE_SOURCES];
	struct pipe_event *events;
	size_t event_count, event_capacity;
	int64_t granule_us; /* event times are multiples of this; 0: any time */
	bool idles;         /* sources announce at random that they are idle */
	bool announced;     /* events have the clock of their source, as those of our producer */
};

static inline void pipe_init(struct pipeline *pipe, uint64_t seed, int source_count,
                             const char *rollups, const char *stages)
{
	struct err err;

	*pipe = (struct pipeline){.seed = seed, .source_count = source_count};
	pipe->session.outputs = pipe->merge.outputs = kit_context();
	pipe->session.disorder_us = 5 * US_PER_SECOND;
	pipe->session.grace_us = pipe->merge.grace_us = 10 * US_PER_MINUTE;
	pipe->merge.source_count = source_count;
	cr_assert(rollups_parse(rollups, &pipe->session.rollups, &err), "%s", err.message);
	cr_assert(stages_parse(stages, &pipe->session.stages, &err), "%s", err.message);
	for (int p = 0; p < source_count; p++)
		pipe->sources[p] = (struct kit_log){.partition = p, .framed = true};
	for (int m = 0; m < PIPE_MERGES; m++)
		pipe->partials[m] = (struct kit_log){.partition = m, .framed = true};
}

static inline void pipe_free(struct pipeline *pipe)
{
	for (int p = 0; p < PIPE_SOURCES; p++)
		kit_log_free(&pipe->sources[p]);
	for (int m = 0; m < PIPE_MERGES; m++)
		kit_log_free(&pipe->partials[m]);
	outbox_free(&pipe->visits);
	outbox_free(&pipe->late);
	outbox_free(&pipe->carts);
	free(pipe->events);
}

/* ---- input */

/* The clock of a partition by its definition, without a limit of memory. */
struct slow_clock {
	int64_t best_us[KIT_USERS + 1], set_us;
};

static inline int64_t slow_clock_take(struct slow_clock *clock, int64_t time_us, int64_t user)
{
	int64_t first_us = INT64_MIN, second_us = INT64_MIN;

	if (clock->set_us == INT64_MIN)
		clock->set_us = time_us;
	if (time_us > clock->best_us[user])
		clock->best_us[user] = time_us;
	for (int u = 0; u <= KIT_USERS; u++) {
		if (clock->best_us[u] > first_us) {
			second_us = first_us;
			first_us = clock->best_us[u];
		} else if (clock->best_us[u] > second_us) {
			second_us = clock->best_us[u];
		}
	}
	return second_us > clock->set_us ? second_us : clock->set_us;
}

/* Random events for one source from front_us on. Sessions come and go. */
static inline void pipe_generate(struct pipeline *pipe, struct rng *rng, int32_t partition,
                                 int count, int64_t front_us, int64_t step_us)
{
	struct slow_clock clock = {.set_us = INT64_MIN};
	int64_t offset = 0;

	for (int u = 0; u <= KIT_USERS; u++)
		clock.best_us[u] = INT64_MIN;
	for (int i = 0; i < count; i++) {
		struct pipe_event event = {.partition = partition};
		int session;
		int64_t time_us, clock_us;

		do
			session = 1 + i / 25 * 3 + (int)rng_below(rng, KIT_SESSIONS);
		while (kit_home(session, pipe->source_count) != partition);
		time_us = kit_next_time(rng, &front_us, step_us);
		event.bronze = kit_event(rng,
		                         pipe->granule_us ? time_floor(time_us, pipe->granule_us)
		                                          : time_us,
		                         session);
		event.offset = offset;
		clock_us = slow_clock_take(&clock, event.bronze.event.event_time_us,
		                           event.bronze.event.user_id);
		event.watermark_us = clock_us - pipe->session.disorder_us;
		if (pipe->announced)
			event.bronze.lineage.source_clock_us = clock_us;
		kit_log_event(&pipe->sources[partition], offset, &event.bronze);
		GROW(pipe->events, pipe->event_count, pipe->event_capacity);
		pipe->events[pipe->event_count++] = event;
		offset += rng_chance(rng, 10) ? 3 : 1;
	}
	kit_log_control(&pipe->sources[partition], offset, "jump", PIPE_FAR_US);
}

/* ---- the session half */

static inline void pipe_note_late(struct pipeline *pipe, const struct output *output)
{
	struct span partition = kit_header(output, "source_partition"),
		    offset = kit_header(output, "source_offset");

	for (size_t i = 0; i < pipe->event_count; i++) {
		struct pipe_event *event = &pipe->events[i];

		if (event->partition != strtol(partition.at, NULL, 10) ||
		    event->offset != strtoll(offset.at, NULL, 10))
			continue;
		cr_assert_null(event->late_for.at, "seed %" PRIu64 ": late twice", pipe->seed);
		kit_copy(&pipe->late, output);
		event->late_for = kit_header(&pipe->late.at[pipe->late.count - 1], "late_for");
		return;
	}
	cr_assert(false, "seed %" PRIu64 ": a late event that was never sent", pipe->seed);
}

/* Makes the outputs of a commit visible to the consumers. */
static inline void pipe_commit(struct pipeline *pipe, struct outbox *box)
{
	for (size_t i = 0; i < box->count; i++) {
		const struct output *output = &box->at[i];
		struct kit_log *log;

		switch ((enum topic_id)output->topic) {
		case TOPIC_FUNNEL_PARTIALS:
			log = &pipe->partials[output->partition];
			kit_log_add(log,
			            log->bytes.count
			                    ? log->offsets[log->bytes.count - 1] + 1 + (i == 0)
			                    : 0,
			            0, output->key, output->value, output->headers,
			            output->header_count);
			break;
		case TOPIC_SESSION_FUNNELS: kit_copy(&pipe->visits, output); break;
		case TOPIC_LATE_EVENTS: pipe_note_late(pipe, output); break;
		case TOPIC_ABANDONED_CARTS: kit_copy(&pipe->carts, output); break;
		case TOPIC_BRONZE_EVENTS:
		case TOPIC_DEAD_LETTER:
		case TOPIC_COUNTS:
		case TOPIC_AGGREGATED_EVENTS:
		case TOPIC_RAW_EVENTS:
		case TOPIC_ALERTS:
		case TOPIC_PRODUCER_STATE:
		case TOPIC_COUNT:
			cr_assert(false, "seed %" PRIu64 ": output to topic %u", pipe->seed,
			          (unsigned)output->topic);
		}
	}
	outbox_clear(box);
}

/* Runs all sources in random turns. Each turn is one commit of at most batch_max records. */
static inline void pipe_run_sessions(struct pipeline *pipe, struct rng *rng, int64_t batch_max)
{
	size_t next[PIPE_SOURCES] = {0};
	void *folds[PIPE_SOURCES];
	struct outbox box = {0};
	int left = pipe->source_count;

	for (int p = 0; p < pipe->source_count; p++)
		folds[p] = session_fold_ops.new(&pipe->session, p);
	while (left) {
		int p = (int)rng_below(rng, pipe->source_count);

		if (next[p] == pipe->sources[p].bytes.count)
			continue;
		for (int64_t n = rng_between(rng, 1, batch_max);
		     n > 0 && next[p] < pipe->sources[p].bytes.count; n--) {
			struct input_record record = kit_log_record(&pipe->sources[p], next[p]++);

			session_fold_ops.apply(folds[p], &record, &pipe->counts[p], &box);
		}
		session_fold_ops.flush(folds[p], &box);
		if (pipe->idles && rng_chance(rng, 6))
			session_fold_ops.idle(folds[p], &box);
		pipe_commit(pipe, &box);
		left -= next[p] == pipe->sources[p].bytes.count;
	}
	for (int p = 0; p < pipe->source_count; p++)
		session_fold_ops.free(folds[p]);
	outbox_free(&box);
}

/* ---- the recount */

/* Whether the header late_for names a window (or, with rollup "visit", the visit). */
static inline bool pipe_left_out(struct span late_for, const char *rollup, int64_t window_end_us)
{
	size_t name_len = strlen(rollup);

	while (late_for.at && late_for.len) {
		const char *comma = memchr(late_for.at, ',', late_for.len);
		struct span entry = {late_for.at,
		                     comma ? (size_t)(comma - late_for.at) : late_for.len};
		int64_t until_us;

		late_for.at += entry.len + (comma != NULL);
		late_for.len -= entry.len + (comma != NULL);
		if (entry.len < name_len || memcmp(entry.at, rollup, name_len) != 0)
			continue;
		if (entry.len == name_len)
			return true;
		if (entry.len > name_len + 2 && memcmp(entry.at + name_len, "<=", 2) == 0) {
			cr_assert(time_parse((struct span){entry.at + name_len + 2,
			                                   entry.len - name_len - 2},
			                     &until_us));
			return window_end_us <= until_us;
		}
	}
	return false;
}

struct pipe_tuple {
	int rollup;
	struct window window;
	char group[40], session[24];
	const struct event *event;
};

static inline int pipe_by_row(const struct pipe_tuple *x, const struct pipe_tuple *y)
{
	if (x->rollup != y->rollup)
		return x->rollup - y->rollup;
	if (x->window.start_us != y->window.start_us)
		return x->window.start_us < y->window.start_us ? -1 : 1;
	if (x->window.end_us != y->window.end_us)
		return x->window.end_us < y->window.end_us ? -1 : 1;
	return strcmp(x->group, y->group);
}

static inline int pipe_by_tuple(const void *a, const void *b)
{
	const struct pipe_tuple *x = a, *y = b;
	int order = pipe_by_row(x, y);

	if (!order)
		order = strcmp(x->session, y->session);
	if (!order)
		order = (x->event->event_time_us > y->event->event_time_us) -
		        (x->event->event_time_us < y->event->event_time_us);
	return order;
}

/* Every window of every rollup in which an event counts. It tries all window starts near the event,
 * and does not use the arithmetic under test. */
static inline size_t pipe_tuples(const struct pipeline *pipe, struct pipe_tuple **tuples)
{
	size_t count = 0, capacity = 0;

	*tuples = NULL;
	for (size_t i = 0; i < pipe->event_count; i++) {
		const struct pipe_event *from = &pipe->events[i];
		const struct event *event = &from->bronze.event;

		for (int r = 0; r < pipe->session.rollups.count; r++) {
			const struct rollup *rollup = &pipe->session.rollups.at[r];
			bool grows = rollup->kind == WINDOW_CUMULATING;
			int64_t unit_us = grows ? rollup->size_us : rollup->step_us;

			for (int64_t n = event->event_time_us / unit_us - rollup->size_us / unit_us;
			     n <= event->event_time_us / unit_us; n++) {
				for (int64_t len_us = grows ? rollup->step_us : rollup->size_us;
				     len_us <= rollup->size_us; len_us += rollup->step_us) {
					struct window window = {n * unit_us, n * unit_us + len_us};
					struct pipe_tuple *tuple;
					struct span group, session;
					char number[32];
					bool late;

					if (event->event_time_us < window.start_us ||
					    event->event_time_us >= window.end_us)
						continue;
					late = window.end_us + pipe->session.grace_us <=
					       from->watermark_us;
					cr_assert_eq(pipe_left_out(from->late_for, rollup->name,
					                           window.end_us),
					             late,
					             "seed %" PRIu64 ": %s of event %" PRId32
					             "/%" PRId64 ", late_for '%.*s'",
					             pipe->seed, rollup->name, from->partition,
					             from->offset, (int)from->late_for.len,
					             from->late_for.at ? from->late_for.at : "");
					if (late)
						continue;
					GROW(*tuples, count, capacity);
					tuple = &(*tuples)[count++];
					*tuple = (struct pipe_tuple){.rollup = r,
					                             .window = window,
					                             .event = event};
					group = group_value(rollup->group, event, number);
					snprintf(tuple->group, sizeof(tuple->group), "%.*s",
					         (int)group.len, group.at);
					session = event_session_key(event, number);
					snprintf(tuple->session, sizeof(tuple->session), "%.*s",
					         (int)session.len, session.at);
				}
			}
		}
	}
	qsort(*tuples, count, sizeof(**tuples), pipe_by_tuple);
	return count;
}

/* Adds what the purchases of one session come after, by trying each of them. */
static inline void pipe_count_buyer(struct measures *m, const struct pipe_tuple *run, size_t count)
{
	int64_t view_us = INT64_MAX, cart_us = INT64_MAX;
	bool any = false, after_view = false, after_cart = false;

	for (size_t i = 0; i < count; i++)
		if (run[i].event->type == EVENT_VIEW && run[i].event->event_time_us < view_us)
			view_us = run[i].event->event_time_us;
	for (size_t i = 0; i < count; i++)
		if (run[i].event->type == EVENT_CART && run[i].event->event_time_us >= view_us &&
		    run[i].event->event_time_us < cart_us)
			cart_us = run[i].event->event_time_us;
	for (size_t i = 0; i < count; i++) {
		if (run[i].event->type != EVENT_PURCHASE)
			continue;
		any = true;
		after_view |= run[i].event->event_time_us >= view_us;
		after_cart |= run[i].event->event_time_us >= cart_us;
	}
	m->buying_view_sessions += any && view_us != INT64_MAX;
	m->view_purchase_sessions += after_view;
	m->view_cart_purchase_sessions += after_cart;
}

/* Adds the events of one session in one row, ordered by time. */
static inline void pipe_count_session(struct measures *m, const struct pipe_tuple *run,
                                      size_t count, const struct stages *stages)
{
	bool has[EVENT_TYPE_COUNT] = {false};
	int64_t from_us = INT64_MIN;

	for (size_t i = 0; i < count; i++)
		has[run[i].event->type] = true;
	pipe_count_buyer(m, run, count);
	m->sessions++;
	m->view_sessions += has[EVENT_VIEW];
	m->cart_sessions += has[EVENT_CART];
	m->purchase_sessions += has[EVENT_PURCHASE];
	for (int k = 0; k < stages->count; k++) {
		size_t i = 0;

		while (i < count && (run[i].event->type != stages->at[k] ||
		                     run[i].event->event_time_us < from_us))
			i++;
		if (i == count)
			return;
		from_us = run[i].event->event_time_us;
		if (k == 0)
			continue;
		m->funnel_cart_sessions += stages->at[k] == EVENT_CART;
		m->funnel_checkout_sessions += stages->at[k] == EVENT_CHECKOUT;
		m->funnel_purchase_sessions += stages->at[k] == EVENT_PURCHASE;
	}
}

/* The measures of the row that begins at tuples[0]. *used: the number of its tuples. */
static inline struct measures pipe_recount(const struct pipe_tuple *tuples, size_t count,
                                           const struct stages *stages, size_t *used)
{
	struct measures m = {0};
	size_t end = 0, from = 0;

	while (end < count && pipe_by_row(&tuples[0], &tuples[end]) == 0)
		end++;
	for (size_t i = 0; i < end; i++) {
		m.events[tuples[i].event->type]++;
		if (tuples[i].event->type == EVENT_PURCHASE)
			m.revenue_cents += tuples[i].event->price_cents;
		if (i + 1 == end || strcmp(tuples[i].session, tuples[i + 1].session) != 0) {
			pipe_count_session(&m, tuples + from, i + 1 - from, stages);
			from = i + 1;
		}
	}
	*used = end;
	return m;
}

#endif
