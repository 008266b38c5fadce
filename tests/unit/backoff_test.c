/* The waits of a back-off double, have an upper bound, and differ between clients. */
#include <criterion/criterion.h>

#include "base/backoff.h"

#define NOW_US INT64_C(1000000000)

static int64_t wait_of(struct backoff *backoff)
{
	backoff_grow(backoff, NOW_US);
	return backoff->next_us - NOW_US;
}

Test(backoff, is_due_immediately_at_first_and_after_a_reset)
{
	struct backoff backoff = {.seed = 1};

	cr_assert(backoff_is_due(&backoff, 0));
	backoff_grow(&backoff, NOW_US);
	cr_assert_not(backoff_is_due(&backoff, NOW_US));
	backoff_reset(&backoff);
	cr_assert(backoff_is_due(&backoff, NOW_US));
}

Test(backoff, is_due_when_its_time_has_come_and_not_before)
{
	struct backoff backoff = {.seed = 1};
	int64_t wait_us = wait_of(&backoff);

	cr_assert_not(backoff_is_due(&backoff, NOW_US + wait_us - 1));
	cr_assert(backoff_is_due(&backoff, NOW_US + wait_us));
}

Test(backoff, waits_double_up_to_the_bound_each_between_half_and_all_of_it)
{
	for (unsigned seed = 0; seed < 200; seed++) {
		struct backoff backoff = {.seed = seed};
		int64_t delay_us = BACKOFF_MIN_US;

		for (int i = 0; i < 12; i++) {
			int64_t wait_us = wait_of(&backoff);

			cr_assert(wait_us >= delay_us / 2 && wait_us < delay_us,
			          "seed %u, try %d: %lld of %lld", seed, i, (long long)wait_us,
			          (long long)delay_us);
			delay_us = delay_us * 2 < BACKOFF_MAX_US ? delay_us * 2 : BACKOFF_MAX_US;
		}
	}
}

Test(backoff, a_reset_makes_the_next_wait_a_short_one)
{
	struct backoff backoff = {.seed = 3};

	for (int i = 0; i < 10; i++)
		backoff_grow(&backoff, NOW_US);
	backoff_reset(&backoff);
	cr_assert(wait_of(&backoff) < BACKOFF_MIN_US);
}

Test(backoff, seeds_spread_the_waits)
{
	struct backoff one = {.seed = 1}, two = {.seed = 2};
	int differ = 0;

	for (int i = 0; i < 10; i++)
		differ += wait_of(&one) != wait_of(&two);
	cr_assert(differ > 5, "%d of 10", differ);
}
