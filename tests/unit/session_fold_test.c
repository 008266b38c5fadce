/* The session half alone: lateness, visits, partials, progress, idle sources, refused records, and
 * rollups that are added and removed. */
#include "base/buffer.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/interner.h"
#include "base/memory.h"
#include "base/span.h"
#include "base/timetext.h"
#include "event/event.h"
#include "event/event_id.h"
#include "event/reason.h"
#include "event/window.h"
#include "fold_pipeline.h"
#include "session_fold.h"
#include "stages.h"
#include "stream/outbox.h"
#include "stream/record.h"
#include "stream/task.h"
#include "unit/fold_kit.h"
#include "unit/fold_pipeline.h"
#include "wire/frame.h"
#include "wire/partitioner.h"
#include "wire/record_keys.h"
#include "wire/records_aggregate.h"
#include "wire/records_bronze.h"
#include "wire/records_counts.h"
#include "wire/records_measures.h"
#include "event/pseudonym.h"
#include "wire/records_cart.h"
#include "wire/records_visit.h"
#include "wire/topics.h"

/* ---- lateness */

Test(session_fold, late_header_names_exactly_what_the_event_is_left_out_of)
{
	size_t late = 0, tuples_seen = 0;

	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct rng rng = {seed};
		struct pipeline pipe;
		struct pipe_tuple *tuples;

		pipe_init(&pipe, seed, 2, PIPE_ROLLUPS, "view,cart,purchase");
		for (int p = 0; p < 2; p++)
			pipe_generate(&pipe, &rng, p, 400, KIT_DAY0_US + 20 * US_PER_HOUR,
			              4 * US_PER_MINUTE);
		pipe_run_sessions(&pipe, &rng, 50);
		tuples_seen +=
			pipe_tuples(&pipe,
		                    &tuples); /* compares headers and watermark for each window */
		for (size_t i = 0; i < pipe.event_count; i++) {
			const struct pipe_event *event = &pipe.events[i];
			bool visit_late = event->bronze.event.event_time_us <
			                  event->watermark_us - pipe.session.grace_us;

			cr_assert_eq(pipe_left_out(event->late_for, "visit", 0), visit_late,
			             "seed %" PRIu64 ", event %zu", seed, i);
		}
		cr_assert_eq(pipe.counts[0].late + pipe.counts[1].late, (int64_t)pipe.late.count,
		             "seed %" PRIu64, seed);
		cr_assert_eq(pipe.counts[0].records_in, 400);
		cr_assert_eq(pipe.counts[0].records_out, 400);
		late += pipe.late.count;
		free(tuples);
		pipe_free(&pipe);
	}
	cr_assert(late > 100 && tuples_seen > 10000,
	          "%zu late events, %zu windows: the test does not reach its subject", late,
	          tuples_seen);
}

Test(session_fold, late_event_goes_out_as_it_was_with_its_source)
{
	struct rng rng = {42};
	struct pipeline pipe;
	const struct output *output;
	struct bronze_event again;

	pipe_init(&pipe, 42, 1, PIPE_ROLLUPS, "view,cart,purchase");
	pipe_generate(&pipe, &rng, 0, 300, KIT_DAY0_US, 4 * US_PER_MINUTE);
	pipe_run_sessions(&pipe, &rng, 50);
	cr_assert(pipe.late.count > 0);
	for (size_t i = 0; i < pipe.late.count; i++) {
		output = &pipe.late.at[i];
		cr_assert(bronze_decode(kit_body(output), &again, NULL));
		for (size_t e = 0; e < pipe.event_count; e++)
			if (pipe.events[e].late_for.at == kit_header(output, "late_for").at)
				cr_assert_arr_eq(again.event_id, pipe.events[e].bronze.event_id,
				                 EVENT_ID_BYTES);
	}
	pipe_free(&pipe);
}

/* The key of the record is not copied. A huge key could make the late event larger than the broker
 * allows. */
Test(session_fold, late_event_has_its_sessions_key_whatever_the_records_was)
{
	static char huge[5 * 1024 * 1024];
	struct rng rng = {9};
	struct pipeline pipe;
	struct outbox box = {0};
	struct counts counts = {0};
	struct bronze_event event = kit_event(&rng, KIT_DAY0_US - US_PER_DAY, 1);
	struct buffer value = {0};
	struct input_record record = {.topic = SPAN("bronze"), .key = {huge, sizeof(huge)}};
	void *fold;

	pipe_init(&pipe, 9, 1, "1m:all", "view,cart,purchase");
	fold = session_fold_ops.new(&pipe.session, 0);
	kit_log_control(&pipe.sources[0], 0, "begin", KIT_DAY0_US);
	session_fold_ops.apply(fold,
	                       &(struct input_record[]){kit_log_record(&pipe.sources[0], 0)}[0],
	                       &counts, &box);
	bronze_encode(&value, 11, &event);
	record.value = (struct span){value.at, value.len};
	record.body = (struct span){value.at + FRAME_BYTES, value.len - FRAME_BYTES};
	session_fold_ops.apply(fold, &record, &counts, &box);
	cr_assert_eq(counts.late, 1);
	cr_assert(span_equal(box.at[0].key, event.event.user_session));
	session_fold_ops.free(fold);
	buffer_free(&value);
	outbox_free(&box);
	pipe_free(&pipe);
}

/* All outputs as one text. The input depends on the seed only. */
static struct buffer all_outputs(uint64_t seed, uint64_t key)
{
	struct rng rng = {seed};
	struct buffer out = {0};
	struct pipeline pipe;

	hash_key = key;
	pipe_init(&pipe, seed, 2, PIPE_ROLLUPS, "view,cart,checkout,purchase");
	for (int p = 0; p < 2; p++)
		pipe_generate(&pipe, &rng, p, 600, KIT_DAY0_US + 20 * US_PER_HOUR, US_PER_MINUTE);
	pipe_run_sessions(&pipe, &rng, 50);
	for (size_t i = 0; i < pipe.visits.count; i++)
		kit_serialise(&out, &pipe.visits.at[i]);
	for (size_t i = 0; i < pipe.late.count; i++)
		kit_serialise(&out, &pipe.late.at[i]);
	for (int m = 0; m < PIPE_MERGES; m++)
		for (size_t i = 0; i < pipe.partials[m].bytes.count; i++)
			kit_serialise(&out, &pipe.partials[m].bytes.at[i]);
	pipe_free(&pipe);
	hash_key = 0;
	return out;
}

Test(session_fold, outputs_do_not_depend_on_the_tables_key)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct buffer plain = all_outputs(seed, 0),
			      keyed = all_outputs(seed, UINT64_C(0x9e3779b97f4a7c15) * seed);

		cr_assert(plain.len > 100000);
		cr_assert(plain.len == keyed.len && memcmp(plain.at, keyed.at, plain.len) == 0,
		          "seed %" PRIu64, seed);
		buffer_free(&plain);
		buffer_free(&keyed);
	}
}

/* ---- visits */

struct visit_row {
	char key[64];
	int64_t start_us, end_us, events;
	bool final, exists;
	bool has_cart, has_purchase; /* of batch_visits */
};

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct visit_row *)a)->key, ((const struct visit_row *)b)->key);
}

static size_t existing_visits(const struct pipeline *pipe, struct visit_row *rows)
{
	struct interner keys = {0};
	size_t count = 0, kept = 0;

	for (size_t i = 0; i < pipe->visits.count; i++) {
		const struct output *output = &pipe->visits.at[i];
		struct visit visit;
		struct visit_row *row;
		uint32_t number;
		bool added;

		cr_assert(visit_decode(kit_body(output), &visit, NULL));
		cr_assert_eq(output->partition,
		             partition_of(visit.user_session,
		                          kit_context()->partition_count[TOPIC_SESSION_FUNNELS]));
		number = kit_number(&keys, output->key, &added);
		row = &rows[number];
		count += added;
		cr_assert(!visit.deleted || (!added && row->exists),
		          "seed %" PRIu64 ": a visit without a row is deleted", pipe->seed);
		*row = (struct visit_row){.start_us = visit.start_us,
		                          .end_us = visit.end_us,
		                          .final = visit.final,
		                          .exists = !visit.deleted};
		snprintf(row->key, sizeof(row->key), "%.*s", (int)output->key.len, output->key.at);
		for (int t = 0; t < EVENT_TYPE_COUNT; t++)
			row->events += visit.events[t];
	}
	for (size_t i = 0; i < count; i++)
		if (rows[i].exists)
			rows[kept++] = rows[i];
	qsort(rows, kept, sizeof(*rows), by_key);
	interner_free(&keys);
	return kept;
}

static void note_type(struct visit_row *row, const struct event *event)
{
	row->has_cart |= event->type == EVENT_CART;
	row->has_purchase |= event->type == EVENT_PURCHASE;
}

static int by_session_and_time(const void *a, const void *b)
{
	const struct event *x = &(*(const struct pipe_event *const *)a)->bronze.event,
			   *y = &(*(const struct pipe_event *const *)b)->bronze.event;
	char x_key[32], y_key[32], x_text[64], y_text[64];
	struct span x_span = event_session_key(x, x_key), y_span = event_session_key(y, y_key);
	int order;

	snprintf(x_text, sizeof(x_text), "%.*s", (int)x_span.len, x_span.at);
	snprintf(y_text, sizeof(y_text), "%.*s", (int)y_span.len, y_span.at);
	order = strcmp(x_text, y_text);
	return order ? order
	             : (x->event_time_us > y->event_time_us) -
	                       (x->event_time_us < y->event_time_us);
}

static size_t batch_visits(const struct pipeline *pipe, struct visit_row *rows)
{
	const struct pipe_event **events = xrealloc(NULL, pipe->event_count * sizeof(*events));
	size_t count = 0, kept = 0;
	char key[32], text[RECORD_KEY_MAX];

	for (size_t i = 0; i < pipe->event_count; i++)
		if (!pipe_left_out(pipe->events[i].late_for, "visit", 0))
			events[kept++] = &pipe->events[i];
	qsort(events, kept, sizeof(*events), by_session_and_time);
	for (size_t i = 0; i < kept; i++) {
		const struct event *event = &events[i]->bronze.event,
				   *before = i ? &events[i - 1]->bronze.event : NULL;
		struct span session = event_session_key(event, key);
		char other_key[32];

		if (before && span_equal(session, event_session_key(before, other_key)) &&
		    event->event_time_us - before->event_time_us <= 30 * US_PER_MINUTE &&
		    event->event_time_us / US_PER_DAY == before->event_time_us / US_PER_DAY) {
			rows[count - 1].end_us = event->event_time_us;
			rows[count - 1].events++;
			note_type(&rows[count - 1], event);
			continue;
		}
		rows[count] = (struct visit_row){.start_us = event->event_time_us,
		                                 .end_us = event->event_time_us,
		                                 .events = 1};
		note_type(&rows[count], event);
		visit_key(session, event->event_time_us, text);
		snprintf(rows[count++].key, sizeof(rows[0].key), "%.63s", text);
	}
	qsort(rows, count, sizeof(*rows), by_key);
	free(events);
	return count;
}

Test(session_fold, visits_equal_a_batch_computation_over_the_events_that_were_not_late)
{
	static struct visit_row got[20000], want[20000];

	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct rng rng = {seed + 60};
		struct pipeline pipe;
		size_t got_count, want_count;

		pipe_init(&pipe, seed, 2, "1m:all", "view,cart,purchase");
		for (int p = 0; p < 2; p++)
			pipe_generate(&pipe, &rng, p, 800, KIT_DAY0_US + 20 * US_PER_HOUR,
			              seed % 2 ? US_PER_MINUTE : 5 * US_PER_SECOND);
		pipe_run_sessions(&pipe, &rng, 30);
		got_count = existing_visits(&pipe, got);
		want_count = batch_visits(&pipe, want);
		cr_assert_eq(got_count, want_count, "seed %" PRIu64 ": %zu visits for %zu", seed,
		             got_count, want_count);
		for (size_t i = 0; i < got_count; i++) {
			cr_assert_str_eq(got[i].key, want[i].key, "seed %" PRIu64, seed);
			cr_assert_eq(got[i].end_us, want[i].end_us, "seed %" PRIu64 ": %s", seed,
			             got[i].key);
			cr_assert_eq(got[i].events, want[i].events, "seed %" PRIu64 ": %s", seed,
			             got[i].key);
			cr_assert(got[i].final, "seed %" PRIu64 ": %s", seed, got[i].key);
		}
		pipe_free(&pipe);
	}
}

/* ---- abandoned carts */

/* The row of a record, which must be there once. */
static size_t row_of_cart(const struct visit_row *rows, size_t count,
                          const struct abandoned_cart *cart)
{
	char key[RECORD_KEY_MAX], text[64];

	visit_key(cart->session, cart->start_us, key);
	snprintf(text, sizeof(text), "%.63s", key);
	for (size_t i = 0; i < count; i++)
		if (strcmp(rows[i].key, text) == 0)
			return i;
	cr_assert(false, "no visit %s", text);
	return count;
}

Test(session_fold, each_closed_visit_with_a_cart_and_no_purchase_is_emitted_once)
{
	static struct visit_row rows[20000];

	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct rng rng = {seed + 60};
		struct pipeline pipe;
		size_t count, wanted = 0;

		pipe_init(&pipe, seed, 2, "1m:all", "view,cart,purchase");
		pipe.session.abandoned_carts = CARTS_PLAIN;
		for (int p = 0; p < 2; p++)
			pipe_generate(&pipe, &rng, p, 800, KIT_DAY0_US + 20 * US_PER_HOUR,
			              seed % 2 ? US_PER_MINUTE : 5 * US_PER_SECOND);
		pipe_run_sessions(&pipe, &rng, 30);
		count = batch_visits(&pipe, rows);
		for (size_t i = 0; i < count; i++)
			wanted += rows[i].has_cart && !rows[i].has_purchase;
		cr_assert_gt(wanted, 5);
		cr_assert_eq(pipe.carts.count, wanted, "seed %" PRIu64, seed);
		for (size_t i = 0; i < pipe.carts.count; i++) {
			struct abandoned_cart cart;
			struct visit_row *row;

			cr_assert(cart_decode(kit_body(&pipe.carts.at[i]), &cart, NULL));
			cr_assert(span_equal(cart.session, pipe.carts.at[i].key));
			row = &rows[row_of_cart(rows, count, &cart)];
			cr_assert(row->has_cart && !row->has_purchase && !row->exists,
			          "seed %" PRIu64 ": %s", seed, row->key);
			cr_assert_eq(cart.end_us, row->end_us);
			cr_assert_eq(cart.views + cart.carts + cart.removes + cart.checkouts,
			             row->events);
			row->exists = true; /* a second record would fail */
		}
		pipe_free(&pipe);
	}
}

Test(session_fold, abandoned_carts_may_have_pseudonyms_or_be_off)
{
	struct pipeline plain, other;
	char name[PSEUDONYM_MAX];

	for (int way = 0; way < 3; way++) {
		struct rng rng = {3};
		struct pipeline *pipe = way == 0 ? &plain : &other;

		pipe_init(pipe, 3, 1, "1m:all", "view,cart,purchase");
		pipe->session.abandoned_carts = way == 0   ? CARTS_PLAIN
		                                : way == 1 ? CARTS_PSEUDONYMOUS
		                                           : CARTS_OFF;
		pipe->session.salt = "salt";
		pipe_generate(pipe, &rng, 0, 400, KIT_DAY0_US, US_PER_MINUTE);
		pipe_run_sessions(pipe, &rng, 30);
		cr_assert(way != 2 || pipe->carts.count == 0);
		for (size_t i = 0; way == 1 && i < pipe->carts.count; i++) {
			struct abandoned_cart cart, before;

			cr_assert_eq(pipe->carts.count, plain.carts.count);
			cr_assert(cart_decode(kit_body(&pipe->carts.at[i]), &cart, NULL));
			cr_assert(cart_decode(kit_body(&plain.carts.at[i]), &before, NULL));
			cr_assert(cart.pseudonymous && !before.pseudonymous);
			pseudonym("salt", "session", before.session, name);
			cr_assert(span_is(cart.session, name));
			cr_assert(span_is(pipe->carts.at[i].key, name));
			pseudonym("salt", "user", before.user, name);
			cr_assert(span_is(cart.user, name));
		}
		if (way > 0)
			pipe_free(pipe);
	}
	pipe_free(&plain);
}

/* From PostgreSQL: left(encode(sha256('salt' || 'user' || ':' || '17'), 'hex'), 20). */
Test(session_fold, pseudonyms_are_those_of_the_database)
{
	char name[PSEUDONYM_MAX];

	pseudonym("salt", "user", SPAN("17"), name);
	cr_assert_str_eq(name, "52fdb6789f16d3f3eba8");
}

/* ---- partials and progress */

Test(session_fold, partials_are_keyed_by_row_and_source_and_partitioned_by_row_alone)
{
	struct rng rng = {7};
	struct pipeline pipe;
	size_t rows = 0;

	pipe_init(&pipe, 7, 2, PIPE_ROLLUPS, "view,cart,purchase");
	for (int p = 0; p < 2; p++)
		pipe_generate(&pipe, &rng, p, 200, KIT_DAY0_US, US_PER_MINUTE);
	pipe_run_sessions(&pipe, &rng, 50);
	for (int m = 0; m < PIPE_MERGES; m++) {
		for (size_t i = 0; i < pipe.partials[m].bytes.count; i++) {
			struct input_record record = kit_log_record(&pipe.partials[m], i);
			struct partial partial;
			char key[RECORD_KEY_MAX], want[RECORD_KEY_MAX + 16];

			cr_assert(partial_decode(record.body, &partial, NULL));
			if (!partial.rollup.len)
				continue;
			aggregate_key(partial.rollup, partial.window_start_us,
			              partial.window_end_us, partial.group_value, key);
			cr_assert_eq(partition_of(span_of(key), PIPE_MERGES), m);
			snprintf(want, sizeof(want), "%s|%d", key, (int)partial.source_partition);
			cr_assert(span_is(record.key, want));
			rows++;
		}
	}
	cr_assert(rows > 1000);
	pipe_free(&pipe);
}

Test(session_fold, no_partial_comes_after_the_progress_that_passes_its_window)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct rng rng = {seed + 20};
		struct pipeline pipe;

		pipe_init(&pipe, seed, 3, PIPE_ROLLUPS, "view,cart,purchase");
		pipe.idles = true;
		for (int p = 0; p < 3; p++)
			pipe_generate(&pipe, &rng, p, 300, KIT_DAY0_US, 2 * US_PER_MINUTE);
		pipe_run_sessions(&pipe, &rng, 60);
		for (int m = 0; m < PIPE_MERGES; m++) {
			int64_t progress_us[PIPE_SOURCES] = {INT64_MIN, INT64_MIN, INT64_MIN,
			                                     INT64_MIN};

			for (size_t i = 0; i < pipe.partials[m].bytes.count; i++) {
				struct partial partial;

				cr_assert(partial_decode(kit_log_record(&pipe.partials[m], i).body,
				                         &partial, NULL));
				if (partial.rollup.len) {
					cr_assert(
						progress_us[partial.source_partition] ==
								INT64_MIN ||
							partial.window_end_us +
									pipe.session.grace_us >
								progress_us
									[partial.source_partition],
						"seed %" PRIu64
						": a partial of a window that its source passed",
						seed);
				} else {
					cr_assert(partial.watermark_us >=
					                  progress_us[partial.source_partition],
					          "seed %" PRIu64, seed);
					progress_us[partial.source_partition] =
						partial.watermark_us;
				}
			}
			for (int p = 0; p < 3; p++)
				cr_assert_eq(progress_us[p], PIPE_FAR_US - pipe.session.disorder_us,
				             "the last progress record has the last watermark");
		}
		pipe_free(&pipe);
	}
}

struct solo {
	struct pipeline pipe;
	struct rng rng;
	void *fold;
	struct counts counts;
	struct outbox box;
	struct kit_log *log;
	int64_t offset;
};

static void solo_init(struct solo *solo)
{
	*solo = (struct solo){.rng = {1}};
	pipe_init(&solo->pipe, 1, 1, "1m:all 1d:brand", "view,cart,purchase");
	solo->log = &solo->pipe.sources[0];
	solo->fold = session_fold_ops.new(&solo->pipe.session, 0);
}

static void solo_free(struct solo *solo)
{
	session_fold_ops.free(solo->fold);
	outbox_free(&solo->box);
	pipe_free(&solo->pipe);
}

static void solo_last(struct solo *solo)
{
	struct input_record record = kit_log_record(solo->log, solo->log->bytes.count - 1);

	session_fold_ops.apply(solo->fold, &record, &solo->counts, &solo->box);
}

static void solo_event(struct solo *solo, int64_t time_us, int session, enum event_type type)
{
	struct bronze_event event = kit_event(&solo->rng, time_us, session);

	event.event.type = type;
	kit_log_event(solo->log, solo->offset++, &event);
	solo_last(solo);
}

static void solo_control(struct solo *solo, const char *kind, int64_t time_us)
{
	kit_log_control(solo->log, solo->offset++, kind, time_us);
	solo_last(solo);
}

/* Clears the outputs. Returns the number of progress records in them; *idle: flag of the last
 * one. */
static int progress_count(struct solo *solo, bool *idle)
{
	int count = 0;

	for (size_t i = 0; i < solo->box.count; i++) {
		struct partial partial;

		if (solo->box.at[i].topic != TOPIC_FUNNEL_PARTIALS)
			continue;
		cr_assert(partial_decode(kit_body(&solo->box.at[i]), &partial, NULL));
		if (!partial.rollup.len) {
			count++;
			*idle = partial.idle;
		}
	}
	outbox_clear(&solo->box);
	return count;
}

Test(session_fold, progress_goes_to_every_merge_partition_when_a_boundary_is_crossed_and_only_then)
{
	struct solo solo;
	bool idle;

	solo_init(&solo);
	solo_control(&solo, "begin", KIT_DAY0_US);
	session_fold_ops.flush(solo.fold, &solo.box);
	cr_assert_eq(progress_count(&solo, &idle), PIPE_MERGES);
	solo_event(&solo, KIT_DAY0_US + US_PER_SECOND, 1, EVENT_VIEW);
	session_fold_ops.flush(solo.fold, &solo.box);
	cr_assert_eq(progress_count(&solo, &idle), 0, "the watermark is still in the same minute");
	solo_control(&solo, "jump", KIT_DAY0_US + 5 * US_PER_SECOND);
	session_fold_ops.flush(solo.fold, &solo.box);
	cr_assert_eq(progress_count(&solo, &idle), PIPE_MERGES, "a boundary itself is passed");
	cr_assert_not(idle);
	solo_free(&solo);
}

Test(session_fold, idle_source_announces_it_once_until_it_wakes)
{
	struct solo solo;
	bool idle = false;

	solo_init(&solo);
	solo_event(&solo, KIT_DAY0_US, 1, EVENT_VIEW);
	session_fold_ops.flush(solo.fold, &solo.box);
	progress_count(&solo, &idle);
	session_fold_ops.idle(solo.fold, &solo.box);
	cr_assert_eq(progress_count(&solo, &idle), PIPE_MERGES);
	cr_assert(idle);
	session_fold_ops.idle(solo.fold, &solo.box);
	cr_assert_eq(progress_count(&solo, &idle), 0);
	solo_event(&solo, KIT_DAY0_US, 2, EVENT_VIEW);
	session_fold_ops.flush(solo.fold, &solo.box);
	progress_count(&solo, &idle);
	session_fold_ops.idle(solo.fold, &solo.box);
	cr_assert_eq(progress_count(&solo, &idle), PIPE_MERGES);
	cr_assert(idle);
	solo_free(&solo);
}

Test(session_fold, idle_source_that_is_active_again_announces_it_to_every_merge_partition)
{
	struct solo solo;
	bool idle = false;

	solo_init(&solo);
	solo_event(&solo, KIT_DAY0_US, 1, EVENT_VIEW);
	session_fold_ops.flush(solo.fold, &solo.box);
	session_fold_ops.idle(solo.fold, &solo.box);
	progress_count(&solo, &idle);
	session_fold_ops.active(solo.fold, &solo.box);
	cr_assert_eq(progress_count(&solo, &idle), PIPE_MERGES);
	cr_assert_not(idle);
	session_fold_ops.idle(solo.fold, &solo.box);
	cr_assert_eq(progress_count(&solo, &idle), PIPE_MERGES, "idle again, without a record");
	cr_assert(idle);
	solo_free(&solo);
}

Test(session_fold, idle_source_that_only_a_control_has_woken_can_announce_again_that_it_is_idle)
{
	struct solo solo;
	bool idle = false;

	solo_init(&solo);
	solo_event(&solo, KIT_DAY0_US, 1, EVENT_VIEW);
	session_fold_ops.flush(solo.fold, &solo.box);
	session_fold_ops.idle(solo.fold, &solo.box);
	progress_count(&solo, &idle);
	cr_assert(idle);
	solo_control(&solo, "jump", KIT_DAY0_US + US_PER_DAY);
	session_fold_ops.flush(solo.fold, &solo.box);
	cr_assert_eq(progress_count(&solo, &idle), PIPE_MERGES);
	cr_assert_not(idle, "the progress of the jump wakes the source");
	session_fold_ops.idle(solo.fold, &solo.box);
	cr_assert_eq(progress_count(&solo, &idle), PIPE_MERGES,
	             "so it must be able to announce it again");
	cr_assert(idle);
	solo_free(&solo);
}

Test(session_fold, key_is_emitted_once_per_commit_however_many_events_touched_it)
{
	struct solo solo;

	solo_init(&solo);
	for (int i = 0; i < 50; i++)
		solo_event(&solo, KIT_DAY0_US + i, 1, EVENT_VIEW);
	outbox_clear(&solo.box);
	session_fold_ops.flush(solo.fold, &solo.box);
	for (size_t i = 0; i < solo.box.count; i++)
		for (size_t k = 0; k < i; k++)
			cr_assert_not(solo.box.at[i].topic == solo.box.at[k].topic &&
			              solo.box.at[i].partition == solo.box.at[k].partition &&
			              span_equal(solo.box.at[i].key, solo.box.at[k].key));
	outbox_clear(&solo.box);
	session_fold_ops.flush(solo.fold, &solo.box);
	cr_assert_eq(solo.box.count, 0, "nothing changed, nothing is emitted");
	solo_free(&solo);
}

Test(session_fold, closed_windows_and_visits_are_freed)
{
	struct solo solo;
	struct buffer dump = {0};

	solo_init(&solo);
	for (int i = 0; i < 500; i++)
		solo_event(&solo, KIT_DAY0_US + i * US_PER_MINUTE, i % 30,
		           (enum event_type)(i % 5));
	solo_control(&solo, "jump", PIPE_FAR_US);
	session_fold_ops.flush(solo.fold, &solo.box);
	session_fold_ops.dump(solo.fold, &dump);
	cr_assert(memchr(dump.at, '\n', dump.len) == dump.at + dump.len - 1,
	          "more than the clock is left: %.*s", (int)dump.len, dump.at);
	cr_assert(session_fold_ops.horizon(solo.fold) > KIT_DAY0_US + 30 * US_PER_DAY);
	buffer_free(&dump);
	solo_free(&solo);
}

/* Number of late events when the watermark is this long before the minute's end + grace. */
static size_t late_at(int64_t before_close_us)
{
	struct solo solo;
	size_t late = 0;
	int64_t close_us = KIT_DAY0_US + US_PER_MINUTE;

	solo_init(&solo);
	close_us += solo.pipe.session.grace_us + solo.pipe.session.disorder_us;
	solo_control(&solo, "jump", close_us - before_close_us);
	solo_event(&solo, KIT_DAY0_US + US_PER_MINUTE - 1, 1, EVENT_VIEW);
	for (size_t i = 0; i < solo.box.count; i++) {
		struct span late_for = kit_header(&solo.box.at[i], "late_for");

		late += solo.box.at[i].topic == TOPIC_LATE_EVENTS &&
		        pipe_left_out(late_for, "1m:all", 0) &&
		        !pipe_left_out(late_for, "1d:brand", 0);
	}
	solo_free(&solo);
	return late;
}

Test(session_fold, window_closes_when_the_watermark_is_at_its_end_and_grace_and_not_before)
{
	cr_assert_eq(late_at(1), 0);
	cr_assert_eq(late_at(0), 1);
}

/* ---- refused records */

Test(session_fold, measures_show_clock_watermark_and_state)
{
	struct fold_measures empty, measures;
	struct solo solo;

	solo_init(&solo);
	session_fold_ops.measure(solo.fold, &empty);
	cr_expect(empty.clock_us == INT64_MIN && empty.watermark_us == INT64_MIN &&
	          empty.entries == 0);
	solo_control(&solo, "begin", KIT_DAY0_US + US_PER_MINUTE);
	solo_event(&solo, KIT_DAY0_US + US_PER_MINUTE, 1, EVENT_VIEW);
	session_fold_ops.measure(solo.fold, &measures);
	cr_expect_eq(measures.clock_us, KIT_DAY0_US + US_PER_MINUTE);
	cr_expect_eq(measures.watermark_us, measures.clock_us - solo.pipe.session.disorder_us);
	/* a visit, and in each of two windows a group and its session */
	cr_expect_eq(measures.entries, 5);
	cr_expect_gt(measures.bytes, empty.bytes);
	solo_free(&solo);
}

static enum reason refused_as(struct solo *solo, struct input_record record)
{
	struct counts before = solo->counts;
	enum reason reason = REASON_NONE;

	outbox_clear(&solo->box);
	record.offset = solo->offset++;
	session_fold_ops.apply(solo->fold, &record, &solo->counts, &solo->box);
	for (int r = 0; r < REASON_COUNT; r++)
		if (solo->counts.dead[r] != before.dead[r])
			reason = (enum reason)r;
	cr_assert_eq(solo->counts.records_in, before.records_in + 1);
	cr_assert_eq(solo->counts.records_out, before.records_out);
	cr_assert_eq(solo->box.count, 1);
	cr_assert_eq(solo->box.at[0].topic, TOPIC_DEAD_LETTER);
	cr_assert(span_is(kit_header(&solo->box.at[0], "__connect.errors.exception.class.name"),
	                  reason_name(reason)));
	return reason;
}

Test(session_fold, record_that_cannot_be_folded_becomes_a_dead_letter)
{
	static const struct header bad_control[] = {{{"control", 7}, {"pause", 5}}};
	struct solo solo;

	solo_init(&solo);
	cr_assert_eq(refused_as(&solo, (struct input_record){.value = SPAN_NULL}),
	             REASON_NULL_VALUE);
	cr_assert_eq(refused_as(&solo,
	                        (struct input_record){.value = SPAN("?????x"), .body = SPAN("x")}),
	             REASON_MALFORMED_AVRO);
	cr_assert_eq(refused_as(&solo, (struct input_record){.value = SPAN("x"),
	                                                     .refused = REASON_WRONG_SCHEMA,
	                                                     .detail = "why"}),
	             REASON_WRONG_SCHEMA);
	cr_assert_eq(refused_as(&solo,
	                        (struct input_record){.headers = bad_control, .header_count = 1}),
	             REASON_INVALID_CONTROL);
	solo_free(&solo);
}

Test(session_fold, window_of_an_event_at_the_edge_of_time_is_one_that_the_merge_half_reads)
{
	static const int64_t times_us[] = {INT64_C(-62135596800000000),
	                                   INT64_C(253402300799999999)}; /* years 1 and 9999 */

	for (size_t i = 0; i < 2; i++) {
		struct solo solo;
		size_t partials = 0;

		solo_init(&solo);
		cr_assert(rollups_parse("1m:all 31d/1d:all", &solo.pipe.session.rollups, NULL));
		solo_event(&solo, times_us[i], 1, EVENT_VIEW);
		session_fold_ops.flush(solo.fold, &solo.box);
		for (size_t o = 0; o < solo.box.count; o++) {
			struct partial partial;
			const char *why = "";

			if (solo.box.at[o].topic != TOPIC_FUNNEL_PARTIALS)
				continue;
			cr_assert(partial_decode(kit_body(&solo.box.at[o]), &partial, &why),
			          "event %zu: %s", i, why);
			partials++;
		}
		cr_assert(partials >= 32);
		solo_free(&solo);
	}
}

Test(session_fold, start_times_without_a_valid_time_are_refused)
{
	static const char *const texts[] = {"1m:all@",
	                                    "1m:all@soon",
	                                    "1m:all@5x",
	                                    "1m:all@9223372036854775807",
	                                    "1m:all@-9223372036854775808",
	                                    "1m:all@99999999999999999999",
	                                    "1m:all@ever,1d:brand",
	                                    "1m:all@5,"};
	struct solo solo;

	solo_init(&solo);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct err err = {0};

		cr_assert_not(session_fold_ops.restore_start_times(solo.fold, span_of(texts[i]),
		                                                   &err),
		              "%s", texts[i]);
		cr_assert_eq(err.class, ERR_OPERATOR);
	}
	cr_assert(session_fold_ops.restore_start_times(
		solo.fold, SPAN("1m:all@ever,1d:brand@1569888000000000"), NULL));
	solo_free(&solo);
}

Test(session_fold, session_with_too_many_stage_times_is_one_dead_letter_without_its_bytes)
{
	struct solo solo;

	solo_init(&solo);
	for (int i = 0; i <= STAGE_TIMES_MAX; i++)
		solo_event(&solo, KIT_DAY0_US + i, 1, EVENT_CART);
	cr_assert_eq(solo.counts.dead[REASON_TOO_MANY_STAGE_TIMES], 1);
	cr_assert_eq(solo.counts.records_in, STAGE_TIMES_MAX + 1);
	cr_assert_eq(solo.counts.records_out, STAGE_TIMES_MAX);
	for (size_t i = 0; i < solo.box.count; i++)
		if (solo.box.at[i].topic == TOPIC_DEAD_LETTER)
			cr_assert_null(solo.box.at[i].value.at);
	solo_free(&solo);
}

/* ---- rollups that are added and removed */

struct window_sum {
	int64_t views;
	bool seen;
};

/* Restarts with other rollups after the first half of a stream. Returns the views of one rollup per
 * hour, as last emitted in the second half. */
static void restart_with(struct pipeline *pipe, const char *before, const char *after,
                         const char *rollup, struct window_sum *hours, int hour_count,
                         int64_t *restart_us)
{
	struct task_params params = {&session_fold_ops, &pipe->session, 0, 1, "m", 64, NULL};
	size_t half = pipe->sources[0].bytes.count / 2;
	struct outbox box = {0};
	char metadata[TASK_METADATA_MAX];
	struct task task;
	struct err err;
	int64_t committed;

	cr_assert(rollups_parse(before, &pipe->session.rollups, &err));
	task_start(&task, &params, 0);
	for (size_t i = 0; i < half; i++) {
		struct input_record record = kit_log_record(&pipe->sources[0], i);

		task_apply(&task, &record, &box);
	}
	task_flush(&task, &box);
	cr_assert(task_metadata(&task, metadata, &err));
	committed = task.position;
	task_committed(&task);
	task_free(&task);
	outbox_clear(&box);

	*restart_us = pipe->events[half - 1].watermark_us;
	cr_assert(rollups_parse(after, &pipe->session.rollups, &err));
	cr_assert(task_resume(&task, &params, committed, span_of(metadata), &err), "%s",
	          err.message);
	for (size_t i = 0; i < pipe->sources[0].bytes.count; i++) {
		struct input_record record = kit_log_record(&pipe->sources[0], i);

		if (record.offset >= task.position)
			task_apply(&task, &record, &box);
		if (i % 50 == 0 && !task.restoring)
			task_flush(&task, &box);
	}
	task_flush(&task, &box);
	for (size_t i = 0; i < box.count; i++) {
		struct partial partial;
		int64_t hour;

		if (box.at[i].topic != TOPIC_FUNNEL_PARTIALS || !box.at[i].value.at ||
		    !partial_decode(kit_body(&box.at[i]), &partial, NULL) ||
		    !span_is(partial.rollup, rollup))
			continue;
		hour = (partial.window_start_us - KIT_DAY0_US) / US_PER_HOUR;
		cr_assert(hour >= 0 && hour < hour_count);
		hours[hour] = (struct window_sum){partial.measures.events[EVENT_VIEW], true};
	}
	task_free(&task);
	outbox_free(&box);
}

Test(session_fold,
     added_rollup_starts_at_its_first_window_after_the_change_and_is_never_half_counted)
{
	static struct window_sum hours[1000];
	struct rng rng = {11};
	struct pipeline pipe;
	int64_t restart_us, views[1000] = {0};
	int first = -1, counted = 0;

	pipe_init(&pipe, 11, 1, "1m:all", "view,cart,purchase");
	pipe_generate(&pipe, &rng, 0, 1500, KIT_DAY0_US + 3 * US_PER_HOUR, 2 * US_PER_MINUTE);
	restart_with(&pipe, "1m:all", "1m:all 1h:all", "1h:all", hours, 1000, &restart_us);
	for (size_t i = 0; i < pipe.event_count; i++) {
		int64_t hour_us =
			pipe.events[i].bronze.event.event_time_us / US_PER_HOUR * US_PER_HOUR;

		if (hour_us + US_PER_HOUR + pipe.session.grace_us > pipe.events[i].watermark_us)
			views[(hour_us - KIT_DAY0_US) / US_PER_HOUR] +=
				pipe.events[i].bronze.event.type == EVENT_VIEW;
	}
	for (int h = 0; h < 1000; h++) {
		if (!hours[h].seen)
			continue;
		if (first < 0)
			first = h;
		cr_assert_eq(hours[h].views, views[h],
		             "hour %d is counted in part: %" PRId64 " of %" PRId64, h,
		             hours[h].views, views[h]);
		counted++;
	}
	cr_assert(counted > 3);
	cr_assert(KIT_DAY0_US + first * US_PER_HOUR > restart_us, "begins after what was seen");
	cr_assert(KIT_DAY0_US + first * US_PER_HOUR <= restart_us + 2 * US_PER_HOUR,
	          "and at the first window that does");
	pipe_free(&pipe);
}

Test(session_fold, removed_rollup_ends_and_the_others_continue)
{
	static struct window_sum hours[1000], kept[1000];
	struct rng rng = {12};
	struct pipeline pipe;
	int64_t restart_us;
	int seen = 0;

	pipe_init(&pipe, 12, 1, "1m:all", "view,cart,purchase");
	pipe_generate(&pipe, &rng, 0, 600, KIT_DAY0_US + 3 * US_PER_HOUR, 2 * US_PER_MINUTE);
	restart_with(&pipe, "1m:all 1h:all 1h:brand", "1m:all 1h:brand", "1h:all", hours, 1000,
	             &restart_us);
	for (int h = 0; h < 1000; h++)
		cr_assert_not(hours[h].seen);
	restart_with(&pipe, "1m:all 1h:all 1h:brand", "1m:all 1h:brand", "1h:brand", kept, 1000,
	             &restart_us);
	for (int h = 0; h < 1000; h++)
		seen += kept[h].seen;
	cr_assert(seen > 3);
	pipe_free(&pipe);
}

/* ---- buyers, and the version that did not count them */

#define VERSIONS_MAX 8

static size_t former_start_times(const void *fold, char out[FOLD_START_TIMES_MAX])
{
	char *buyers;

	session_fold_ops.start_times(fold, out);
	buyers = strstr(out, ",buyers@");
	cr_assert(buyers, "%s", out);
	*buyers = '\0';
	return (size_t)(buyers - out);
}

/* The last partial of each row, and by which of the versions. */
struct version_rows {
	struct interner keys;
	struct partial *at;
	int *version;
	uint32_t count, capacity, version_capacity;
};

static void rows_take(struct version_rows *rows, const struct pipeline *pipe, int version,
                      size_t taken[PIPE_MERGES])
{
	for (int m = 0; m < PIPE_MERGES; m++)
		for (; taken[m] < pipe->partials[m].bytes.count; taken[m]++) {
			struct input_record record = kit_log_record(&pipe->partials[m], taken[m]);
			struct partial partial;
			char key[RECORD_KEY_MAX];
			size_t len;
			bool added;
			uint32_t n;

			if (!record.value.at || !partial_decode(record.body, &partial, NULL) ||
			    !partial.rollup.len)
				continue;
			len = aggregate_key(partial.rollup, partial.window_start_us,
			                    partial.window_end_us, partial.group_value, key);
			n = kit_number(&rows->keys, (struct span){key, len}, &added);
			if (added) {
				GROW(rows->at, rows->count, rows->capacity);
				GROW(rows->version, rows->count, rows->version_capacity);
				rows->count++;
			}
			rows->at[n] = partial;
			rows->version[n] = version;
		}
}

/* One part of the stream for each version; false: the former one. Each version resumes from the
 * metadata of the one before. since_us: windows that begin at or after it count buyers, by
 * version. */
static void run_versions(struct pipeline *pipe, const bool *ours, int versions,
                         struct version_rows *rows, int64_t since_us[VERSIONS_MAX])
{
	struct fold_ops former = session_fold_ops;
	struct task_params params = {&session_fold_ops, &pipe->session, 0, 1, "m", 64, NULL};
	size_t next = 0, taken[PIPE_MERGES] = {0}, count = pipe->sources[0].bytes.count;
	char metadata[TASK_METADATA_MAX];
	int64_t committed = 0, seen_us = INT64_MIN;
	struct outbox box = {0};
	struct task task;
	struct err err;

	former.start_times = former_start_times;
	for (int v = 0; v < versions; v++) {
		size_t end = count * (size_t)(v + 1) / (size_t)versions;

		params.ops = ours[v] ? &session_fold_ops : &former;
		if (v == 0)
			task_start(&task, &params, 0);
		else
			cr_assert(task_resume(&task, &params, committed, span_of(metadata), &err),
			          "%s", err.message);
		since_us[v] = v == 0                    ? INT64_MIN
		              : ours[v] && !ours[v - 1] ? seen_us + 1
		                                        : since_us[v - 1];
		for (next = 0; next < end; next++) {
			struct input_record record = kit_log_record(&pipe->sources[0], next);

			if (record.offset < task.position)
				continue;
			task_apply(&task, &record, &box);
			if (next % 20 == 0 && !task.restoring) {
				task_flush(&task, &box);
				task_committed(&task);
				pipe_commit(pipe, &box);
			}
		}
		for (size_t i = 0; i < end && i < pipe->event_count; i++)
			if (pipe->events[i].bronze.event.event_time_us > seen_us)
				seen_us = pipe->events[i].bronze.event.event_time_us;
		task_flush(&task, &box);
		cr_assert(task_metadata(&task, metadata, &err));
		committed = task.position;
		task_committed(&task);
		pipe_commit(pipe, &box);
		rows_take(rows, pipe, v, taken);
		task_free(&task);
	}
	outbox_free(&box);
}

static void expect_versions(uint64_t seed, const bool *ours, int versions, const char *stages)
{
	struct rng rng = {seed};
	struct pipeline pipe;
	struct version_rows rows = {0};
	struct pipe_tuple *tuples;
	size_t count, used, counted = 0, not_counted = 0;
	int64_t since_us[VERSIONS_MAX];

	pipe_init(&pipe, seed, 1, "1m:all 1h:category 1d:all 5m/1m:brand 1d+1h:all", stages);
	pipe_generate(&pipe, &rng, 0, 1200, KIT_DAY0_US + 3 * US_PER_HOUR, 2 * US_PER_MINUTE);
	run_versions(&pipe, ours, versions, &rows, since_us);
	count = pipe_tuples(&pipe, &tuples);
	for (size_t i = 0; i < count; i += used) {
		struct measures want =
			pipe_recount(&tuples[i], count - i, &pipe.session.stages, &used);
		char key[RECORD_KEY_MAX];
		size_t len = aggregate_key(span_of(pipe.session.rollups.at[tuples[i].rollup].name),
		                           tuples[i].window.start_us, tuples[i].window.end_us,
		                           span_of(tuples[i].group), key);
		bool added;
		uint32_t n = kit_number(&rows.keys, (struct span){key, len}, &added);

		cr_assert_not(added);
		if (!ours[rows.version[n]])
			continue; /* its buyers are not in the partial of the former version */
		if (tuples[i].window.start_us < since_us[rows.version[n]]) {
			want.buying_view_sessions = NOT_COUNTED;
			want.view_purchase_sessions = NOT_COUNTED;
			want.view_cart_purchase_sessions = NOT_COUNTED;
			not_counted++;
		} else {
			counted += want.view_purchase_sessions > 0;
		}
		cr_assert_arr_eq(&rows.at[n].measures, &want, sizeof(want),
		                 "seed %" PRIu64 ": version %d, %.*s", seed, rows.version[n],
		                 (int)len, key);
	}
	cr_assert(counted > 2, "seed %" PRIu64 ": %zu windows with buyers", seed, counted);
	cr_assert_eq(not_counted > 0, since_us[versions - 1] != INT64_MIN, "seed %" PRIu64, seed);
	free(tuples);
	interner_free(&rows.keys);
	free(rows.at);
	free(rows.version);
	pipe_free(&pipe);
}

Test(session_fold, buyers_are_counted_from_the_first_window_after_the_version_that_did_not)
{
	static const bool upgraded[] = {false, true, true, true},
			  back[] = {false, true, true, false, true, true, true},
			  never_former[] = {true, true, true, true};

	for (uint64_t seed = 1; seed <= 8; seed++) {
		const char *stages =
			seed % 2 ? "view,cart,purchase" : "view,cart,checkout,purchase";

		expect_versions(seed, upgraded, 4, stages);
		expect_versions(seed, back, 7, stages);
		expect_versions(seed, never_former, 4, stages);
	}
}

Test(session_fold, start_of_buyers_is_not_announced)
{
	char start_times[FOLD_START_TIMES_MAX];
	struct solo solo;

	solo_init(&solo);
	session_fold_ops.restored(solo.fold);
	solo_event(&solo, KIT_DAY0_US, 1, EVENT_VIEW);
	session_fold_ops.flush(solo.fold, &solo.box);
	for (size_t i = 0; i < solo.box.count; i++)
		for (size_t h = 0; h < solo.box.at[i].header_count; h++)
			if (span_is(solo.box.at[i].headers[h].name, "since"))
				cr_assert_null(memchr(solo.box.at[i].headers[h].value.at, 'y',
				                      solo.box.at[i].headers[h].value.len),
				               "a rollup name has no y");
	session_fold_ops.start_times(solo.fold, start_times);
	cr_assert(strstr(start_times, ",buyers@ever"), "%s", start_times);
	solo_free(&solo);
}
