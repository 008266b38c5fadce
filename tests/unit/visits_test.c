/* Visits against a batch computation, which sorts events by time and id, and splits them by UTC day
 * and by gaps of more than 30 minutes. Events come in random order and are flushed at random
 * points. The sink is a table of rows, as a consumer keeps it. It fails on each delete without a
 * row. */
#include "base/buffer.h"
#include "base/err.h"
#include "base/interner.h"
#include "base/span.h"
#include "base/timetext.h"
#include "event/event.h"
#include "event/event_id.h"
#include "fold_kit.h"
#include "stages.h"
#include "unit/fold_kit.h"
#include "visits.h"
#include "wire/records_bronze.h"
#include "wire/records_visit.h"

#define EVENTS_MAX 120
#define SESSIONS   4
#define DAY_US     (KIT_DAY0_US + US_PER_DAY)

struct row {
	struct visit visit;
	char session[32], first_category[64], last_category[64], drop_off[32];
	bool exists;
};

struct reader {
	struct row rows[4 * EVENTS_MAX];
	int row_count;
	bool upsert_in_this_flush;
	int deletes, finals;
	uint64_t seed;
};

static struct row *reader_row(struct reader *reader, struct span session, int64_t start_us)
{
	for (int i = 0; i < reader->row_count; i++)
		if (span_is(session, reader->rows[i].session) &&
		    reader->rows[i].visit.start_us == start_us)
			return &reader->rows[i];
	return NULL;
}

static struct span keep(char *to, size_t cap, struct span text)
{
	if (!text.at)
		return SPAN_NULL;
	cr_assert(text.len < cap);
	memcpy(to, text.at, text.len);
	to[text.len] = '\0';
	return (struct span){to, text.len};
}

static void reader_take(void *context, const struct visit *visit)
{
	struct reader *reader = context;
	struct row *row = reader_row(reader, visit->user_session, visit->start_us);

	cr_assert_not(row && row->exists && row->visit.final,
	              "seed %" PRIu64 ": a closed visit changed", reader->seed);
	if (row)
		cr_assert(visit->revision > row->visit.revision ||
		                  (visit->revision == row->visit.revision && visit->final &&
		                   !row->visit.final),
		          "seed %" PRIu64 ": revision %" PRId64 " after %" PRId64, reader->seed,
		          visit->revision, row->visit.revision);
	if (visit->deleted) {
		cr_assert(row && row->exists,
		          "seed %" PRIu64 ": a row that does not exist is deleted", reader->seed);
		cr_assert_not(reader->upsert_in_this_flush,
		              "seed %" PRIu64 ": a delete after an insert", reader->seed);
		row->exists = false;
		row->visit.revision = visit->revision;
		reader->deletes++;
		return;
	}
	reader->upsert_in_this_flush = true;
	reader->finals += visit->final;
	if (!row)
		row = &reader->rows[reader->row_count++];
	row->visit = *visit;
	row->visit.user_session = keep(row->session, sizeof(row->session), visit->user_session);
	row->visit.first_category =
		keep(row->first_category, sizeof(row->first_category), visit->first_category);
	row->visit.last_category =
		keep(row->last_category, sizeof(row->last_category), visit->last_category);
	row->visit.drop_off_stage =
		keep(row->drop_off, sizeof(row->drop_off), visit->drop_off_stage);
	row->exists = true;
}

/* ---- the batch computation */

static int by_time(const void *a, const void *b)
{
	const struct bronze_event *x = a, *y = b;

	if (x->event.event_time_us != y->event.event_time_us)
		return x->event.event_time_us < y->event.event_time_us ? -1 : 1;
	return memcmp(x->event_id, y->event_id, EVENT_ID_BYTES);
}

static int64_t earliest(const struct bronze_event *run, int count, enum event_type type,
                        int64_t from_us)
{
	for (int i = 0; i < count && from_us != INT64_MAX; i++)
		if (run[i].event.type == type && run[i].event.event_time_us >= from_us)
			return run[i].event.event_time_us;
	return INT64_MAX;
}

static int distinct_products(const struct bronze_event *run, int count)
{
	int distinct = 0;

	for (int i = 0; i < count; i++) {
		bool seen = false;

		for (int k = 0; k < i; k++)
			seen |= run[k].event.product_id == run[i].event.product_id;
		distinct += !seen;
	}
	return distinct;
}

static int64_t ms_between(int64_t from_us, int64_t to_us)
{
	return from_us == INT64_MAX || to_us == INT64_MAX ? -1 : (to_us - from_us) / 1000;
}

/* A run of one session's events, sorted. */
static struct visit batch_visit(const struct bronze_event *run, int count,
                                const struct stages *stages)
{
	int64_t view_us = earliest(run, count, EVENT_VIEW, INT64_MIN), stage_us = INT64_MIN;
	struct visit v = {
		.start_us = run[0].event.event_time_us,
		.end_us = run[count - 1].event.event_time_us,
		.user_id = run[0].event.user_id,
		.products = distinct_products(run, count),
		.first_category = run[0].event.category_code,
		.last_category = run[count - 1].event.category_code,
		.view_to_cart_ms = ms_between(view_us, earliest(run, count, EVENT_CART, view_us)),
		.view_to_purchase_ms =
			ms_between(view_us, earliest(run, count, EVENT_PURCHASE, view_us)),
		.view_purchase = earliest(run, count, EVENT_PURCHASE, view_us) != INT64_MAX,
		.view_cart_purchase =
			earliest(run, count, EVENT_PURCHASE,
	                         earliest(run, count, EVENT_CART, view_us)) != INT64_MAX,
	};

	for (int i = 0; i < count; i++) {
		v.events[run[i].event.type]++;
		if (run[i].event.type == EVENT_PURCHASE)
			v.revenue_cents += run[i].event.price_cents;
	}
	for (int k = 0; k < stages->count; k++) {
		stage_us = earliest(run, count, stages->at[k], stage_us);
		if (stage_us == INT64_MAX)
			break;
		v.furthest_stage = k + 1;
	}
	if (v.furthest_stage < stages->count && v.events[EVENT_PURCHASE] == 0)
		v.drop_off_stage =
			v.furthest_stage
				? span_of(event_type_name(stages->at[v.furthest_stage - 1]))
				: SPAN("none");
	return v;
}

static void expect_row(struct reader *reader, struct span session, const struct visit *want)
{
	const struct row *row = reader_row(reader, session, want->start_us);
	const struct visit *got;

	cr_assert(row && row->exists, "seed %" PRIu64 ": no visit of %.*s at %" PRId64,
	          reader->seed, (int)session.len, session.at, want->start_us);
	got = &row->visit;
	cr_assert_eq(got->end_us, want->end_us, "seed %" PRIu64, reader->seed);
	cr_assert_eq(got->user_id, want->user_id, "seed %" PRIu64, reader->seed);
	cr_assert_arr_eq(got->events, want->events, sizeof(got->events), "seed %" PRIu64,
	                 reader->seed);
	cr_assert_eq(got->products, want->products, "seed %" PRIu64, reader->seed);
	cr_assert_eq(got->revenue_cents, want->revenue_cents, "seed %" PRIu64, reader->seed);
	cr_assert(span_equal(got->first_category, want->first_category), "seed %" PRIu64,
	          reader->seed);
	cr_assert(span_equal(got->last_category, want->last_category), "seed %" PRIu64,
	          reader->seed);
	cr_assert_eq(got->furthest_stage, want->furthest_stage, "seed %" PRIu64, reader->seed);
	cr_assert(span_equal(got->drop_off_stage, want->drop_off_stage), "seed %" PRIu64,
	          reader->seed);
	cr_assert_eq(got->view_to_cart_ms, want->view_to_cart_ms,
	             "seed %" PRIu64 ": view to cart %" PRId64 " for %" PRId64, reader->seed,
	             got->view_to_cart_ms, want->view_to_cart_ms);
	cr_assert_eq(got->view_purchase, want->view_purchase, "seed %" PRIu64, reader->seed);
	cr_assert_eq(got->view_cart_purchase, want->view_cart_purchase, "seed %" PRIu64,
	             reader->seed);
	cr_assert_eq(got->view_to_purchase_ms, want->view_to_purchase_ms,
	             "seed %" PRIu64 ": view to purchase %" PRId64 " for %" PRId64, reader->seed,
	             got->view_to_purchase_ms, want->view_to_purchase_ms);
}

/* Expects exactly the visits of these events. Returns their number. */
static int expect_batch(struct reader *reader, const struct bronze_event *events,
                        const int *sessions, int count, const struct stages *stages)
{
	int visits = 0, existing = 0;

	for (int s = 0; s < SESSIONS; s++) {
		struct bronze_event run[EVENTS_MAX];
		int n = 0, from = 0;

		for (int i = 0; i < count; i++)
			if (sessions[i] == s)
				run[n++] = events[i];
		qsort(run, (size_t)n, sizeof(run[0]), by_time);
		for (int i = 1; i <= n; i++) {
			int64_t before_us = run[i - 1].event.event_time_us,
				here_us = i < n ? run[i].event.event_time_us : INT64_MAX;

			if (i == n || here_us - before_us > 30 * US_PER_MINUTE ||
			    here_us / US_PER_DAY != before_us / US_PER_DAY) {
				struct visit want = batch_visit(run + from, i - from, stages);

				expect_row(reader, kit_session(s + 1), &want);
				from = i;
				visits++;
			}
		}
	}
	for (int i = 0; i < reader->row_count; i++)
		existing += reader->rows[i].exists;
	cr_assert_eq(existing, visits, "seed %" PRIu64 ": %d rows exist, %d visits", reader->seed,
	             existing, visits);
	return visits;
}

/* ---- the module under test, with its interners */

struct bench {
	struct stages stages;
	struct interner sessions, categories;
	struct visits *visits;
	int64_t revision;
};

static void bench_init(struct bench *bench, const char *stages)
{
	struct err err;

	*bench = (struct bench){0};
	cr_assert(stages_parse(stages, &bench->stages, &err));
	bench->visits = visits_new(&bench->stages, &bench->sessions, &bench->categories);
}

static void bench_free(struct bench *bench)
{
	visits_free(bench->visits);
	interner_free(&bench->sessions);
	interner_free(&bench->categories);
}

static void bench_add(struct bench *bench, int session, const struct bronze_event *event)
{
	int64_t time_us = event->event.event_time_us;
	uint32_t number =
		interner_put(&bench->sessions, kit_session(session + 1), time_us, INT64_MIN);
	uint32_t category = event->event.category_code.at
	                            ? interner_put(&bench->categories, event->event.category_code,
	                                           time_us, INT64_MIN)
	                            : INTERNED_NONE;

	cr_assert(visits_add(bench->visits, number, category, event, ++bench->revision));
}

static void bench_flush(struct bench *bench, struct reader *reader)
{
	reader->upsert_in_this_flush = false;
	visits_flush(bench->visits, reader_take, reader);
}

/* Times around midnight: multiples of 10 minutes, some of them one microsecond earlier or later. */
static int64_t random_visit_time(struct rng *rng)
{
	return DAY_US + rng_between(rng, -30, 30) * 10 * US_PER_MINUTE +
	       (rng_chance(rng, 4) ? rng_between(rng, -1, 1) : 0);
}

static const char *const stage_lists[] = {"view,cart,purchase", "view,cart,checkout,purchase",
                                          "view,purchase",      "view,cart",
                                          "cart,purchase",      "view,checkout,cart,purchase"};

static int random_events(struct rng *rng, struct bronze_event *events, int *sessions)
{
	int count = (int)rng_between(rng, 1, EVENTS_MAX);

	for (int i = 0; i < count; i++) {
		sessions[i] = (int)rng_below(rng, rng_chance(rng, 2) ? 1 : SESSIONS);
		events[i] = kit_event(rng, random_visit_time(rng), sessions[i] + 1);
		events[i].event.user_id = rng_between(rng, 1, 3);
	}
	return count;
}

Test(visits, rows_equal_a_batch_computation_whatever_the_order_and_the_flushes)
{
	static struct reader reader;
	int deletes = 0;

	for (uint64_t seed = 1; seed <= 600; seed++) {
		struct rng rng = {seed};
		struct bronze_event events[EVENTS_MAX];
		int sessions[EVENTS_MAX], count = random_events(&rng, events, sessions), visits;
		struct bench bench;
		struct buffer dump = {0};

		reader = (struct reader){.seed = seed};
		bench_init(&bench, stage_lists[seed % 6]);
		for (int i = 0; i < count; i++) {
			bench_add(&bench, sessions[i], &events[i]);
			if (rng_chance(&rng, 4)) {
				bench_flush(&bench, &reader);
				if (rng_chance(&rng, 4))
					expect_batch(&reader, events, sessions, i + 1,
					             &bench.stages);
			}
		}
		bench_flush(&bench, &reader);
		visits = expect_batch(&reader, events, sessions, count, &bench.stages);
		visits_close(bench.visits, DAY_US + 10 * US_PER_DAY);
		bench_flush(&bench, &reader);
		expect_batch(&reader, events, sessions, count, &bench.stages);
		cr_assert_eq(reader.finals, visits, "seed %" PRIu64 ": %d of %d visits are final",
		             seed, reader.finals, visits);
		visits_dump(bench.visits, &dump);
		cr_assert_eq(dump.len, 0, "seed %" PRIu64 ": closed visits are not freed", seed);
		deletes += reader.deletes;
		buffer_free(&dump);
		bench_free(&bench);
	}
	cr_assert(deletes > 1000, "only %d rows were deleted: the test does not reach its subject",
	          deletes);
}

/* Visits close at a limit that moves on as a watermark does. No event before the limit arrives. */
Test(visits, rows_equal_a_batch_computation_while_visits_close_on_the_way)
{
	static struct reader reader;

	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct rng rng = {seed + 5000};
		struct bronze_event events[EVENTS_MAX];
		int sessions[EVENTS_MAX], count = 0;
		int64_t front_us = DAY_US - 5 * US_PER_HOUR, limit_us = INT64_MIN;
		struct bench bench;

		reader = (struct reader){.seed = seed};
		bench_init(&bench, stage_lists[seed % 6]);
		while (count < EVENTS_MAX) {
			int64_t time_us;

			front_us += rng_below(&rng, 3) * 5 * US_PER_MINUTE;
			time_us = front_us - rng_below(&rng, 5) * 10 * US_PER_MINUTE;
			if (time_us < limit_us)
				continue;
			sessions[count] = (int)rng_below(&rng, SESSIONS);
			events[count] = kit_event(&rng, time_us, sessions[count] + 1);
			bench_add(&bench, sessions[count], &events[count]);
			count++;
			if (rng_chance(&rng, 3)) {
				limit_us = front_us - 20 * US_PER_MINUTE > limit_us
				                   ? front_us - 20 * US_PER_MINUTE
				                   : limit_us;
				visits_close(bench.visits, limit_us);
			}
			if (rng_chance(&rng, 3))
				bench_flush(&bench, &reader);
		}
		bench_flush(&bench, &reader);
		expect_batch(&reader, events, sessions, count, &bench.stages);
		for (int i = 0; i < reader.row_count; i++)
			if (reader.rows[i].exists)
				cr_assert_eq(reader.rows[i].visit.final,
				             reader.rows[i].visit.end_us + 30 * US_PER_MINUTE <
				                     limit_us,
				             "seed %" PRIu64, seed);
		bench_free(&bench);
	}
}

static struct bronze_event view_at(int64_t time_us, uint8_t id)
{
	return (struct bronze_event){.event = {.event_time_us = time_us,
	                                       .product_id = 1,
	                                       .user_id = id,
	                                       .price_cents = -1,
	                                       .type = EVENT_VIEW},
	                             .event_id = {id}};
}

static int visits_of_two(int64_t first_us, int64_t second_us)
{
	static struct reader reader;
	struct bench bench;
	struct bronze_event a = view_at(first_us, 1), b = view_at(second_us, 2);
	int existing = 0;

	reader = (struct reader){0};
	bench_init(&bench, "view,cart,purchase");
	bench_add(&bench, 0, &a);
	bench_add(&bench, 0, &b);
	bench_flush(&bench, &reader);
	for (int i = 0; i < reader.row_count; i++)
		existing += reader.rows[i].exists;
	bench_free(&bench);
	return existing;
}

Test(visits, gap_of_exactly_30_minutes_joins_and_a_microsecond_more_does_not)
{
	cr_assert_eq(visits_of_two(DAY_US, DAY_US + 30 * US_PER_MINUTE), 1);
	cr_assert_eq(visits_of_two(DAY_US + 30 * US_PER_MINUTE, DAY_US), 1);
	cr_assert_eq(visits_of_two(DAY_US, DAY_US + 30 * US_PER_MINUTE + 1), 2);
	cr_assert_eq(visits_of_two(DAY_US + 30 * US_PER_MINUTE + 1, DAY_US), 2);
}

Test(visits, revenue_stops_at_the_largest_number)
{
	static struct reader reader;
	struct bench bench;

	bench_init(&bench, "view,cart,purchase");
	/* Two visits of 60 purchases each, joined by the last event. */
	for (int i = 0; i < 120; i++) {
		struct bronze_event event =
			view_at(DAY_US + i / 60 * US_PER_HOUR + i % 60, (uint8_t)i);

		event.event.type = EVENT_PURCHASE;
		event.event.price_cents = INT64_C(99999999999999999); /* the highest valid price */
		bench_add(&bench, 0, &event);
	}
	bench_flush(&bench, &reader);
	cr_assert_eq(reader.row_count, 2);
	cr_assert_eq(reader.rows[0].visit.revenue_cents, 60 * INT64_C(99999999999999999));
	bench_add(&bench, 0,
	          &(struct bronze_event[]){view_at(DAY_US + 30 * US_PER_MINUTE + 59, 200)}[0]);
	bench_flush(&bench, &reader);
	cr_assert(reader.rows[0].exists && !reader.rows[1].exists);
	cr_assert_eq(reader.rows[0].visit.revenue_cents, INT64_MAX);
	bench_free(&bench);
}

Test(visits, midnight_splits_a_visit_whatever_the_gap)
{
	cr_assert_eq(visits_of_two(DAY_US - 1, DAY_US), 2);
	cr_assert_eq(visits_of_two(DAY_US, DAY_US - 1), 2);
}

Test(visits, ties_in_time_go_by_event_id)
{
	static struct reader reader;
	struct bench bench;
	struct bronze_event a = view_at(DAY_US, 9), b = view_at(DAY_US, 3);

	reader = (struct reader){0};
	a.event.category_code = SPAN("nine");
	b.event.category_code = SPAN("three");
	bench_init(&bench, "view,cart,purchase");
	bench_add(&bench, 0, &a);
	bench_add(&bench, 0, &b);
	bench_flush(&bench, &reader);
	cr_assert_eq(reader.rows[0].visit.user_id, 3);
	cr_assert(span_is(reader.rows[0].visit.first_category, "three"));
	cr_assert(span_is(reader.rows[0].visit.last_category, "nine"));
	bench_free(&bench);
}

Test(visits, event_that_joins_two_emitted_visits_deletes_the_row_of_the_later_one_only)
{
	static struct reader reader;
	struct bench bench;
	struct bronze_event a = view_at(DAY_US, 1), b = view_at(DAY_US + US_PER_HOUR, 2),
			    joining = view_at(DAY_US + 30 * US_PER_MINUTE, 3);

	for (int later_first = 0; later_first < 2; later_first++) {
		reader = (struct reader){0};
		bench_init(&bench, "view,cart,purchase");
		bench_add(&bench, 0, later_first ? &b : &a);
		bench_add(&bench, 0, later_first ? &a : &b);
		bench_flush(&bench, &reader);
		bench_add(&bench, 0, &joining);
		bench_flush(&bench, &reader);
		cr_assert_eq(reader.deletes, 1);
		cr_assert(reader_row(&reader, kit_session(1), DAY_US)->exists);
		cr_assert_not(reader_row(&reader, kit_session(1), DAY_US + US_PER_HOUR)->exists);
		cr_assert_eq(reader_row(&reader, kit_session(1), DAY_US)->visit.events[EVENT_VIEW],
		             3);
		bench_free(&bench);
	}
}

Test(visits, discarded_changes_count_as_flushed)
{
	static struct reader reader;
	struct bench bench;
	struct bronze_event a = view_at(DAY_US, 1), earlier = view_at(DAY_US - 1 + 2, 2);

	reader = (struct reader){0};
	bench_init(&bench, "view,cart,purchase");
	bench_add(&bench, 0, &a);
	visits_discard_changes(bench.visits);
	bench_flush(&bench, &reader);
	cr_assert_eq(reader.row_count, 0);
	bench_add(&bench, 0, &earlier);
	bench_flush(&bench, &reader);
	cr_assert_eq(reader.row_count, 1);
	bench_free(&bench);
}

Test(visits, numbers_of_closed_and_merged_visits_are_reused)
{
	static struct reader reader;
	struct bench bench;
	struct buffer dump = {0};

	reader = (struct reader){0};
	bench_init(&bench, "view,cart,purchase");
	for (int day = 0; day < 200; day++) {
		int64_t start_us = DAY_US + day * US_PER_DAY;
		struct bronze_event a = view_at(start_us, 1),
				    b = view_at(start_us + US_PER_HOUR, 2),
				    joining = view_at(start_us + 30 * US_PER_MINUTE, 3);

		reader.row_count = 0;
		bench_add(&bench, 0, &a);
		bench_add(&bench, 0, &b);
		if (day % 2)
			bench_flush(&bench, &reader);
		bench_add(&bench, 0, &joining);
		if (day % 3)
			bench_flush(&bench, &reader);
		visits_close(bench.visits, start_us + US_PER_DAY);
		bench_flush(&bench, &reader);
		cr_assert_eq(
			reader_row(&reader, kit_session(1), start_us)->visit.events[EVENT_VIEW], 3);
	}
	cr_assert_eq(reader.finals, 200);
	visits_dump(bench.visits, &dump);
	cr_assert_eq(dump.len, 0);
	buffer_free(&dump);
	bench_free(&bench);
}
