#include "stream/catch_up.h"

#include <criterion/criterion.h>
#include <stdint.h>

#define SETTING 100000

Test(catch_up, few_waiting_records_are_no_reason)
{
	cr_assert(!catching_up(0, 0));
	cr_assert(!catching_up(0, CATCH_UP_RECORDS - 1));
	cr_assert(catching_up(0, CATCH_UP_RECORDS));
}

Test(catch_up, needs_more_than_ten_times_the_folded_records)
{
	cr_assert(!catching_up(1000, 10000));
	cr_assert(!catching_up(1000, 10009));
	cr_assert(catching_up(1000, 10010));
	cr_assert(catching_up(1000, INT64_MAX));
}

Test(catch_up, makes_the_interval_a_second)
{
	cr_assert_eq(commit_interval_us(SETTING, 10000000, false), SETTING);
	cr_assert_eq(commit_interval_us(SETTING, 10000000, true), COLLECTING_MAX_US);
}

Test(catch_up, takes_a_quarter_of_a_short_transaction_timeout)
{
	cr_assert_eq(commit_interval_us(SETTING, 1000000, true), 250000);
	cr_assert_eq(commit_interval_us(SETTING, 300000, true), SETTING);
}

Test(catch_up, never_shortens_the_interval)
{
	cr_assert_eq(commit_interval_us(5000000, 10000000, true), 5000000);
}
