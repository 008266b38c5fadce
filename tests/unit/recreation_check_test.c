#include <criterion/criterion.h>

#include "stream/recreation_check.h"
#include "stream/record_mark.h"

#define SECOND_US INT64_C(1000000)

static const struct record_mark first = {10, 1, 1}, second = {20, 2, 2}, third = {30, 3, 3};

static struct recreation_check watch_at(int64_t now_us)
{
	struct recreation_check watch;

	recreation_check_begin(&watch, &first, now_us);
	recreation_check_passed(&watch, &first, now_us);
	return watch;
}

static void expect_known(const struct recreation_check *watch, const struct record_mark *want)
{
	cr_assert(record_mark_equal(&watch->known, want), "%lld for %lld",
	          (long long)watch->known.offset, (long long)want->offset);
}

Test(recreation_check, the_beginning_is_in_doubt_until_the_record_is_found)
{
	struct recreation_check watch;

	recreation_check_begin(&watch, &first, SECOND_US);
	cr_assert(recreation_check_is_due(&watch, &first, SECOND_US));
	expect_known(&watch, &first);
	recreation_check_passed(&watch, &first, SECOND_US);
	cr_assert_not(recreation_check_is_due(&watch, &first, SECOND_US));
}

Test(recreation_check, an_input_that_never_pauses_is_not_in_doubt)
{
	struct recreation_check watch = watch_at(0);

	for (int64_t at_us = 0; at_us < 30 * SECOND_US; at_us += RECREATION_SILENCE_US)
		recreation_check_delivered(&watch, &second, at_us);
	cr_assert_not(recreation_check_is_due(&watch, &second, 30 * SECOND_US));
}

Test(recreation_check, a_record_after_a_silence_raises_doubt_and_the_record_before_it_is_looked_for)
{
	struct recreation_check watch = watch_at(0);

	recreation_check_delivered(&watch, &second, SECOND_US);
	cr_assert(recreation_check_is_due(&watch, &second, SECOND_US));
	expect_known(&watch, &second);
}

Test(recreation_check, silence_alone_asks_nothing)
{
	struct recreation_check watch = watch_at(0);

	cr_assert_not(recreation_check_is_due(&watch, &first, 3600 * SECOND_US));
}

Test(recreation_check, the_first_doubt_keeps_its_record_until_it_is_settled)
{
	struct recreation_check watch = watch_at(0);

	recreation_check_delivered(&watch, &first, SECOND_US);
	recreation_check_delivered(&watch, &second, SECOND_US + 1);
	recreation_check_delivered(
		&watch, &third,
		9 * SECOND_US); /* `second` came after the doubt, and may be of another log */
	expect_known(&watch, &first);
	recreation_check_passed(&watch, &third, 9 * SECOND_US);
	expect_known(&watch, &third);
	cr_assert_not(recreation_check_is_due(&watch, &third, 9 * SECOND_US));
}

Test(recreation_check, a_busy_input_is_looked_at_every_minute_by_the_record_of_the_last_look)
{
	struct recreation_check watch = watch_at(0);

	for (int64_t at_us = 0; at_us < RECREATION_CHECK_US; at_us += RECREATION_SILENCE_US) {
		recreation_check_delivered(&watch, &second, at_us);
		cr_assert_not(recreation_check_is_due(&watch, &second, at_us));
	}
	cr_assert(recreation_check_is_due(&watch, &second, RECREATION_CHECK_US));
	expect_known(&watch, &first);
	recreation_check_passed(&watch, &second, RECREATION_CHECK_US);
	cr_assert_not(recreation_check_is_due(&watch, &third, RECREATION_CHECK_US + SECOND_US));
}
