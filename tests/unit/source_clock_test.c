/* The clock of a source: sparse streams in order, pauses, disorder, wrong device clocks, one
 * user. */
#include <inttypes.h>

#include "base/timetext.h"
#include "event/clock.h"
#include "fold_kit.h"
#include "source_clock.h"

#define T0     KIT_DAY0_US
#define LATEST (T0 + 3000 * US_PER_DAY)

struct result {
	int64_t clock_us;
	bool refuted;
};

/* Feeds all rows, reading ahead only as far as the clock asks for it. Returns the most rows that
 * waited. */
static size_t run(const struct row_time *rows, size_t count, struct result *results)
{
	struct source_clock clock;
	size_t added = 0, most = 0;

	source_clock_init(&clock, LATEST);
	for (size_t i = 0; i < count; i++) {
		struct source_clock_row taken;

		while (added < count && (added <= i || source_clock_waits(&clock)))
			source_clock_add(&clock, rows[added++]);
		most = added - i > most ? added - i : most;
		taken = source_clock_take(&clock);
		results[i] = (struct result){taken.clock_us, taken.refuted};
		if (i > 0)
			cr_assert(taken.clock_us >= results[i - 1].clock_us, "row %zu", i);
	}
	return most;
}

/* A row that bronze-sink accepts: it is not refuted, and at most 31 days after the clock. */
static bool accepted(const struct row_time *row, const struct result *result)
{
	return !result->refuted && row->time_us <= result->clock_us + CLOCK_AHEAD_US;
}

Test(source_clock, rows_in_order_are_accepted_at_any_density_by_one_user_or_many)
{
	static const int64_t steps_us[] = {US_PER_SECOND,   US_PER_HOUR - 1, US_PER_HOUR + 1,
	                                   8 * US_PER_HOUR, US_PER_DAY + 1,  40 * US_PER_DAY,
	                                   400 * US_PER_DAY};
	static struct row_time rows[40];
	static struct result results[40];

	for (size_t s = 0; s < 7; s++)
		for (int64_t users = 1; users <= 3; users++)
			for (size_t count = 1; count <= 7; count++) {
				for (size_t i = 0; i < count; i++)
					rows[i] = (struct row_time){T0 + (int64_t)i * steps_us[s],
					                            1 + (int64_t)i % users};
				run(rows, count, results);
				for (size_t i = 0; i < count; i++)
					cr_assert(accepted(&rows[i], &results[i]),
					          "step %zu, %" PRId64 " users, row %zu of %zu", s,
					          users, i, count);
			}
}

/* Others came before; after a pause of 40 days or more, one of them is alone up to the end. Or a new
 * user is alone for long. */
Test(source_clock, one_of_many_users_that_goes_on_alone_is_accepted)
{
	static struct row_time rows[1503];
	static struct result results[1503];
	static const int64_t pauses_us[] = {US_PER_HOUR, 40 * US_PER_DAY, 400 * US_PER_DAY};
	static const int64_t steps_us[] = {US_PER_SECOND, US_PER_DAY};
	static const size_t counts[] = {5, 60, 1503};

	for (size_t c = 0; c < 18; c++) {
		int64_t pause_us = pauses_us[c % 3], step_us = steps_us[c / 3 % 2];
		size_t count = counts[c / 6];

		for (size_t i = 0; i < count; i++)
			rows[i] = (struct row_time){T0 + (int64_t)i * step_us +
			                                    (i > 2 ? pause_us : 0),
			                            i < 2           ? 1 + (int64_t)i
			                            : count == 1503 ? 3
			                                            : 2};
		run(rows, count, results);
		for (size_t i = 0; i < count; i++)
			cr_assert(accepted(&rows[i], &results[i]), "case %zu, row %zu of %zu", c, i,
			          count);
	}
}

Test(source_clock, random_pauses_in_order_are_accepted_and_the_clock_keeps_near)
{
	static struct row_time rows[400];
	static struct result results[400];

	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct rng rng = {seed};
		int64_t time_us = T0, users = rng_between(&rng, 1, 20);

		for (size_t i = 0; i < 400; i++) {
			time_us += rng_chance(&rng, 20) ? rng_below(&rng, 5 * US_PER_DAY)
			                                : rng_below(&rng, 20 * US_PER_MINUTE);
			rows[i] = (struct row_time){time_us, 1 + rng_below(&rng, users)};
		}
		run(rows, 400, results);
		for (size_t i = 0; i < 400; i++) {
			cr_assert(accepted(&rows[i], &results[i]), "seed %" PRIu64 ", row %zu",
			          seed, i);
			cr_assert(results[i].clock_us <= rows[i].time_us,
			          "seed %" PRIu64 ", row %zu: in order, no row is late", seed, i);
		}
	}
}

Test(source_clock, one_wrong_device_moves_nothing_wherever_it_is)
{
	static struct row_time rows[60], good[60];
	static struct result results[60], clean[60];
	static const int64_t wrong_us[] = {2 * US_PER_HOUR, 30 * US_PER_HOUR, 900 * US_PER_DAY,
	                                   -900 * US_PER_DAY};

	for (size_t w = 0; w < 4; w++)
		for (size_t at = 0; at < 59; at++) {
			for (size_t i = 0; i < 60; i++)
				good[i] = rows[i] =
					(struct row_time){T0 + (int64_t)i * US_PER_MINUTE,
				                          1 + (int64_t)i % 7};
			rows[at] = (struct row_time){rows[at].time_us + wrong_us[w], 99};
			good[at].time_us = CLOCK_NONE;
			run(rows, 60, results);
			run(good, 60, clean);
			for (size_t i = 0; i < 60; i++) {
				if (i == at)
					continue;
				cr_assert(results[i].clock_us <= rows[i].time_us,
				          "wrong by %zu at %zu: row %zu is late", w, at, i);
				cr_assert(accepted(&rows[i], &results[i]),
				          "wrong by %zu at %zu: row %zu", w, at, i);
			}
			cr_assert(results[59].clock_us >= clean[59].clock_us);
			cr_assert_eq(results[at].refuted, wrong_us[w] > US_PER_DAY + US_PER_HOUR,
			             "wrong by %zu at %zu", w, at);
		}
}

Test(source_clock, devices_with_wrong_clocks_among_a_thousand_users_move_nothing)
{
	static struct row_time rows[5000];
	static struct result results[5000];

	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct rng rng = {seed};

		for (size_t i = 0; i < 5000; i++) {
			int64_t user = rng_between(&rng, 1, 1000);

			rows[i] = (struct row_time){T0 + (int64_t)i * 5 * US_PER_SECOND, user};
			if (user % 50 == 0)
				rows[i].time_us += rng_between(&rng, -700, 700) * US_PER_DAY;
		}
		run(rows, 5000, results);
		for (size_t i = 0; i < 5000; i++) {
			int64_t true_us = T0 + (int64_t)i * 5 * US_PER_SECOND;

			if (rows[i].user_id % 50 == 0)
				continue;
			cr_assert(results[i].clock_us <= true_us,
			          "seed %" PRIu64 ", row %zu is late", seed, i);
			cr_assert(accepted(&rows[i], &results[i]), "seed %" PRIu64 ", row %zu",
			          seed, i);
		}
		cr_assert(results[4999].clock_us > T0 + 4990 * 5 * US_PER_SECOND);
	}
}

/* Writes the rows of the main user, one a minute, with `others` rows of other users that are 900
 * days back: after the main rows, between them, or one before them. */
static size_t mostly_one_user(struct row_time *rows, size_t main_rows, size_t others, size_t layout)
{
	size_t count = 0, every = main_rows / (others + 1);

	for (size_t i = 0, added = 0; i < main_rows + others; i++) {
		bool other = layout == 0   ? i >= main_rows
		             : layout == 1 ? added < others && i % (every + 1) == every
		                           : added < others && i % (every + 1) == 0;

		added += other;
		rows[count++] = other ? (struct row_time){T0 - 900 * US_PER_DAY +
		                                                  (int64_t)added * US_PER_MINUTE,
		                                          50 + (int64_t)added}
		                      : (struct row_time){T0 + (int64_t)i * US_PER_MINUTE, 1};
	}
	return count;
}

Test(source_clock, a_few_rows_far_in_the_past_do_not_refute_a_source_of_one_user)
{
	static struct row_time rows[4000];
	static struct result results[4000];
	static const size_t main_rows[] = {30, 100, 990, 3000}, others[] = {1, 3, 10, 60};

	for (size_t c = 0; c < 4 * 4 * 3; c++) {
		size_t layout = c / 16, m = main_rows[c % 4], o = others[c / 4 % 4], count;

		if (o * 10 > m)
			continue;
		count = mostly_one_user(rows, m, o, layout);
		run(rows, count, results);
		for (size_t i = 0; i < count; i++) {
			if (rows[i].user_id != 1)
				continue;
			cr_assert(accepted(&rows[i], &results[i]),
			          "layout %zu, %zu and %zu rows: row %zu", layout, m, o, i);
			cr_assert(results[i].clock_us <= rows[i].time_us,
			          "layout %zu, %zu and %zu rows: row %zu is late", layout, m, o, i);
		}
	}
}

/* The device sends many rows in succession, or is the first one. */
Test(source_clock, a_busy_device_with_a_wrong_clock_moves_nothing)
{
	static struct row_time rows[3000];
	static struct result results[3000];
	static const size_t bursts[] = {1, 20, 300}, starts[] = {0, 1, 700}, rests[] = {4, 400};

	for (size_t c = 0; c < 3 * 3 * 2; c++) {
		size_t burst = bursts[c % 3], start = starts[c / 3 % 3], rest = rests[c / 9];
		size_t count = start + burst + rest;

		if (burst >= 9 * rest && start < 2)
			continue; /* nearly all rows are of this device: it is the main user */
		for (size_t i = 0; i < count; i++)
			rows[i] = i >= start && i < start + burst
			                  ? (struct row_time){T0 + 900 * US_PER_DAY +
			                                              (int64_t)i * US_PER_SECOND,
			                                      99}
			                  : (struct row_time){T0 + (int64_t)i * US_PER_SECOND,
			                                      1 + (int64_t)i % 7};
		run(rows, count, results);
		for (size_t i = 0; i < count; i++) {
			if (rows[i].user_id == 99) {
				cr_assert(results[i].refuted, "case %zu, row %zu", c, i);
				continue;
			}
			cr_assert(accepted(&rows[i], &results[i]), "case %zu, row %zu", c, i);
			cr_assert(results[i].clock_us <= rows[i].time_us,
			          "case %zu, row %zu is late", c, i);
		}
	}
}

Test(source_clock, a_wrong_row_in_the_file_of_one_user_moves_nothing)
{
	static struct row_time rows[60];
	static struct result results[60];

	for (size_t at = 0; at < 59; at++) {
		for (size_t i = 0; i < 60; i++)
			rows[i] = (struct row_time){T0 + (int64_t)i * US_PER_MINUTE, 1};
		rows[at].time_us += 900 * US_PER_DAY;
		run(rows, 60, results);
		for (size_t i = 0; i < 60; i++)
			cr_assert(i == at || (accepted(&rows[i], &results[i]) &&
			                      results[i].clock_us <= rows[i].time_us),
			          "wrong at %zu: row %zu", at, i);
	}
}

/* Any density, users and pauses. At the end of a source of several users, two of them alternate: a
 * pause before the last rows of one user may also be a wrong clock (source_clock.c). */
Test(source_clock, nothing_of_a_random_stream_in_order_is_refused_or_late)
{
	static struct row_time rows[1600];
	static struct result results[1600];

	for (uint64_t seed = 1; seed <= 600; seed++) {
		struct rng rng = {seed};
		size_t count = (size_t)rng_between(&rng, 1, rng_chance(&rng, 5) ? 1600 : 80);
		int64_t time_us = T0, users = rng_between(&rng, 1, 12), user = 1;
		int64_t step_us = US_PER_SECOND << rng_between(&rng, 0, 17);
		int64_t stay = rng_between(&rng, 1, 100), pause = rng_between(&rng, 5, 60);

		for (size_t i = 0; i < count; i++) {
			bool early = time_us < T0 + 2000 * US_PER_DAY; /* all are before LATEST */
			bool long_pause = early && rng_chance(&rng, pause) && i + 2 < count;

			time_us += rng_below(&rng, long_pause ? 700 * US_PER_DAY
			                           : early    ? step_us
			                                      : US_PER_MINUTE);
			if (rng_chance(&rng, stay)) /* the user changes now and then */
				user = rng_between(&rng, 1, users);
			if (users > 1 && i + 12 >= count)
				user = 1 + (int64_t)i % 2;
			rows[i] = (struct row_time){time_us, user};
		}
		run(rows, count, results);
		for (size_t i = 0; i < count; i++) {
			cr_assert(accepted(&rows[i], &results[i]),
			          "seed %" PRIu64 ", row %zu of %zu", seed, i, count);
			cr_assert(results[i].clock_us <= rows[i].time_us,
			          "seed %" PRIu64 ", row %zu of %zu is late", seed, i, count);
		}
	}
}

Test(source_clock, disorder_after_a_pause_neither_refutes_nor_stops_the_clock)
{
	static struct row_time rows[4000];
	static struct result results[4000];

	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct rng rng = {seed};

		for (size_t i = 0; i < 4000; i++) {
			int64_t time_us =
				T0 + (int64_t)i * US_PER_SECOND + (i >= 2000 ? 2 * US_PER_DAY : 0);

			if (rng_chance(&rng, 100)) /* late */
				time_us -= rng_between(&rng, 20, 60) * US_PER_MINUTE;
			rows[i] = (struct row_time){time_us - rng_below(&rng, 5 * US_PER_SECOND),
			                            rng_between(&rng, 1, 50)};
		}
		run(rows, 4000, results);
		for (size_t i = 0; i < 4000; i++)
			cr_assert(accepted(&rows[i], &results[i]), "seed %" PRIu64 ", row %zu",
			          seed, i);
		cr_assert(results[3999].clock_us > T0 + 2 * US_PER_DAY + 3980 * US_PER_SECOND,
		          "seed %" PRIu64, seed);
	}
}

Test(source_clock, a_last_row_far_ahead_moves_nothing_and_is_accepted_if_the_source_is_sparse)
{
	struct row_time rows[] = {{T0, 1},
	                          {T0 + US_PER_MINUTE, 2},
	                          {T0 + 2 * US_PER_MINUTE, 3},
	                          {T0 + 2 * US_PER_DAY, 4}};
	struct result results[4];

	run(rows, 4, results);
	cr_assert(accepted(&rows[3], &results[3]));
	cr_assert_eq(results[3].clock_us, T0 + US_PER_MINUTE);
	rows[3].time_us = T0 + 900 * US_PER_DAY;
	run(rows, 4, results);
	cr_assert_not(accepted(&rows[3], &results[3]), "nothing makes so long a pause likely");
	cr_assert_eq(results[3].clock_us, T0 + US_PER_MINUTE);
}

Test(source_clock, dense_rows_are_not_read_ahead)
{
	static struct row_time rows[5000];
	static struct result results[5000];
	struct source_clock clock;

	for (size_t i = 0; i < 5000; i++)
		rows[i] = (struct row_time){T0 + (int64_t)i * US_PER_SECOND, 1 + (int64_t)i % 9};
	cr_assert_eq(run(rows, 5000, results), SOURCE_CLOCK_AHEAD + 1, "at the start");
	source_clock_init(&clock, LATEST);
	clock_announce(&clock.state.clock, T0, INT64_MAX);
	source_clock_add(&clock, (struct row_time){T0 + US_PER_HOUR, 1});
	cr_assert_not(source_clock_waits(&clock));
	source_clock_take(&clock);
	source_clock_add(&clock, (struct row_time){T0 + US_PER_HOUR + 1, 1});
	cr_assert(source_clock_waits(&clock));
}

Test(source_clock, a_clock_that_was_saved_continues_as_if_it_had_not_stopped)
{
	static struct row_time rows[300];
	static struct result results[300];
	char text[SOURCE_CLOCK_TEXT_MAX];
	struct rng rng = {5};
	int64_t time_us = T0;

	for (size_t i = 0; i < 300; i++) {
		time_us += rng_chance(&rng, 9) ? rng_below(&rng, 3 * US_PER_DAY)
		                               : rng_below(&rng, US_PER_MINUTE);
		rows[i] = (struct row_time){time_us, rng_between(&rng, 1, 4)};
	}
	run(rows, 300, results);
	for (size_t stop = 1; stop < 300; stop++) {
		struct source_clock clock;
		struct source_clock_state state;

		source_clock_init(&clock, LATEST);
		for (size_t i = 0; i < 300; i++)
			source_clock_add(&clock, rows[i]);
		for (size_t i = 0; i < stop; i++)
			source_clock_take(&clock);
		source_clock_format(&clock.state, text);
		cr_assert(source_clock_parse(text, &state), "'%s'", text);
		source_clock_init(&clock, LATEST);
		clock.state = state;
		for (size_t i = stop; i < 300; i++)
			source_clock_add(&clock, rows[i]);
		for (size_t i = stop; i < 300; i++)
			cr_assert_eq(source_clock_take(&clock).clock_us, results[i].clock_us,
			             "stopped after %zu, row %zu", stop, i);
	}
	cr_assert_not(source_clock_parse("1,2,3,4", &(struct source_clock_state){0}));
	cr_assert_not(source_clock_parse("1,2,3,4;5", &(struct source_clock_state){0}));
	cr_assert_not(source_clock_parse("1,2,3,4;5,6,7", &(struct source_clock_state){0}));
}

Test(source_clock, the_longest_gap_of_a_state_does_not_overflow)
{
	struct row_time row = {T0 + 40 * US_PER_DAY, 3};
	struct source_clock clock;
	char text[SOURCE_CLOCK_TEXT_MAX];

	source_clock_init(&clock, LATEST);
	snprintf(text, sizeof(text), "%" PRId64 ",1,%" PRId64 ",%" PRId64 ";-1,%" PRId64, T0, T0,
	         T0, INT64_MAX);
	cr_assert(source_clock_parse(text, &clock.state), "'%s'", text);
	source_clock_add(&clock, row);
	cr_assert_eq(source_clock_take(&clock).clock_us, T0 + 9 * US_PER_DAY);
}

Test(source_clock, times_that_cannot_be_have_no_say)
{
	struct row_time rows[] = {{CLOCK_NONE, 1},
	                          {LATEST + 1, 2},
	                          {T0, 3},
	                          {INT64_C(946684799) * US_PER_SECOND, 4},
	                          {T0 + 1, 5}};
	struct result results[5];

	run(rows, 5, results);
	cr_assert_eq(results[0].clock_us, CLOCK_NONE);
	cr_assert_eq(results[1].clock_us, CLOCK_NONE);
	cr_assert_eq(results[3].clock_us, T0);
	cr_assert_eq(results[4].clock_us, T0);
}
