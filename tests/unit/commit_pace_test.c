#include "stream/commit_pace.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdint.h>

#include "stream/catch_up.h"

#define MS     INT64_C(1000)
#define SECOND (1000 * MS)

static void take(struct commit_pace *pace, int64_t took_us, int times)
{
	for (int i = 0; i < times; i++)
		commit_pace_took(pace, took_us);
}

/* Of 1 million rows a second. */
static int64_t longest(const struct commit_pace *pace)
{
	return commit_pace_us(pace, 1000000, SECOND, 10 * SECOND);
}

Test(commit_pace, does_not_wait_at_first)
{
	struct commit_pace pace = {0};

	cr_assert_eq(longest(&pace), 0);
	take(&pace, 40 * MS, 1);
	cr_assert_eq(longest(&pace), 0, "the first commit is the fastest one");
	take(&pace, 14 * MS, 1);
	cr_assert_eq(pace.fastest_us, 14 * MS);
}

/* Whether there is a wait after a commit of first_ms, and then `times` commits of then_ms. */
static bool waits_after(int64_t first_ms, int64_t then_ms, int times)
{
	struct commit_pace pace = {0};

	take(&pace, first_ms * MS, 1);
	take(&pace, then_ms * MS, times);
	return longest(&pace) > 0;
}

Test(commit_pace, does_not_wait_while_commits_are_as_usual_or_quick)
{
	cr_assert_not(waits_after(14, 28, 1000), "their usual time");
	cr_assert(waits_after(14, 29, 1000));
	cr_assert_not(waits_after(1, COMMIT_PACE_QUICK_US / MS, 1000), "quick");
	cr_assert(waits_after(1, COMMIT_PACE_QUICK_US / MS + 1, 1000));
	cr_assert_not(waits_after(4, 50, 1), "one slow commit");
	cr_assert(waits_after(4, 50, 2));
}

Test(commit_pace, waits_while_commits_are_slow)
{
	struct commit_pace pace = {0};

	take(&pace, 4 * MS, 1);
	take(&pace, 20 * MS, 100);
	cr_assert_gt(longest(&pace), COMMIT_PACE_FACTOR * 9 * MS);
	cr_assert_leq(longest(&pace), COMMIT_PACE_FACTOR * 10 * MS);
	take(&pace, 200 * MS, 100);
	cr_assert_eq(longest(&pace), COLLECTING_MAX_US);
	take(&pace, 5 * MS, 100);
	cr_assert_eq(longest(&pace), 0, "commits are quick again");
}

Test(commit_pace, forgets_a_commit_of_minutes_soon)
{
	struct commit_pace pace = {0};

	take(&pace, 4 * MS, 1);
	take(&pace, 600 * SECOND, 1);
	take(&pace, 4 * MS, 14);
	cr_assert_eq(longest(&pace), 0);
}

Test(commit_pace, waits_for_many_rows_only)
{
	struct commit_pace pace = {0};

	take(&pace, 4 * MS, 1);
	take(&pace, 1 * SECOND, 100);
	cr_assert_eq(commit_pace_us(&pace, 0, SECOND, 10 * SECOND), 0);
	cr_assert_eq(commit_pace_us(&pace, 25000, SECOND, 10 * SECOND), 0);
	cr_assert_eq(commit_pace_us(&pace, 30000, SECOND, 10 * SECOND), 200 * MS);
	cr_assert_eq(commit_pace_us(&pace, 900, 30 * MS, 10 * SECOND), 200 * MS);
	cr_assert_eq(commit_pace_us(&pace, 5000, 60 * SECOND, 10 * SECOND), 0,
	             "the first ones after a pause");
}

Test(commit_pace, waits_for_a_quarter_of_a_short_transaction_timeout)
{
	struct commit_pace pace = {0};

	take(&pace, 4 * MS, 1);
	take(&pace, 1 * SECOND, 100);
	cr_assert_eq(commit_pace_us(&pace, 1000000, SECOND, SECOND), 250 * MS);
	cr_assert_eq(commit_pace_us(&pace, 1000000, SECOND, 900 * SECOND), COLLECTING_MAX_US);
}

Test(commit_pace, takes_times_that_are_not_measurable)
{
	struct commit_pace pace = {0};

	take(&pace, 0, 3);
	cr_assert_eq(pace.fastest_us, 1);
	cr_assert_eq(longest(&pace), 0);
	take(&pace, 20 * MS, 100);
	cr_assert_gt(commit_pace_us(&pace, 26, 0, 10 * SECOND), 0);
}
