#include <criterion/criterion.h>

#include "stream/log_watch.h"
#include "stream/record_mark.h"

#define SECOND_US INT64_C(1000000)

static const struct record_mark first = {10, 1, 1}, second = {20, 2, 2}, third = {30, 3, 3};

static struct log_watch watch_at(int64_t now_us)
{
	struct log_watch watch;

	log_watch_begin(&watch, &first, now_us);
	log_watch_found(&watch, &first, now_us);
	return watch;
}

static void expect_known(const struct log_watch *watch, const struct record_mark *want)
{
	cr_assert(record_mark_equal(&watch->known, want), "%lld for %lld",
	          (long long)watch->known.offset, (long long)want->offset);
}

Test(log_watch, the_beginning_is_in_doubt_until_the_record_is_found)
{
	struct log_watch watch;

	log_watch_begin(&watch, &first, SECOND_US);
	cr_assert(log_watch_asks(&watch, &first, SECOND_US));
	expect_known(&watch, &first);
	log_watch_found(&watch, &first, SECOND_US);
	cr_assert_not(log_watch_asks(&watch, &first, SECOND_US));
}

Test(log_watch, an_input_that_never_pauses_is_not_in_doubt)
{
	struct log_watch watch = watch_at(0);

	for (int64_t at_us = 0; at_us < 30 * SECOND_US; at_us += LOG_SILENCE_US)
		log_watch_seen(&watch, &second, at_us);
	cr_assert_not(log_watch_asks(&watch, &second, 30 * SECOND_US));
}

Test(log_watch, a_record_after_a_silence_raises_doubt_and_the_record_before_it_is_looked_for)
{
	struct log_watch watch = watch_at(0);

	log_watch_seen(&watch, &second, SECOND_US);
	cr_assert(log_watch_asks(&watch, &second, SECOND_US));
	expect_known(&watch, &second);
}

Test(log_watch, silence_alone_asks_nothing)
{
	struct log_watch watch = watch_at(0);

	cr_assert_not(log_watch_asks(&watch, &first, 3600 * SECOND_US));
}

Test(log_watch, the_first_doubt_keeps_its_record_until_it_is_settled)
{
	struct log_watch watch = watch_at(0);

	log_watch_seen(&watch, &first, SECOND_US);
	log_watch_seen(&watch, &second, SECOND_US + 1);
	log_watch_seen(
		&watch, &third,
		9 * SECOND_US); /* `second` came after the doubt, and may be of another log */
	expect_known(&watch, &first);
	log_watch_found(&watch, &third, 9 * SECOND_US);
	expect_known(&watch, &third);
	cr_assert_not(log_watch_asks(&watch, &third, 9 * SECOND_US));
}

Test(log_watch, a_busy_input_is_looked_at_every_minute_by_the_record_of_the_last_look)
{
	struct log_watch watch = watch_at(0);

	for (int64_t at_us = 0; at_us < LOG_CHECK_US; at_us += LOG_SILENCE_US) {
		log_watch_seen(&watch, &second, at_us);
		cr_assert_not(log_watch_asks(&watch, &second, at_us));
	}
	cr_assert(log_watch_asks(&watch, &second, LOG_CHECK_US));
	expect_known(&watch, &first);
	log_watch_found(&watch, &second, LOG_CHECK_US);
	cr_assert_not(log_watch_asks(&watch, &third, LOG_CHECK_US + SECOND_US));
}
