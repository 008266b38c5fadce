/* The check for a recreated topic: when it is due, and which record it looks for. */
#include <criterion/criterion.h>

#include "stream/record_mark.h"
#include "stream/recreation_check.h"

#define SECOND_US INT64_C(1000000)

static const struct record_mark first = {10, 1, 1}, second = {20, 2, 2}, third = {30, 3, 3};

static struct recreation_check check_passed_at(int64_t now_us)
{
	struct recreation_check check;

	recreation_check_begin(&check, &first, now_us);
	recreation_check_passed(&check, &first, now_us);
	return check;
}

static void expect_known(const struct recreation_check *check, const struct record_mark *want)
{
	cr_assert(record_mark_equal(&check->known, want), "%lld for %lld",
	          (long long)check->known.offset, (long long)want->offset);
}

Test(recreation_check, check_is_due_at_the_beginning_until_the_record_is_found)
{
	struct recreation_check check;

	recreation_check_begin(&check, &first, SECOND_US);
	cr_assert(recreation_check_is_due(&check, &first, SECOND_US));
	expect_known(&check, &first);
	recreation_check_passed(&check, &first, SECOND_US);
	cr_assert_not(recreation_check_is_due(&check, &first, SECOND_US));
}

Test(recreation_check, check_is_not_due_on_an_input_without_pauses)
{
	struct recreation_check check = check_passed_at(0);

	for (int64_t at_us = 0; at_us < 30 * SECOND_US; at_us += RECREATION_SILENCE_US)
		recreation_check_delivered(&check, &second, at_us);
	cr_assert_not(recreation_check_is_due(&check, &second, 30 * SECOND_US));
}

Test(recreation_check, a_record_after_a_silence_makes_the_check_due_for_the_record_before_it)
{
	struct recreation_check check = check_passed_at(0);

	recreation_check_delivered(&check, &second, SECOND_US);
	cr_assert(recreation_check_is_due(&check, &second, SECOND_US));
	expect_known(&check, &second);
}

Test(recreation_check, silence_alone_does_not_make_the_check_due)
{
	struct recreation_check check = check_passed_at(0);

	cr_assert_not(recreation_check_is_due(&check, &first, 3600 * SECOND_US));
}

Test(recreation_check, a_second_silence_keeps_the_record_of_the_first_until_the_check_has_passed)
{
	struct recreation_check check = check_passed_at(0);

	recreation_check_delivered(&check, &first, SECOND_US);
	recreation_check_delivered(&check, &second, SECOND_US + 1);
	/* `second` came after the first silence, and may be from another log */
	recreation_check_delivered(&check, &third, 9 * SECOND_US);
	expect_known(&check, &first);
	recreation_check_passed(&check, &third, 9 * SECOND_US);
	expect_known(&check, &third);
	cr_assert_not(recreation_check_is_due(&check, &third, 9 * SECOND_US));
}

Test(recreation_check, a_busy_input_is_checked_every_minute_by_the_record_of_the_last_check)
{
	struct recreation_check check = check_passed_at(0);

	for (int64_t at_us = 0; at_us < RECREATION_CHECK_US; at_us += RECREATION_SILENCE_US) {
		recreation_check_delivered(&check, &second, at_us);
		cr_assert_not(recreation_check_is_due(&check, &second, at_us));
	}
	cr_assert(recreation_check_is_due(&check, &second, RECREATION_CHECK_US));
	expect_known(&check, &first);
	recreation_check_passed(&check, &second, RECREATION_CHECK_US);
	cr_assert_not(recreation_check_is_due(&check, &third, RECREATION_CHECK_US + SECOND_US));
}
