/* The fold of the live funnel: rollups, windows, totals, counts, watermarks. */
#include <criterion/criterion.h>

#include "base/timetext.h"
#include "event/reason.h"
#include "tail_keys.h"
#include "tail_model.h"
#include "tail_screen.h"
#include "tail_terminal.h"
#include "unit/fold_kit.h"

#define HOUR(n) (KIT_DAY0_US + (n)*US_PER_HOUR)

static struct tail_model model;

static void begin(void)
{
	tail_model_init(&model, 4);
}

static void end(void)
{
	tail_model_free(&model);
}

static void add(const char *rollup, int64_t start_us, int64_t size_us, const char *group,
                int64_t views, int64_t revision, bool final)
{
	struct aggregate aggregate = {.rollup = span_of(rollup),
	                              .group_value = span_of(group),
	                              .window_start_us = start_us,
	                              .window_end_us = start_us + size_us,
	                              .measures = {.events = {views}, .revenue_cents = views * 10},
	                              .revision = revision,
	                              .final = final};

	tail_model_aggregate(&model, &aggregate, start_us / 1000);
}

static int64_t views_of(const struct tail_window *window, const char *group)
{
	const struct tail_total *total = window ? tail_window_total(window, span_of(group)) : NULL;

	return total ? total->measures.events[EVENT_VIEW] : -1;
}

TestSuite(tail_model, .init = begin, .fini = end);

Test(tail_model, finds_the_rollups_of_the_records_in_a_stable_order)
{
	static const char *const given[] = {"1d:brand", "1m:category1", "1d:all",
	                                    "1m:all",   "2h:odd name",  "5m/1m:all"};
	static const char *const want[] = {"1m:all",       "5m/1m:all", "1d:all",
	                                   "1m:category1", "1d:brand",  "2h:odd name"};

	cr_expect_eq(tail_model_rollup(&model, ""), -1);
	for (size_t i = 0; i < 6; i++)
		add(given[i], HOUR(0), US_PER_HOUR, "g", 1, 1, false);
	cr_assert_eq(model.rollup_count, 6);
	for (int i = 0; i < 6; i++)
		cr_expect_str_eq(model.rollups[i].name, want[i]);
	cr_expect_eq(tail_model_rollup(&model, ""), 2);
	cr_expect_eq(tail_model_rollup(&model, "1d:brand"), 4);
	cr_expect_eq(tail_model_rollup(&model, "9d:brand"), -1);
}

Test(tail_model, the_newest_revision_of_a_total_stays)
{
	static const struct {
		int64_t views, revision;
		bool final;
		int64_t want;
	} table[] = {
		{5, 10, false, 5}, {4, 9, true, 5},   {6, 10, true, 6},
		{7, 10, false, 6}, {8, 11, false, 8},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		add("1d:all", HOUR(0), US_PER_DAY, "all", table[i].views, table[i].revision,
		    table[i].final);
		cr_expect_eq(views_of(tail_rollup_window(&model.rollups[0], 0), "all"),
		             table[i].want, "row %zu", i);
	}
}

Test(tail_model, windows_are_ordered_by_end_in_any_order_of_arrival)
{
	static const int hours[] = {3, 1, 2, 0, 2};

	for (size_t i = 0; i < 5; i++)
		add("1h:all", HOUR(hours[i]), US_PER_HOUR, "all", hours[i] + 1, (int64_t)i, false);
	cr_expect_eq(model.rollups[0].window_count, 4);
	for (int back = 0; back < 4; back++)
		cr_expect_eq(views_of(tail_rollup_window(&model.rollups[0], back), "all"),
		             4 - back);
	cr_expect_null(tail_rollup_window(&model.rollups[0], 4));
	cr_expect_eq(model.updated_ms, HOUR(3) / 1000);
}

Test(tail_model, the_newest_windows_stay_in_any_order_of_arrival)
{
	enum { WINDOWS = TAIL_WINDOWS_MAX + 40 };
	struct rng rng = {7};
	int order[WINDOWS];

	for (int i = 0; i < WINDOWS; i++)
		order[i] = i;
	for (int i = WINDOWS - 1; i > 0; i--) {
		int other = (int)rng_below(&rng, i + 1), was = order[i];

		order[i] = order[other];
		order[other] = was;
	}
	for (int i = 0; i < WINDOWS; i++)
		add("1h:all", HOUR(order[i]), US_PER_HOUR, "all", order[i], 1, false);
	cr_expect_eq(model.rollups[0].window_count, TAIL_WINDOWS_MAX);
	for (int back = 0; back < TAIL_WINDOWS_MAX; back++)
		cr_expect_eq(views_of(tail_rollup_window(&model.rollups[0], back), "all"),
		             WINDOWS - 1 - back);
}

Test(tail_model, finds_every_group_and_no_other)
{
	char group[32];

	for (int i = 0; i < 5000; i++) {
		snprintf(group, sizeof(group), "group %d", i);
		add("1d:product", HOUR(0), US_PER_DAY, group, i, 1, false);
	}
	for (int i = 0; i < 5000; i++) {
		snprintf(group, sizeof(group), "group %d", i);
		cr_assert_eq(views_of(tail_rollup_window(&model.rollups[0], 0), group), i);
	}
	cr_expect_eq(views_of(tail_rollup_window(&model.rollups[0], 0), "group"), -1);
	cr_expect_eq(model.refused_totals, 0);
}

Test(tail_model, too_many_groups_drop_old_windows_and_then_count)
{
	char group[32];

	add("1d:product", HOUR(0), US_PER_DAY, "old", 1, 1, false);
	for (int i = 0; i < TAIL_TOTALS_MAX + 2; i++) {
		snprintf(group, sizeof(group), "%d", i);
		add("1d:product", HOUR(24), US_PER_DAY, group, 1, 1, false);
	}
	cr_expect_eq(model.rollups[0].window_count, 1);
	cr_expect_eq(model.rollups[0].total_count, TAIL_TOTALS_MAX);
	cr_expect_eq(model.refused_totals, 2);
}

Test(tail_model, too_many_rollups_are_counted)
{
	char name[32];

	for (int i = 0; i < TAIL_ROLLUPS_MAX + 3; i++) {
		snprintf(name, sizeof(name), "%dh:all", i + 1);
		add(name, HOUR(0), US_PER_HOUR, "all", 1, 1, false);
	}
	cr_expect_eq(model.rollup_count, TAIL_ROLLUPS_MAX);
	cr_expect_eq(model.refused_totals, 3);
}

Test(tail_model, the_top_is_sorted_by_value_then_views_then_name)
{
	const struct tail_total *top[3];
	const struct tail_window *window;

	add("1d:brand", HOUR(0), US_PER_DAY, "b", 5, 1, false);
	add("1d:brand", HOUR(0), US_PER_DAY, "a", 5, 1, false);
	add("1d:brand", HOUR(0), US_PER_DAY, "few", 1, 1, false);
	add("1d:brand", HOUR(0), US_PER_DAY, "most", 9, 1, false);
	window = tail_rollup_window(&model.rollups[0], 0);
	cr_assert_eq(tail_window_top(window, TAIL_BY_REVENUE, top, 3), 3);
	cr_expect(span_is(top[0]->group, "most"));
	cr_expect(span_is(top[1]->group, "a"));
	cr_expect(span_is(top[2]->group, "b"));
	/* nobody has bought: the views decide */
	cr_assert_eq(tail_window_top(window, TAIL_BY_ORDERS, top, 1), 1);
	cr_expect(span_is(top[0]->group, "most"));
}

Test(tail_model, a_panel_takes_the_rollup_with_the_same_size_and_the_window_that_matches)
{
	const struct tail_rollup *hours, *days;

	add("1h:category", HOUR(9), US_PER_HOUR, "c", 9, 1, false);
	add("1h:category", HOUR(10), US_PER_HOUR, "c", 10, 1, false);
	add("1d:category", HOUR(0), US_PER_DAY, "c", 1, 1, false);
	cr_expect_eq(tail_model_panel(&model, GROUP_BRAND, US_PER_DAY), -1);
	hours = &model.rollups[tail_model_panel(&model, GROUP_CATEGORY, US_PER_HOUR)];
	days = &model.rollups[tail_model_panel(&model, GROUP_CATEGORY, US_PER_MINUTE)];
	cr_expect_str_eq(hours->name, "1h:category");
	cr_expect_str_eq(days->name, "1d:category");
	cr_expect_eq(views_of(tail_rollup_match(hours, HOUR(9), HOUR(10)), "c"), 9);
	cr_expect_eq(views_of(tail_rollup_match(hours, HOUR(0), HOUR(24)), "c"), 10);
	cr_expect_eq(views_of(tail_rollup_match(days, HOUR(9), HOUR(10)), "c"), 1);
}

static void add_counts(const char *service, int32_t partition, int64_t in, int64_t out)
{
	struct counts_record record = {
		.service = span_of(service),
		.topic = SPAN("topic"),
		.partition = partition,
		.counts = {.records_in = in, .records_out = out, .duplicates = 3, .late = 1}};

	record.counts.dead[REASON_INVALID_PRICE] = 2;
	tail_flow_counts(&model.flow, &record, 5);
}

Test(tail_model, counts_of_the_sink_are_summed_over_partitions)
{
	struct tail_sums sums;

	add_counts("bronze-sink", 0, 10, 9);
	add_counts("bronze-sink", 0, 20, 19); /* cumulative: replaces the one before */
	add_counts("bronze-sink", 1, 100, 90);
	add_counts("funnel-aggregator", 0, 1000, 1000);
	sums = tail_flow_sums(&model.flow);
	cr_expect_eq(sums.records_in, 120);
	cr_expect_eq(sums.records_out, 109);
	cr_expect_eq(sums.duplicates, 6);
	cr_expect_eq(sums.dead, 14);
	cr_expect_eq(sums.late, 3);
}

Test(tail_model, the_rate_is_that_of_the_last_samples)
{
	cr_expect_eq(tail_flow_rate(&model.flow), -1);
	add_counts("bronze-sink", 0, 1000, 1000);
	tail_flow_sample(&model.flow, 0);
	cr_expect_eq(tail_flow_rate(&model.flow), -1);
	add_counts("bronze-sink", 0, 1500, 1500);
	tail_flow_sample(&model.flow, 2 * US_PER_SECOND);
	cr_expect_eq(tail_flow_rate(&model.flow), 250);
	for (int i = 0; i < TAIL_SAMPLES; i++)
		tail_flow_sample(&model.flow, (3 + i) * US_PER_SECOND);
	cr_expect_eq(tail_flow_rate(&model.flow), 0);
}

static void add_partial(int32_t source, int64_t watermark_us, bool idle)
{
	tail_flow_partial(&model.flow, &(struct partial){.source_partition = source,
	                                                 .watermark_us = watermark_us,
	                                                 .idle = idle});
}

Test(tail_model, the_watermark_is_the_lowest_of_the_sources_that_are_not_idle)
{
	int seen;

	cr_expect_eq(tail_flow_watermark(&model.flow, &seen), INT64_MIN);
	add_partial(0, 50, false);
	add_partial(1, 40, false);
	add_partial(1, 30, false); /* older */
	add_partial(2, INT64_MIN, false);
	add_partial(9, 1, false); /* the set has four */
	cr_expect_eq(tail_flow_watermark(&model.flow, &seen), 40);
	cr_expect_eq(seen, 2);
	add_partial(1, 40, true);
	cr_expect_eq(tail_flow_watermark(&model.flow, &seen), 50);
	add_partial(0, 60, true);
	cr_expect_eq(tail_flow_watermark(&model.flow, &seen), 60);
}

/* ---- keys */

Test(tail_model, keys_choose_rollup_group_and_window)
{
	struct tail_control control;

	tail_control_init(&control, "", "");
	cr_expect(tail_control_key(&control, &model, 'r')); /* nothing there yet */
	cr_expect(tail_control_key(&control, &model, 'g'));
	cr_expect(tail_control_key(&control, &model, TAIL_KEY_LEFT));
	add("1d:all", HOUR(0), US_PER_DAY, "all", 1, 1, false);
	add("1d:brand", HOUR(0), US_PER_DAY, "few", 1, 1, false);
	add("1d:brand", HOUR(0), US_PER_DAY, "many", 9, 1, false);
	add("1d:brand", HOUR(24), US_PER_DAY, "many", 2, 1, false);
	tail_control_key(&control, &model, 'r');
	cr_expect_str_eq(control.view.rollup, "1d:brand");
	tail_control_key(&control, &model, TAIL_KEY_LEFT);
	cr_expect_eq(control.view.back, 1);
	tail_control_key(&control, &model, TAIL_KEY_LEFT);
	cr_expect_eq(control.view.back, 1);
	cr_expect(span_is(tail_choose(&model, &control.view).group, "many"));
	tail_control_key(&control, &model, 'g');
	cr_expect_str_eq(control.view.group, "few");
	tail_control_key(&control, &model, 'g');
	cr_expect_str_eq(control.view.group, "many");
	tail_control_key(&control, &model, 'G');
	cr_expect_str_eq(control.view.group, "few");
	tail_control_key(&control, &model, TAIL_KEY_END);
	cr_expect_eq(control.view.back, 0);
	tail_control_key(&control, &model, 'R');
	cr_expect_str_eq(control.view.rollup, "1d:all");
	cr_expect_str_eq(control.view.group, "");
	cr_expect_not(tail_control_key(&control, &model, 'q'));
}
