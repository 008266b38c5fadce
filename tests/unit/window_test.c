/* Windows by arithmetic compared with windows by enumeration; valid and refused rollups; group
 * values. */
#include "base/err.h"
#include "base/span.h"
#include "base/timetext.h"
#include "event/event.h"
#include "event/window.h"
#include "fold_kit.h"
#include "unit/fold_kit.h"

static struct rollup rollup_of(const char *text)
{
	struct rollup_list list;
	struct err err;

	cr_assert(rollups_parse(text, &list, &err), "%s: %s", text, err.message);
	cr_assert_eq(list.count, 1);
	return list.at[0];
}

static const char *const shapes[] = {"1s:all",     "1m:all",     "1h:all",    "1d:all",
                                     "7d:all",     "31d:all",    "5m/1m:all", "1h/15m:all",
                                     "1d/5m:all",  "10s/1s:all", "1d+1h:all", "1h+1m:all",
                                     "6h+2h:all",  "1m+1m:all",  "90s:all",   "90s/30s:all",
                                     "2d+12h:all", "25h:all"};
#define SHAPE_COUNT (sizeof(shapes) / sizeof(shapes[0]))

/* Every window of a rollup whose period begins within two sizes of a time, by definition. */
static int enumerate(const struct rollup *rollup, int64_t around_us, struct window *out, int cap)
{
	int64_t unit_us = rollup->kind == WINDOW_CUMULATING ? rollup->size_us : rollup->step_us;
	int64_t first = (around_us - 2 * rollup->size_us) / unit_us - 2,
		last = (around_us + 2 * rollup->size_us) / unit_us + 2;
	int count = 0;

	for (int64_t n = first; n <= last; n++) {
		for (int64_t end_us = rollup->kind == WINDOW_CUMULATING ? rollup->step_us
		                                                        : rollup->size_us;
		     end_us <= rollup->size_us; end_us += rollup->step_us) {
			cr_assert(count < cap);
			out[count++] = (struct window){n * unit_us, n * unit_us + end_us};
		}
	}
	return count;
}

static int64_t random_time(struct rng *rng, const struct rollup *rollup)
{
	int64_t time_us = rng_chance(rng, 3) ? rng_between(rng, -US_PER_DAY * 40, US_PER_DAY * 40)
	                                     : KIT_DAY0_US + rng_below(rng, 60 * US_PER_DAY);

	if (rng_chance(rng, 3)) /* at a bound, or one off */
		time_us = time_us / rollup->step_us * rollup->step_us + rng_between(rng, -1, 1);
	return time_us;
}

Test(window, windows_of_a_time_are_those_that_contain_it)
{
	static struct window all[20000];

	for (size_t s = 0; s < SHAPE_COUNT; s++) {
		struct rollup rollup = rollup_of(shapes[s]);
		struct rng rng = {s + 1};

		for (int round = 0; round < 60; round++) {
			int64_t time_us = random_time(&rng, &rollup);
			int all_count = enumerate(&rollup, time_us, all, 20000),
			    count = rollup_window_count(&rollup, time_us), holding = 0;

			for (int i = 0; i < all_count; i++)
				holding += all[i].start_us <= time_us && time_us < all[i].end_us;
			cr_assert_eq(count, holding,
			             "%s at %" PRId64 ": %d windows, by enumeration %d", shapes[s],
			             time_us, count, holding);
			for (int i = 0; i < count; i++) {
				struct window window = rollup_window(&rollup, time_us, i);
				int found = 0;

				cr_assert(window.start_us <= time_us && time_us < window.end_us,
				          "%s at %" PRId64, shapes[s], time_us);
				for (int k = 0; k < all_count; k++)
					found += all[k].start_us == window.start_us &&
					         all[k].end_us == window.end_us;
				cr_assert_eq(found, 1,
				             "%s at %" PRId64 ": [%" PRId64 ", %" PRId64
				             ") is not a window",
				             shapes[s], time_us, window.start_us, window.end_us);
				for (int k = 0; k < i; k++) {
					struct window other = rollup_window(&rollup, time_us, k);

					cr_assert(other.start_us != window.start_us ||
					                  other.end_us != window.end_us,
					          "%s at %" PRId64 ": twice", shapes[s], time_us);
				}
			}
		}
	}
}

Test(window, earliest_open_is_the_first_start_of_a_window_that_ends_later)
{
	static struct window all[20000];

	for (size_t s = 0; s < SHAPE_COUNT; s++) {
		struct rollup rollup = rollup_of(shapes[s]);
		struct rng rng = {s + 100};

		for (int round = 0; round < 60; round++) {
			int64_t time_us = random_time(&rng, &rollup), want_us = INT64_MAX;
			int count = enumerate(&rollup, time_us, all, 20000);

			for (int i = 0; i < count; i++)
				if (all[i].end_us > time_us && all[i].start_us < want_us)
					want_us = all[i].start_us;
			cr_assert_eq(rollup_earliest_open(&rollup, time_us), want_us,
			             "%s at %" PRId64, shapes[s], time_us);
		}
	}
}

Test(window, next_start_is_the_first_at_or_after_a_time)
{
	static struct window all[20000];

	for (size_t s = 0; s < SHAPE_COUNT; s++) {
		struct rollup rollup = rollup_of(shapes[s]);
		struct rng rng = {s + 200};

		for (int round = 0; round < 60; round++) {
			int64_t time_us = random_time(&rng, &rollup), want_us = INT64_MAX;
			int count = enumerate(&rollup, time_us, all, 20000);

			for (int i = 0; i < count; i++)
				if (all[i].start_us >= time_us && all[i].start_us < want_us)
					want_us = all[i].start_us;
			cr_assert_eq(rollup_next_start(&rollup, time_us), want_us, "%s at %" PRId64,
			             shapes[s], time_us);
		}
	}
}

Test(window, valid_rollups_are_parsed)
{
	static const struct {
		const char *text;
		int count;
		enum window_kind kind; /* of the last */
		enum group_kind group;
		int64_t size_us, step_us;
	} rows[] = {
		{"1m:all", 1, WINDOW_TUMBLING, GROUP_ALL, US_PER_MINUTE, US_PER_MINUTE},
		{" 1m:all ", 1, WINDOW_TUMBLING, GROUP_ALL, US_PER_MINUTE, US_PER_MINUTE},
		{"1m:all,1h:category1", 2, WINDOW_TUMBLING, GROUP_CATEGORY1, US_PER_HOUR,
	         US_PER_HOUR},
		{"1m:all, 1h:category1\n\t5m/1m:brand", 3, WINDOW_HOPPING, GROUP_BRAND,
	         5 * US_PER_MINUTE, US_PER_MINUTE},
		{"1d+1h:product", 1, WINDOW_CUMULATING, GROUP_PRODUCT, US_PER_DAY, US_PER_HOUR},
		{"31d:category", 1, WINDOW_TUMBLING, GROUP_CATEGORY, 31 * US_PER_DAY,
	         31 * US_PER_DAY},
		{"1s:all", 1, WINDOW_TUMBLING, GROUP_ALL, US_PER_SECOND, US_PER_SECOND},
		{"1d/5m:all", 1, WINDOW_HOPPING, GROUP_ALL, US_PER_DAY, 5 * US_PER_MINUTE},
		{"1m:all 1m:category1 1h:category 1d:all 1d:category 1d:brand", 6, WINDOW_TUMBLING,
	         GROUP_BRAND, US_PER_DAY, US_PER_DAY},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rollup_list list;
		struct err err;
		const struct rollup *last;

		cr_assert(rollups_parse(rows[i].text, &list, &err), "'%s': %s", rows[i].text,
		          err.message);
		cr_assert_eq(list.count, rows[i].count, "'%s'", rows[i].text);
		last = &list.at[list.count - 1];
		cr_assert(last->kind == rows[i].kind && last->group == rows[i].group &&
		                  last->size_us == rows[i].size_us &&
		                  last->step_us == rows[i].step_us,
		          "'%s'", rows[i].text);
	}
}

Test(window, invalid_rollups_are_refused)
{
	static const char *const texts[] = {
		"",
		" , ",
		"1m",
		":all",
		"1m:",
		"1m:every",
		"1m:All",
		"m:all",
		"1:all",
		"0s:all",
		"-1m:all",
		"32d:all",
		"500ms:all",
		"5m/2m:all",
		"5m/0s:all",
		"1m/5m:all",
		"1d+7h:all",
		"1d+0h:all",
		"1d/1m:all",
		"1m+2m:all",
		"5m/1m/1m:all",
		"5m/1m+1m:all",
		"1m:all 1m:all",
		"1m/:all",
		"1m+:all",
		"/1m:all",
		"1m:all;1h:all",
		"1m:all:all",
		"1000000000000000000000000m:all",
		"1s/100ms:all",
		"1s:all 2s:all 3s:all 4s:all 5s:all 6s:all 7s:all 8s:all 9s:all "
		"10s:all 11s:all 12s:all 13s:all 14s:all 15s:all 16s:all 17s:all",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct rollup_list list;
		struct err err = {0};

		cr_assert_not(rollups_parse(texts[i], &list, &err), "'%s'", texts[i]);
		cr_assert_eq(err.class, ERR_INPUT, "'%s'", texts[i]);
	}
}

Test(window, group_value_is_the_events_own_or_unknown)
{
	static const struct {
		enum group_kind group;
		const char *category, *brand, *want;
	} rows[] = {
		{GROUP_ALL, NULL, NULL, "all"},
		{GROUP_CATEGORY1, "electronics.phone", NULL, "electronics"},
		{GROUP_CATEGORY1, "toys", NULL, "toys"},
		{GROUP_CATEGORY1, NULL, NULL, "unknown"},
		{GROUP_CATEGORY1, ".phone", NULL, "unknown"},
		{GROUP_CATEGORY, "electronics.phone", NULL, "electronics.phone"},
		{GROUP_CATEGORY, NULL, NULL, "unknown"},
		{GROUP_BRAND, NULL, "acme", "acme"},
		{GROUP_BRAND, "toys", NULL, "unknown"},
		{GROUP_PRODUCT, NULL, NULL, "9223372036854775807"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct event event = {.category_code = span_of(rows[i].category),
		                      .brand = span_of(rows[i].brand),
		                      .product_id = INT64_MAX};
		char buffer[32];

		cr_assert(span_is(group_value(rows[i].group, &event, buffer), rows[i].want),
		          "row %zu", i);
	}
}

Test(window, start_time_of_a_rollup_is_a_decimal_number_of_at_most_23_bytes)
{
	static const struct {
		const char *text;
		int64_t want;
	} good[] = {{"a@0", 0},
	            {"a@-0", 0},
	            {"a@007", 7},
	            {"a@-5", -5},
	            {"a@00000000000000000000007", 7},
	            {"a@4611686018427387902", INT64_MAX / 2 - 1},
	            {"a@-4611686018427387903", INT64_MIN / 2 + 1}};
	static const char *const bad[] = {"a@-",
	                                  "a@--5",
	                                  "a@+5",
	                                  "a@ 5",
	                                  "a@\t5",
	                                  "a@0x5",
	                                  "a@5 ",
	                                  "a@5.0",
	                                  "a@evermore",
	                                  "a@Ever",
	                                  "a@000000000000000000000007",
	                                  "a@4611686018427387903",
	                                  "a@-4611686018427387904",
	                                  "a@18446744073709551617"};
	struct span rest, name;
	int64_t since_us;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		rest = span_of(good[i].text);
		cr_expect(rollup_since_next(&rest, &name, &since_us), "'%s' is refused",
		          good[i].text);
		cr_expect_eq(since_us, good[i].want, "'%s'", good[i].text);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		rest = span_of(bad[i]);
		cr_expect_not(rollup_since_next(&rest, &name, &since_us), "'%s' is taken", bad[i]);
	}
}

Test(window, start_times_of_rollups_are_read_entry_by_entry)
{
	static const char *const bad[] = {"1m:all",
	                                  "@ever",
	                                  "1m:all@",
	                                  "1m:all@x",
	                                  "1m:all@12x",
	                                  "1m:all@1234567890123456789012345",
	                                  ",1m:all@ever",
	                                  "1m:all@ever,",
	                                  "1m:all@9223372036854775807",
	                                  "1m:all@-9223372036854775808"};
	struct span rest = SPAN("1m:all@ever,5m/1m:brand@1569888300000000"), name;
	int64_t since_us;

	cr_assert(rollup_since_next(&rest, &name, &since_us));
	cr_assert(span_is(name, "1m:all"));
	cr_assert_eq(since_us, ROLLUP_SINCE_EVER);
	cr_assert(rollup_since_next(&rest, &name, &since_us));
	cr_assert(span_is(name, "5m/1m:brand"));
	cr_assert_eq(since_us, INT64_C(1569888300000000));
	cr_assert_not(rollup_since_next(&rest, &name, &since_us));
	cr_assert_eq(rest.len, 0, "the end");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		rest = span_of(bad[i]);
		cr_assert_not(rollup_since_next(&rest, &name, &since_us), "'%s' is taken", bad[i]);
		cr_assert(rest.len > 0, "'%s' is taken for an end", bad[i]);
	}
}
