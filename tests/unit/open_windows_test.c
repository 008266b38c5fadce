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

static struct measures recount(const struct seen_event *events, int count, uint32_t group)
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
		int64_t view_us = earliest(events, count, group, s, EVENT_VIEW, INT64_MIN), cart_us,
			checkout_us;
		bool any = false;

		for (int i = 0; i < count; i++)
			any |= events[i].group == group && events[i].session == s;
		m.sessions += any;
		m.view_sessions += view_us != INT64_MAX;
		m.cart_sessions +=
			earliest(events, count, group, s, EVENT_CART, INT64_MIN) != INT64_MAX;
		m.purchase_sessions +=
			earliest(events, count, group, s, EVENT_PURCHASE, INT64_MIN) != INT64_MAX;
		cart_us = view_us == INT64_MAX
		                  ? INT64_MAX
		                  : earliest(events, count, group, s, EVENT_CART, view_us);
		m.funnel_cart_sessions += cart_us != INT64_MAX;
		checkout_us = cart_us == INT64_MAX
		                      ? INT64_MAX
		                      : earliest(events, count, group, s, EVENT_CHECKOUT, cart_us);
		m.funnel_checkout_sessions += checkout_us != INT64_MAX;
		m.funnel_purchase_sessions +=
			checkout_us != INT64_MAX &&
			earliest(events, count, group, s, EVENT_PURCHASE, checkout_us) != INT64_MAX;
	}
	return m;
}

Test(open_windows, accumulators_equal_a_recount_after_every_event)
{
	struct stages stages;
	struct err err;

	cr_assert(stages_parse("view,cart,checkout,purchase", &stages, &err));
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct rng rng = {seed};
		struct seen_event events[80];
		struct open_window *window = open_window_new(0, (struct window){0, 100});

		for (int i = 0; i < 80; i++) {
			struct event event = {.event_time_us = rng_below(&rng, 20),
			                      .type = (enum event_type)rng_below(&rng,
			                                                         EVENT_TYPE_COUNT),
			                      .price_cents = rng_below(&rng, 1000)};
			uint32_t group = (uint32_t)rng_below(&rng, GROUPS) + 7,
				 accumulator = open_window_group(window, group);
			struct measures want;

			events[i] = (struct seen_event){event, (uint32_t)rng_below(&rng, SESSIONS),
			                                group};
			cr_assert(open_window_count(window, accumulator, events[i].session, &event,
			                            &stages));
			want = recount(events, i + 1, group);
			cr_assert_arr_eq(&window->accumulators[accumulator].measures, &want,
			                 sizeof(want), "seed %" PRIu64 ", event %d", seed, i);
		}
		cr_assert_eq(window->accumulator_count, GROUPS);
		open_window_free(window, &stages);
	}
}

Test(open_windows, purchase_without_a_price_adds_nothing_to_revenue)
{
	struct stages stages;
	struct err err;
	struct open_window *window = open_window_new(0, (struct window){0, 100});
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
	struct open_window *window = open_window_new(0, (struct window){0, 100});
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
