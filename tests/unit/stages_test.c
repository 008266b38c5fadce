/* The funnel of a session against brute force, in every order of arrival. */
#include "base/err.h"
#include "fold_kit.h"
#include "stages.h"
#include "unit/fold_kit.h"

#define EVENTS_MAX 6

struct stage_event {
	int stage;
	int64_t time_us;
};

static struct stages stages_of(const char *text)
{
	struct stages stages;
	struct err err;

	cr_assert(stages_parse(text, &stages, &err), "%s", err.message);
	return stages;
}

/* The longest chain of events whose stages are in order and whose times never decrease. */
static int longest_chain(const struct stage_event *events, int count, int stage, int64_t from_us)
{
	int best = 0;

	for (int i = 0; i < count; i++) {
		if (events[i].stage == stage && events[i].time_us >= from_us) {
			int reached =
				1 + longest_chain(events, count, stage + 1, events[i].time_us);

			best = reached > best ? reached : best;
		}
	}
	return best;
}

static bool any_at(const struct stage_event *events, int count, int stage, int64_t from_us,
                   int64_t to_us)
{
	for (int i = 0; i < count; i++)
		if (events[i].stage == stage && events[i].time_us >= from_us &&
		    events[i].time_us <= to_us)
			return true;
	return false;
}

/* Tries every pair of a view and a purchase at or after it. */
static enum bought brute_bought(const struct stages *stages, const struct stage_event *events,
                                int count)
{
	enum bought bought = BOUGHT_NOT;

	for (int v = 0; v < count; v++)
		for (int p = 0; p < count; p++)
			if (events[v].stage == stages->of_type[EVENT_VIEW] &&
			    events[p].stage == stages->of_type[EVENT_PURCHASE] &&
			    events[p].time_us >= events[v].time_us && bought < BOUGHT_AFTER_CART)
				bought = any_at(events, count, stages->of_type[EVENT_CART],
				                events[v].time_us, events[p].time_us)
				                 ? BOUGHT_AFTER_CART
				                 : BOUGHT_AFTER_VIEW;
	return bought;
}

static void expect_funnel(const struct funnel *funnel, const struct stages *stages,
                          const struct stage_event *events, int count, uint64_t seed)
{
	cr_assert_eq(funnel->reached, longest_chain(events, count, 0, INT64_MIN),
	             "seed %" PRIu64 ", %d stages", seed, stages->count);
	if (stages->has_purchases)
		cr_assert_eq(funnel_bought(funnel, stages), brute_bought(stages, events, count),
		             "seed %" PRIu64 ", %d stages: bought", seed, stages->count);
}

static int random_events(struct rng *rng, const struct stages *stages, struct stage_event *events,
                         int max)
{
	int count = (int)rng_between(rng, 1, max);

	for (int i = 0; i < count; i++)
		events[i] =
			(struct stage_event){(int)rng_below(rng, stages->count), rng_below(rng, 6)};
	return count;
}

/* Heap's algorithm: every order of the events. */
static void for_every_order(struct stage_event *events, int count, int left,
                            const struct stages *stages, uint64_t seed)
{
	if (left == 1) {
		struct funnel funnel;

		funnel_init(&funnel);
		for (int i = 0; i < count; i++) {
			cr_assert(funnel_add(&funnel, stages, events[i].stage, events[i].time_us));
			expect_funnel(&funnel, stages, events, i + 1, seed);
		}
		funnel_free(&funnel, stages);
		return;
	}
	for (int i = 0; i < left; i++) {
		struct stage_event swapped;
		int with = left % 2 ? 0 : i;

		for_every_order(events, count, left - 1, stages, seed);
		swapped = events[with], events[with] = events[left - 1], events[left - 1] = swapped;
	}
}

static const char *const lists[] = {"view,purchase", "view,cart,purchase",
                                    "view,cart,checkout,purchase", "view,checkout,cart,purchase"};
#define LISTS (sizeof(lists) / sizeof(lists[0]))

Test(stages, funnel_equals_brute_force_in_every_order_of_arrival)
{
	for (size_t l = 0; l < LISTS; l++) {
		struct stages stages = stages_of(lists[l]);

		for (uint64_t seed = 1; seed <= 25; seed++) {
			struct rng rng = {seed * 31 + l};
			struct stage_event events[EVENTS_MAX];
			int count = random_events(&rng, &stages, events, EVENTS_MAX);

			for_every_order(events, count, count, &stages, seed);
		}
	}
}

Test(stages, long_random_lists_equal_brute_force_with_five_stages_too)
{
	struct stages stages = stages_of("view,cart,remove_from_cart,checkout,purchase");

	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct rng rng = {seed};
		struct stage_event events[14];
		int count = random_events(&rng, &stages, events, 14);
		struct funnel funnel;

		funnel_init(&funnel);
		for (int i = 0; i < count; i++) {
			cr_assert(funnel_add(&funnel, &stages, events[i].stage, events[i].time_us));
			expect_funnel(&funnel, &stages, events, i + 1, seed);
		}
		funnel_free(&funnel, &stages);
	}
}

Test(stages, merge_equals_adding_and_takes_more_events_afterwards)
{
	for (size_t l = 0; l < LISTS; l++) {
		struct stages stages = stages_of(lists[l]);

		for (uint64_t seed = 1; seed <= 400; seed++) {
			struct rng rng = {seed * 77 + l};
			struct stage_event events[12];
			int count = random_events(&rng, &stages, events, 12),
			    merge_at = (int)rng_below(&rng, count + 1);
			struct funnel halves[2];

			funnel_init(&halves[0]);
			funnel_init(&halves[1]);
			for (int i = 0; i < merge_at; i++)
				cr_assert(funnel_add(&halves[rng_below(&rng, 2)], &stages,
				                     events[i].stage, events[i].time_us));
			cr_assert(funnel_merge(&halves[0], &stages, &halves[1]));
			expect_funnel(&halves[0], &stages, events, merge_at, seed);
			for (int i = merge_at; i < count; i++)
				cr_assert(funnel_add(&halves[0], &stages, events[i].stage,
				                     events[i].time_us));
			expect_funnel(&halves[0], &stages, events, count, seed);
			funnel_free(&halves[0], &stages);
			funnel_free(&halves[1], &stages);
		}
	}
}

Test(stages, times_of_a_middle_stage_are_limited_and_reaching_the_limit_is_reported)
{
	struct stages stages = stages_of("view,cart,purchase");
	struct funnel funnel;

	funnel_init(&funnel);
	for (int i = 0; i < STAGE_TIMES_MAX; i++)
		cr_assert(funnel_add(&funnel, &stages, 1, i));
	cr_assert_not(funnel_add(&funnel, &stages, 1, STAGE_TIMES_MAX),
	              "one distinct time too many");
	cr_assert(funnel_add(&funnel, &stages, 1, 5), "a time that is kept already needs no room");
	cr_assert(funnel_add(&funnel, &stages, 0, 3),
	          "after a view, only carts up to the first one at or after it matter");
	cr_assert_eq(funnel.middle[0].count, 4);
	cr_assert(funnel_add(&funnel, &stages, 1, 1), "so there is room again");
	cr_assert_eq(funnel.reached, 2);
	funnel_free(&funnel, &stages);
}

Test(stages, times_are_sorted_distinct_and_cut)
{
	struct times times = {0};
	static const int64_t added[] = {5, 1, 9, 5, 3, 9};

	for (size_t i = 0; i < 6; i++)
		cr_assert(times_add(&times, added[i]));
	cr_assert_eq(times.count, 4);
	cr_assert_eq(times_first_from(&times, 0), 1);
	cr_assert_eq(times_first_from(&times, 3), 3);
	cr_assert_eq(times_first_from(&times, 4), 5);
	cr_assert_eq(times_first_from(&times, 10), INT64_MAX);
	times_cut(&times, 5);
	cr_assert_eq(times.count, 3);
	cr_assert_eq(times_first_from(&times, 6), INT64_MAX);
	times_free(&times);
	cr_assert_eq(times.count, 0);
}

Test(stages, stage_lists_that_are_accepted_and_refused)
{
	static const char *const refused[] = {"",          "view",
	                                      "view,",     ",view",
	                                      "view,view", "view,buy",
	                                      "view cart", "view,cart,purchase,view",
	                                      "View,cart"};
	static const char *const without_purchases[] = {"view,cart", "view,purchase",
	                                                "cart,purchase", "cart,view,purchase",
	                                                "view,cart,purchase,checkout"};
	struct stages stages = stages_of("cart,purchase");
	struct err err;

	for (size_t i = 1; i < LISTS; i++)
		cr_assert(stages_of(lists[i]).has_purchases, "'%s'", lists[i]);
	for (size_t i = 0; i < sizeof(without_purchases) / sizeof(without_purchases[0]); i++)
		cr_assert_not(stages_of(without_purchases[i]).has_purchases, "'%s'",
		              without_purchases[i]);

	cr_assert(stages.count == 2 && stages.at[0] == EVENT_CART &&
	          stages.at[1] == EVENT_PURCHASE && stages.of_type[EVENT_VIEW] == -1 &&
	          stages.of_type[EVENT_PURCHASE] == 1);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		err.class = ERR_NONE;
		cr_assert_not(stages_parse(refused[i], &stages, &err), "'%s'", refused[i]);
		cr_assert_eq(err.class, ERR_INPUT);
	}
}
