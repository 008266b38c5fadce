/* The clock of a partition: two users move it, one user never does. Which events lie in the
 * future. */
#include "base/span.h"
#include "base/timetext.h"
#include "event/clock.h"
#include "fold_kit.h"
#include "unit/fold_kit.h"

#define T0 KIT_DAY0_US

static void accept(struct partition_clock *clock, int64_t time_us, int64_t user_id,
                   int64_t announced_us)
{
	/* the records' own time is a year later: not live */
	clock_accept(clock, &(struct clock_event){time_us, user_id, time_us + 365 * US_PER_DAY,
	                                          announced_us});
}

static enum clock_result check(struct partition_clock *clock, int64_t time_us, int64_t user_id,
                               int64_t record_us, bool announced)
{
	return clock_check(clock, &(struct clock_event){time_us, user_id, record_us,
	                                                announced ? T0 : CLOCK_NONE});
}

static struct partition_clock clock_at(int64_t now_us)
{
	struct partition_clock clock;

	clock_init(&clock);
	accept(&clock, now_us, 1, CLOCK_NONE);
	return clock;
}

Test(clock, is_not_set_before_the_first_event)
{
	struct partition_clock clock;

	clock_init(&clock);
	cr_assert_eq(clock_now(&clock), CLOCK_NONE);
}

Test(clock, first_event_sets_it_and_one_user_alone_never_moves_it)
{
	struct partition_clock clock = clock_at(T0);

	cr_assert_eq(clock_now(&clock), T0);
	accept(&clock, T0 + US_PER_HOUR, 1, CLOCK_NONE);
	accept(&clock, T0 + 23 * US_PER_HOUR, 1, CLOCK_NONE);
	cr_assert_eq(clock_now(&clock), T0);
	accept(&clock, T0 + US_PER_MINUTE, 2, CLOCK_NONE);
	cr_assert_eq(clock_now(&clock), T0 + US_PER_MINUTE,
	             "a second user reaches a minute: so does the clock");
	accept(&clock, T0 + 24 * US_PER_HOUR, 2, CLOCK_NONE);
	cr_assert_eq(clock_now(&clock), T0 + 23 * US_PER_HOUR,
	             "the second user overtakes the first: the first's time counts");
}

/* The rule of the contract, computed with the newest time of every user. */
static int64_t slow_clock(const int64_t *times_us, const int64_t *users, size_t count,
                          int64_t announced_us)
{
	int64_t best[8], clock_us = announced_us;

	for (int u = 0; u < 8; u++)
		best[u] = CLOCK_NONE;
	for (size_t i = 0; i < count; i++)
		if (times_us[i] > best[users[i]])
			best[users[i]] = times_us[i];
	for (int a = 0; a < 8; a++)
		for (int b = 0; b < 8; b++) {
			int64_t both_us = best[a] < best[b] ? best[a] : best[b];

			if (a != b && both_us > clock_us)
				clock_us = both_us;
		}
	return clock_us;
}

Test(clock, is_the_newest_time_that_two_users_have_reached_for_random_events)
{
	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct rng rng = {seed};
		struct partition_clock clock;
		int64_t times_us[60], users[60], users_max = rng_between(&rng, 1, 8),
						 before_us = CLOCK_NONE;

		clock_init(&clock);
		for (size_t i = 0; i < 60; i++) {
			times_us[i] = T0 + rng_below(&rng, 40);
			users[i] = rng_below(&rng, users_max);
			accept(&clock, times_us[i], users[i], CLOCK_NONE);
			cr_assert_eq(clock_now(&clock),
			             slow_clock(times_us, users, i + 1, times_us[0]),
			             "seed %" PRIu64 ", event %zu", seed, i);
			cr_assert(clock_now(&clock) >= before_us,
			          "seed %" PRIu64 ": the clock went back", seed);
			before_us = clock_now(&clock);
		}
	}
}

Test(clock, control_moves_it_only_forward_and_never_past_the_record)
{
	struct partition_clock clock;

	clock_init(&clock);
	clock_announce(&clock, T0, T0 + US_PER_DAY);
	cr_assert_eq(clock_now(&clock), T0);
	clock_announce(&clock, T0 - 1, T0 + US_PER_DAY);
	cr_assert_eq(clock_now(&clock), T0);
	clock_announce(&clock, INT64_MAX, T0 + US_PER_DAY);
	cr_assert_eq(clock_now(&clock), T0 + US_PER_DAY, "cut to the record's own time");
	accept(&clock, T0 + US_PER_HOUR, 1, CLOCK_NONE);
	accept(&clock, T0 + US_PER_HOUR, 2, CLOCK_NONE);
	cr_assert_eq(clock_now(&clock), T0 + US_PER_DAY);
	accept(&clock, T0 + 2 * US_PER_DAY, 1, CLOCK_NONE);
	accept(&clock, T0 + 2 * US_PER_DAY, 2, CLOCK_NONE);
	cr_assert_eq(clock_now(&clock), T0 + 2 * US_PER_DAY);
}

Test(clock, first_event_after_a_control_does_not_set_it)
{
	struct partition_clock clock;

	clock_init(&clock);
	clock_announce(&clock, T0, T0);
	accept(&clock, T0 + US_PER_HOUR, 1, CLOCK_NONE);
	cr_assert_eq(clock_now(&clock), T0);
}

Test(clock, an_event_too_far_ahead_is_found_in_all_branches)
{
	static const struct {
		const char *label;
		int64_t now_us, event_us, record_us;
		bool announced;
		enum clock_result want;
	} rows[] = {
		{"no clock, 5 minutes after the record", CLOCK_NONE, T0 + 5 * US_PER_MINUTE, T0,
	         false, CLOCK_FITS},
		{"no clock, more than that", CLOCK_NONE, T0 + 5 * US_PER_MINUTE + 1, T0, false,
	         CLOCK_AFTER_RECORD},
		{"no clock, long past", CLOCK_NONE, T0 - 900 * US_PER_DAY, T0, false, CLOCK_FITS},
		{"31 days after the clock", T0, T0 + 31 * US_PER_DAY, T0 + 900 * US_PER_DAY, false,
	         CLOCK_FITS},
		{"more than that", T0, T0 + 31 * US_PER_DAY + 1, T0 + 900 * US_PER_DAY, false,
	         CLOCK_TOO_FAR},
		{"more than that, near its record, after events that were not", T0,
	         T0 + 900 * US_PER_DAY, T0 + 900 * US_PER_DAY, false, CLOCK_TOO_FAR},
		{"more than that, with an announced time", T0, T0 + 900 * US_PER_DAY,
	         T0 + 900 * US_PER_DAY, true, CLOCK_TOO_FAR},
		{"near the clock, after the record", T0, T0 + 23 * US_PER_HOUR, T0, false,
	         CLOCK_AFTER_RECORD},
		{"before the clock", T0, T0 - 900 * US_PER_DAY, T0, false, CLOCK_FITS},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct partition_clock clock;

		clock_init(&clock);
		if (rows[i].now_us != CLOCK_NONE) {
			clock = clock_at(rows[i].now_us);
			accept(&clock, rows[i].now_us, 2, CLOCK_NONE);
		}
		cr_assert_eq(check(&clock, rows[i].event_us, 3, rows[i].record_us,
		                   rows[i].announced),
		             rows[i].want, "%s", rows[i].label);
	}
}

#define FAR_US  (T0 + 40 * US_PER_DAY)
#define LATE_US (T0 + 4000 * US_PER_DAY) /* the records' own time: a replay */

Test(clock, two_users_in_a_row_confirm_a_pause_of_the_stream)
{
	struct partition_clock clock = clock_at(T0);

	accept(&clock, T0, 2, CLOCK_NONE);
	cr_assert_eq(check(&clock, FAR_US + 5, 3, LATE_US, false), CLOCK_TOO_FAR);
	cr_assert_eq(check(&clock, FAR_US + 6, 3, LATE_US, false), CLOCK_TOO_FAR);
	cr_assert_eq(clock_now(&clock), T0);
	cr_assert_eq(check(&clock, FAR_US + 7, 4, LATE_US, false), CLOCK_FITS);
	cr_assert_eq(clock_now(&clock), FAR_US + 6);
}

Test(clock, an_accepted_event_between_two_far_ones_keeps_them_apart)
{
	struct partition_clock clock = clock_at(T0);

	accept(&clock, T0, 2, CLOCK_NONE);
	cr_assert_eq(check(&clock, FAR_US, 3, LATE_US, false), CLOCK_TOO_FAR);
	accept(&clock, T0 + 1, 4, CLOCK_NONE);
	cr_assert_eq(check(&clock, FAR_US, 5, LATE_US, false), CLOCK_TOO_FAR);
	cr_assert(clock_now(&clock) <= T0 + 1, "no far event moves the clock");
}

Test(clock, a_live_partition_continues_after_any_pause)
{
	struct partition_clock clock;

	clock_init(&clock);
	for (int64_t user = 1; user <= 3; user++)
		clock_accept(&clock, &(struct clock_event){T0, user, T0 + US_PER_DAY, CLOCK_NONE});
	cr_assert_eq(check(&clock, FAR_US, 4, FAR_US + US_PER_DAY, false), CLOCK_FITS);
	cr_assert_eq(check(&clock, FAR_US, 4, FAR_US + US_PER_DAY + 1, false), CLOCK_TOO_FAR);
	cr_assert_eq(check(&clock, FAR_US, 4, FAR_US, true), CLOCK_TOO_FAR);
	accept(&clock, T0, 5, CLOCK_NONE);
	cr_assert_eq(check(&clock, FAR_US, 4, FAR_US + US_PER_DAY, false), CLOCK_TOO_FAR,
	             "the last event was not live");
}

Test(clock, a_clock_of_one_user_follows_31_days_before_the_events)
{
	struct partition_clock clock = clock_at(T0);

	for (int64_t day = 20; day < 4000; day += 20) {
		cr_assert_eq(check(&clock, T0 + day * US_PER_DAY, 1, LATE_US, false), CLOCK_FITS,
		             "day %" PRId64, day);
		accept(&clock, T0 + day * US_PER_DAY, 1, CLOCK_NONE);
		cr_assert(clock_now(&clock) >= T0 + (day - 31) * US_PER_DAY);
	}
	cr_assert_eq(check(&clock, T0 + 5000 * US_PER_DAY, 2, LATE_US + 5000 * US_PER_DAY, false),
	             CLOCK_FITS, "one user's clock refuses nobody");
	clock = clock_at(T0);
	clock_announce(&clock, T0, T0);
	cr_assert_eq(check(&clock, T0 + 40 * US_PER_DAY, 2, LATE_US, false), CLOCK_TOO_FAR);
}

Test(clock, an_announced_time_replaces_the_two_users)
{
	struct partition_clock clock;

	clock_init(&clock);
	accept(&clock, T0 + US_PER_DAY, 1, T0);
	accept(&clock, T0 + 2 * US_PER_DAY, 2, T0 + 1);
	cr_assert_eq(clock_now(&clock), T0 + 1);
	accept(&clock, T0 + 2 * US_PER_DAY, 3, CLOCK_NONE);
	accept(&clock, T0 + 3 * US_PER_DAY, 4, CLOCK_NONE);
	cr_assert_eq(clock_now(&clock), T0 + 2 * US_PER_DAY, "rows without it use the users");
}

Test(clock, text_form_comes_back_the_same)
{
	struct rng rng = {77};

	for (int i = 0; i < 2000; i++) {
		struct partition_clock clock, again;
		char text[CLOCK_TEXT_MAX];
		size_t len;

		clock_init(&clock);
		for (int64_t n = rng_below(&rng, 5); n > 0; n--)
			accept(&clock, (int64_t)rng_next(&rng) / 4,
			       rng_between(&rng, 1, INT64_MAX - 1), CLOCK_NONE);
		if (rng_chance(&rng, 2))
			clock_announce(&clock, T0, T0);
		if (rng_chance(&rng, 2))
			check(&clock, INT64_MAX / 4, 5, INT64_MAX / 2, false);
		len = clock_format(&clock, text);
		cr_assert(len < CLOCK_TEXT_MAX);
		cr_assert(clock_parse((struct span){text, len}, &again), "'%s'", text);
		cr_assert(again.first_us == clock.first_us &&
		                  again.first_user == clock.first_user &&
		                  again.second_us == clock.second_us &&
		                  again.announced_us == clock.announced_us &&
		                  again.announced == clock.announced && again.live == clock.live &&
		                  again.far_us == clock.far_us && again.far_user == clock.far_user,
		          "'%s'", text);
	}
}

Test(clock, other_texts_are_refused)
{
	static const char *const texts[] = {
		"",
		"1",
		"1,2,3",
		"1,2,3,",
		"1,2,3,4,",
		"1,2,3,4,4",
		"1,2,3,4,-1",
		"1,2,3,4,1,5",
		"1,2,3,4,1,5,6,7",
		"1,2,3,4,1,9223372036854775807,6",
		"1,2,3,4,1,-9223372036854775808,6",
		"1,2,3,4 ",
		"a,2,3,4",
		"1;2;3;4", /* next: times so remote that the addition of a setting would overflow */
		"9223372036854775807,2,3,4",
		"1,2,9223372036854775807,4",
		"1,2,3,-9223372036854775807",
		"1,2,3,99999999999999999999"};
	struct partition_clock clock;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		cr_assert_not(clock_parse(span_of(texts[i]), &clock), "'%s'", texts[i]);
	cr_assert_not(clock_parse(SPAN_NULL, &clock));
}
