/* The accumulators of an open window against a recount, for events in random order. */
#include "base/err.h"
#include "event/event.h"
#include "event/window.h"
#include "fold_kit.h"
#include "open_windows.h"
#include "stages.h"
#include "unit/fold_kit.h"
#include "wire/records_measures.h"

#define SESSIONS 5
#define GROUPS   2
#define BEGIN_US INT64_C(1569888000000000)

struct seen_event {
	struct event event;
	uint32_t session, group;
};

static int64_t earliest(const struct seen_event *events, int count, uint32_t group,
                        uint32_t session, enum event_type type, int64_t from_us)
{
	int64_t best_us = INT64_MAX;

	for (int i = 0; i < count; i++)
		if (events[i].group == group && events[i].session == session &&
		    events[i].event.type == type && events[i].event.event_time_us >= from_us &&
		    events[i].event.event_time_us < best_us)
			best_us = events[i].event.event_time_us;
	return best_us;
}

/* The funnel and the purchases of one session in one group. */
static void recount_session(struct measures *m, const struct seen_event *events, int count,
                            uint32_t group, uint32_t session, const struct stages *stages)
{
	int64_t stage_us = INT64_MIN, last_us = INT64_MIN,
		view_us = earliest(events, count, group, session, EVENT_VIEW, INT64_MIN), cart_us;

	for (int k = 0; k < stages->count && stage_us != INT64_MAX; k++) {
		stage_us = earliest(events, count, group, session, stages->at[k], stage_us);
		if (stage_us == INT64_MAX || k == 0)
			continue;
		m->funnel_cart_sessions += stages->at[k] == EVENT_CART;
		m->funnel_checkout_sessions += stages->at[k] == EVENT_CHECKOUT;
		m->funnel_purchase_sessions += stages->at[k] == EVENT_PURCHASE;
	}
	for (int i = 0; i < count; i++)
		if (events[i].group == group && events[i].session == session &&
		    events[i].event.type == EVENT_PURCHASE &&
		    events[i].event.event_time_us > last_us)
			last_us = events[i].event.event_time_us;
	if (view_us == INT64_MAX || last_us == INT64_MIN)
		return;
	cart_us = earliest(events, count, group, session, EVENT_CART, view_us);
	m->buying_view_sessions++;
	m->view_purchase_sessions += view_us <= last_us;
	m->view_cart_purchase_sessions += cart_us <= last_us;
}

static struct measures recount(const struct seen_event *events, int count, uint32_t group,
                               const struct stages *stages)
{
	struct measures m = {0};

	for (int i = 0; i < count; i++) {
		if (events[i].group != group)
			continue;
		m.events[events[i].event.type]++;
		if (events[i].event.type == EVENT_PURCHASE)
			m.revenue_cents += events[i].event.price_cents;
	}
	for (uint32_t s = 0; s < SESSIONS; s++) {
		bool any = false;

		for (int i = 0; i < count; i++)
			any |= events[i].group == group && events[i].session == s;
		m.sessions += any;
		m.view_sessions +=
			earliest(events, count, group, s, EVENT_VIEW, INT64_MIN) != INT64_MAX;
		m.cart_sessions +=
			earliest(events, count, group, s, EVENT_CART, INT64_MIN) != INT64_MAX;
		m.purchase_sessions +=
			earliest(events, count, group, s, EVENT_PURCHASE, INT64_MIN) != INT64_MAX;
		recount_session(&m, events, count, group, s, stages);
	}
	return m;
}

/* The measures of buyers in a window that does not count them. */
static struct measures without_buyers(struct measures m)
{
	m.buying_view_sessions = NOT_COUNTED;
	m.view_purchase_sessions = NOT_COUNTED;
	m.view_cart_purchase_sessions = NOT_COUNTED;
	return m;
}

static void expect_recount(const char *list, uint64_t seed, bool counts_buyers,
                           const struct open_window *like)
{
	struct rng rng = {seed};
	struct seen_event events[80];
	struct open_window *window =
		open_window_new(0, (struct window){BEGIN_US, BEGIN_US + 100}, counts_buyers, like);
	struct stages stages;
	struct err err;

	cr_assert(stages_parse(list, &stages, &err));
	for (int i = 0; i < 80; i++) {
		struct event event = {.event_time_us = BEGIN_US + rng_below(&rng, 20),
		                      .type = (enum event_type)rng_below(&rng, EVENT_TYPE_COUNT),
		                      .price_cents = rng_below(&rng, 1000)};
		uint32_t group = (uint32_t)rng_below(&rng, GROUPS) + 7,
			 accumulator = open_window_group(window, group);
		struct measures want;

		events[i] = (struct seen_event){event, (uint32_t)rng_below(&rng, SESSIONS), group};
		cr_assert(
			open_window_count(window, accumulator, events[i].session, &event, &stages));
		want = recount(events, i + 1, group, &stages);
		if (!counts_buyers)
			want = without_buyers(want);
		cr_assert_arr_eq(&window->accumulators[accumulator].measures, &want, sizeof(want),
		                 "%s, seed %" PRIu64 ", event %d", list, seed, i);
	}
	cr_assert_eq(window->accumulator_count, GROUPS);
	open_window_free(window, &stages);
}

static const char *const lists[] = {"view,cart,checkout,purchase",
                                    "view,cart,purchase",
                                    "view,checkout,cart,purchase",
                                    "view,purchase",
                                    "view,cart",
                                    "cart,purchase",
                                    "view,cart,remove_from_cart,checkout,purchase"};

Test(open_windows, accumulators_equal_a_recount_after_every_event)
{
	for (size_t l = 0; l < sizeof(lists) / sizeof(lists[0]); l++)
		for (uint64_t seed = 1; seed <= 60; seed++)
			expect_recount(lists[l], seed, true, NULL);
}

Test(open_windows, window_from_before_buyers_were_counted_counts_all_but_them)
{
	for (size_t l = 0; l < sizeof(lists) / sizeof(lists[0]); l++)
		for (uint64_t seed = 1; seed <= 10; seed++)
			expect_recount(lists[l], seed, false, NULL);
}

static struct open_window *new_with(uint32_t groups, uint32_t sessions, const struct stages *stages,
                                    const struct open_window *like)
{
	struct open_window *window = open_window_new(0, (struct window){0, 100}, true, like);
	struct event event = {.type = EVENT_VIEW};

	for (uint32_t i = 0; i < sessions; i++)
		cr_assert(open_window_count(window, open_window_group(window, i % groups), i,
		                            &event, stages));
	return window;
}

Test(open_windows, window_like_another_takes_as_many_groups_and_sessions_without_growing)
{
	static const uint32_t sizes[][2] = {{1, 1}, {1, 7}, {6, 500}, {300, 4096}};
	struct stages stages;
	struct err err;

	cr_assert(stages_parse("view,cart,purchase", &stages, &err));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct open_window *first = new_with(sizes[i][0], sizes[i][1], &stages, NULL),
				   *empty =
					   open_window_new(0, (struct window){0, 100}, true, first),
				   *full = new_with(sizes[i][0], sizes[i][1], &stages, first);

		cr_assert_eq(open_window_bytes(empty), open_window_bytes(full), "case %zu", i);
		cr_assert_eq(session_table_count(&full->sessions), sizes[i][1]);
		expect_recount("view,cart,purchase", i + 1, true, first);
		open_window_free(first, &stages);
		open_window_free(empty, &stages);
		open_window_free(full, &stages);
	}
}

Test(open_windows, window_like_a_large_one_takes_no_more_than_1_mib_at_first)
{
	struct stages stages;
	struct err err;
	struct open_window *large, *window;

	cr_assert(stages_parse("view,cart,purchase", &stages, &err));
	large = new_with(5000, 200000, &stages, NULL);
	window = open_window_new(0, (struct window){0, 100}, true, large);
	cr_assert(open_window_bytes(window) < 1024 * 1024, "%zu bytes", open_window_bytes(window));
	open_window_free(large, &stages);
	open_window_free(window, &stages);
}

Test(open_windows, session_with_views_only_takes_at_most_32_bytes)
{
	static const uint32_t counts[] = {10000, 50000, 100000, 150000, 200000};
	struct stages stages;
	struct err err;

	cr_assert(stages_parse("view,cart,purchase", &stages, &err));
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct open_window *window = new_with(1, counts[i], &stages, NULL);

		cr_assert(open_window_bytes(window) < 32 * counts[i] + 4096, "%zu bytes for %u",
		          open_window_bytes(window), counts[i]);
		open_window_free(window, &stages);
	}
}

Test(open_windows, buyers_of_a_total_are_not_counted_if_those_of_a_part_are_not)
{
	struct measures counted = {.view_purchase_sessions = 3, .sessions = 4},
			part = without_buyers((struct measures){.sessions = 5}), sum = counted;

	measures_add(&sum, &part);
	cr_assert_eq(sum.sessions, 9);
	cr_assert_eq(sum.view_purchase_sessions, NOT_COUNTED);
	cr_assert_eq(sum.buying_view_sessions, NOT_COUNTED);
	cr_assert_eq(sum.view_cart_purchase_sessions, NOT_COUNTED);
	measures_add(&sum, &counted);
	cr_assert_eq(sum.view_purchase_sessions, NOT_COUNTED, "and stay so");
}

Test(open_windows, purchase_without_a_price_adds_nothing_to_revenue)
{
	struct stages stages;
	struct err err;
	struct open_window *window = open_window_new(0, (struct window){0, 100}, true, NULL);
	struct event event = {.type = EVENT_PURCHASE, .price_cents = -1};
	uint32_t accumulator = open_window_group(window, 1);

	cr_assert(stages_parse("view,cart,purchase", &stages, &err));
	cr_assert(open_window_count(window, accumulator, 1, &event, &stages));
	cr_assert_eq(window->accumulators[accumulator].measures.revenue_cents, 0);
	cr_assert_eq(window->accumulators[accumulator].measures.events[EVENT_PURCHASE], 1);
	open_window_free(window, &stages);
}

Test(open_windows, measures_add_up_and_stop_at_the_largest_number)
{
	struct measures a, b, sum;
	struct rng rng = {3};

	for (size_t i = 0; i < sizeof(a) / 8; i++)
		((int64_t *)&a)[i] = rng_below(&rng, 1000),
			  ((int64_t *)&b)[i] = rng_below(&rng, 1000);
	sum = a;
	measures_add(&sum, &b);
	for (size_t i = 0; i < sizeof(a) / 8; i++)
		cr_assert_eq(((int64_t *)&sum)[i], ((int64_t *)&a)[i] + ((int64_t *)&b)[i],
		             "measure %zu", i);
	for (size_t i = 0; i < sizeof(a) / 8; i++)
		((int64_t *)&a)[i] = INT64_MAX - 5, ((int64_t *)&b)[i] = (int64_t)i;
	measures_add(&a, &b);
	for (size_t i = 0; i < sizeof(a) / 8; i++)
		cr_assert_eq(((int64_t *)&a)[i], i < 5 ? INT64_MAX - 5 + (int64_t)i : INT64_MAX,
		             "measure %zu", i);
}

Test(open_windows, revenue_stops_at_the_largest_number)
{
	struct stages stages;
	struct err err;
	struct open_window *window = open_window_new(0, (struct window){0, 100}, true, NULL);
	struct event event = {.type = EVENT_PURCHASE,
	                      .price_cents =
	                              INT64_C(99999999999999999)}; /* the highest valid price */
	uint32_t accumulator = open_window_group(window, 1);

	cr_assert(stages_parse("view,cart,purchase", &stages, &err));
	for (int i = 0; i < 92; i++)
		cr_assert(open_window_count(window, accumulator, 1, &event, &stages));
	cr_assert_eq(window->accumulators[accumulator].measures.revenue_cents,
	             92 * event.price_cents);
	cr_assert(open_window_count(window, accumulator, 1, &event, &stages));
	cr_assert(open_window_count(window, accumulator, 1, &event, &stages));
	cr_assert_eq(window->accumulators[accumulator].measures.revenue_cents, INT64_MAX);
	open_window_free(window, &stages);
}
