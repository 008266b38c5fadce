/* A reader of committed records is at the high watermark, held before it, or reading. */
#include <criterion/criterion.h>

#include "stream/partition_end.h"

#define SECOND INT64_C(1000000)
#define LIMIT  (30 * SECOND)

static struct partition_end at(int64_t offset)
{
	struct partition_end end;

	partition_end_init(&end);
	partition_end_reached(&end, offset);
	return end;
}

Test(partition_end, end_at_the_high_watermark_is_idle_from_the_first_update)
{
	struct partition_end end = at(100);

	cr_assert_eq(partition_end_update(&end, 100, LIMIT, 5 * SECOND), PARTITION_END_SAME);
	cr_assert_eq(end.idle_since_us, 5 * SECOND);
	cr_assert_eq(partition_end_update(&end, 100, LIMIT, 50 * SECOND), PARTITION_END_SAME);
	cr_assert_eq(end.idle_since_us, 5 * SECOND);
	cr_assert_eq(end.held_records, 0);
	cr_assert_eq(end.held_since_us, 0);
}

Test(partition_end, end_before_the_high_watermark_is_never_idle)
{
	struct partition_end end = at(100);

	for (int64_t now_us = SECOND; now_us < 100 * SECOND; now_us += SECOND) {
		partition_end_update(&end, 101, LIMIT, now_us);
		cr_assert_eq(end.idle_since_us, 0);
		cr_assert_eq(end.held_records, 1);
		cr_assert_eq(end.held_since_us, SECOND);
	}
}

Test(partition_end, hold_resets_idleness)
{
	struct partition_end end = at(100);

	partition_end_update(&end, 100, LIMIT, SECOND);
	partition_end_update(&end, 105, LIMIT, 29 * SECOND);
	partition_end_update(&end, 100, LIMIT, 31 * SECOND);
	cr_assert_eq(end.idle_since_us, 31 * SECOND);
}

Test(partition_end, unknown_high_watermark_is_neither_idle_nor_held)
{
	struct partition_end end = at(100);

	cr_assert_eq(partition_end_update(&end, -1, LIMIT, SECOND), PARTITION_END_SAME);
	cr_assert_eq(end.idle_since_us, 0);
	cr_assert_eq(end.held_since_us, 0);
}

Test(partition_end, high_watermark_before_the_end_is_not_idle)
{
	struct partition_end end = at(100);

	partition_end_update(&end, 99, LIMIT, SECOND);
	cr_assert_eq(end.idle_since_us, 0);
	cr_assert_eq(end.held_records, 0);
}

Test(partition_end, reader_that_has_not_reached_an_end_is_neither_idle_nor_held)
{
	struct partition_end end;

	partition_end_init(&end);
	cr_assert_eq(partition_end_update(&end, 100, LIMIT, 40 * SECOND), PARTITION_END_SAME);
	cr_assert_eq(end.idle_since_us, 0);
	cr_assert_eq(end.held_since_us, 0);
}

Test(partition_end, record_ends_idleness)
{
	struct partition_end end = at(100);

	partition_end_update(&end, 100, LIMIT, SECOND);
	partition_end_left(&end);
	cr_assert_eq(end.idle_since_us, 0);
	partition_end_reached(&end, 101);
	partition_end_update(&end, 101, LIMIT, 20 * SECOND);
	cr_assert_eq(end.idle_since_us, 20 * SECOND);
}

Test(partition_end, markers_do_not_end_idleness)
{
	struct partition_end end = at(100);

	partition_end_update(&end, 100, LIMIT, SECOND);
	partition_end_reached(&end, 102);
	partition_end_update(&end, 102, LIMIT, 20 * SECOND);
	cr_assert_eq(end.idle_since_us, SECOND);
}

Test(partition_end, hold_is_reported_once_at_the_limit)
{
	struct partition_end end = at(100);

	cr_assert_eq(partition_end_update(&end, 107, LIMIT, SECOND), PARTITION_END_SAME);
	cr_assert_eq(partition_end_update(&end, 109, LIMIT, LIMIT + SECOND - 1),
	             PARTITION_END_SAME);
	cr_assert_eq(partition_end_update(&end, 111, LIMIT, LIMIT + SECOND), PARTITION_END_HELD);
	cr_assert_eq(partition_end_update(&end, 111, LIMIT, LIMIT + 2 * SECOND),
	             PARTITION_END_SAME);
	cr_assert_eq(end.held_records, 11);
	cr_assert_eq(end.held_offset, 100);
}

Test(partition_end, last_stable_offset_that_moves_is_never_reported)
{
	struct partition_end end = at(100);

	for (int64_t i = 1; i < 100; i++) {
		partition_end_reached(&end, 100 + i);
		cr_assert_eq(partition_end_update(&end, 105 + i, LIMIT, i * (LIMIT - 1)),
		             PARTITION_END_SAME);
	}
}

Test(partition_end, record_releases_a_reported_hold_once)
{
	struct partition_end end = at(100);

	partition_end_update(&end, 107, LIMIT, SECOND);
	partition_end_update(&end, 107, LIMIT, SECOND + LIMIT);
	partition_end_left(&end);
	cr_assert_eq(partition_end_update(&end, 107, LIMIT, 2 * LIMIT), PARTITION_END_RELEASED);
	cr_assert_eq(partition_end_update(&end, 107, LIMIT, 2 * LIMIT + 1), PARTITION_END_SAME);
	cr_assert_eq(end.held_records, 0);
}

Test(partition_end, end_past_aborted_records_releases_a_reported_hold)
{
	struct partition_end end = at(100);

	partition_end_update(&end, 107, LIMIT, SECOND);
	partition_end_update(&end, 107, LIMIT, SECOND + LIMIT);
	partition_end_reached(&end, 108);
	cr_assert_eq(partition_end_update(&end, 108, LIMIT, 2 * LIMIT), PARTITION_END_RELEASED);
	cr_assert_eq(end.idle_since_us, 2 * LIMIT);
}

Test(partition_end, hold_after_a_reported_one_is_measured_from_its_own_begin)
{
	struct partition_end end = at(100);

	partition_end_update(&end, 107, LIMIT, SECOND);
	partition_end_update(&end, 107, LIMIT, SECOND + LIMIT);
	partition_end_reached(&end, 105);
	cr_assert_eq(partition_end_update(&end, 107, LIMIT, 2 * LIMIT), PARTITION_END_RELEASED);
	cr_assert_eq(end.held_since_us, 2 * LIMIT);
	cr_assert_eq(partition_end_update(&end, 107, LIMIT, 3 * LIMIT - 1), PARTITION_END_SAME);
	cr_assert_eq(partition_end_update(&end, 107, LIMIT, 3 * LIMIT), PARTITION_END_HELD);
}

Test(partition_end, short_hold_ends_without_a_report)
{
	struct partition_end end = at(100);

	partition_end_update(&end, 107, LIMIT, SECOND);
	partition_end_reached(&end, 107);
	cr_assert_eq(partition_end_update(&end, 107, LIMIT, 2 * SECOND), PARTITION_END_SAME);
	cr_assert_eq(end.held_since_us, 0);
}
