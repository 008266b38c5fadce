/* Compares de-duplication with a list that forgets nothing. */
#include "base/hash.h"
#include "base/timetext.h"
#include "dedup.h"
#include "event/event_id.h"
#include "fold_kit.h"
#include "unit/fold_kit.h"

static void id_of(uint64_t number, uint8_t id[EVENT_ID_BYTES])
{
	uint64_t halves[2] = {mix64(number), mix64(number + 1000003)};

	memcpy(id, halves, EVENT_ID_BYTES);
}

static bool is_new(struct dedup *dedup, int64_t time_us, const uint8_t id[EVENT_ID_BYTES])
{
	return dedup_add(dedup, time_us, id, -1) == DEDUP_NEW;
}

Test(dedup, id_is_new_once_within_the_horizon)
{
	static const int64_t horizons_h[] = {1, 24, 168, 2000};

	for (size_t h = 0; h < 4; h++) {
		static bool known[30000];
		static int64_t times_us[30000];
		struct rng rng = {h + 1};
		struct dedup *dedup = dedup_new(horizons_h[h] * US_PER_HOUR);
		int64_t now_us = KIT_DAY0_US;

		memset(known, 0, sizeof(known));
		for (uint64_t i = 0; i < 30000; i++) {
			uint64_t which =
				rng_chance(&rng, 2) ? i : (uint64_t)rng_below(&rng, (int64_t)i + 1);
			uint8_t id[EVENT_ID_BYTES];

			now_us += rng_below(&rng, horizons_h[h] * US_PER_MINUTE / 10);
			if (rng_chance(&rng, 100))
				dedup_forget(dedup, now_us - horizons_h[h] * US_PER_HOUR);
			/* from the horizon before the clock to 30 days ahead of it */
			if (!known[which])
				times_us[which] =
					now_us + rng_between(&rng, -horizons_h[h] * US_PER_HOUR,
				                             rng_chance(&rng, 9) ? 30 * US_PER_DAY
				                                                 : US_PER_MINUTE);
			if (times_us[which] < now_us - horizons_h[h] * US_PER_HOUR)
				continue;
			id_of(which, id);
			cr_assert_eq(dedup_add(dedup, times_us[which], id, 150),
			             known[which] ? DEDUP_SAME : DEDUP_NEW,
			             "horizon %" PRId64 " h, event %" PRIu64, horizons_h[h], which);
			known[which] = true;
		}
		dedup_free(dedup);
	}
}

Test(dedup, forgetting_gives_memory_back_and_keeps_the_rest)
{
	struct dedup *dedup = dedup_new(24 * US_PER_HOUR);
	uint8_t id[EVENT_ID_BYTES];

	for (uint64_t i = 0; i < 10000; i++) {
		id_of(i, id);
		cr_assert(is_new(dedup, KIT_DAY0_US + (int64_t)(i % 100) * US_PER_HOUR, id));
	}
	cr_assert_eq(dedup_count(dedup), 10000);
	dedup_forget(dedup, KIT_DAY0_US + 40 * US_PER_HOUR + 1);
	cr_assert_eq(dedup_count(dedup), 6000, "the hour that the limit cuts is kept");
	dedup_forget(dedup, KIT_DAY0_US);
	cr_assert_eq(dedup_count(dedup), 6000);
	id_of(41, id);
	cr_assert_not(is_new(dedup, KIT_DAY0_US + 41 * US_PER_HOUR, id));
	dedup_free(dedup);
}

Test(dedup, hours_that_the_clock_has_left_are_packed_and_still_take_new_ids)
{
	struct dedup *dedup = dedup_new(US_PER_DAY);
	int64_t now_us = KIT_DAY0_US + 5 * US_PER_HOUR, empty = (int64_t)dedup_bytes(dedup);
	uint8_t id[EVENT_ID_BYTES];
	int64_t full;

	for (uint64_t i = 0; i < 50000; i++) {
		id_of(i, id);
		cr_assert(is_new(dedup, KIT_DAY0_US, id));
	}
	dedup_forget(dedup, KIT_DAY0_US + US_PER_HOUR - US_PER_DAY);
	full = (int64_t)dedup_bytes(dedup) - empty;
	cr_assert(full >= 50000 * 21, "%" PRId64 " bytes in the current hours", full);
	dedup_forget(dedup, now_us - US_PER_DAY);
	cr_assert((int64_t)dedup_bytes(dedup) - empty < 50000 * 19);
	for (uint64_t i = 0; i < 100000; i++) {
		id_of(i, id);
		cr_assert_eq(is_new(dedup, KIT_DAY0_US, id), i >= 50000, "id %" PRIu64, i);
	}
	dedup_forget(dedup, now_us + US_PER_HOUR - US_PER_DAY);
	cr_assert((int64_t)dedup_bytes(dedup) - empty >= 100000 * 21, "packed a second time");
	dedup_free(dedup);
}

Test(dedup, id_of_zeros_is_an_id_like_any_other)
{
	struct dedup *dedup = dedup_new(US_PER_HOUR);
	uint8_t id[EVENT_ID_BYTES] = {0};

	cr_assert(is_new(dedup, KIT_DAY0_US, id));
	cr_assert_not(is_new(dedup, KIT_DAY0_US, id));
	cr_assert_eq(dedup_count(dedup), 1);
	cr_assert(is_new(dedup, KIT_DAY0_US + US_PER_HOUR, id), "another hour is another bucket");
	dedup_free(dedup);
}

Test(dedup, digest_does_not_depend_on_order_and_shows_a_missing_id)
{
	struct dedup *a = dedup_new(US_PER_DAY), *b = dedup_new(US_PER_DAY);
	uint8_t id[EVENT_ID_BYTES];

	for (uint64_t i = 0; i < 1000; i++) {
		id_of(i, id);
		cr_assert(is_new(a, KIT_DAY0_US + (int64_t)(i % 7) * US_PER_HOUR, id));
	}
	for (uint64_t i = 1000; i-- > 1;) {
		id_of(i, id);
		cr_assert(is_new(b, KIT_DAY0_US + (int64_t)(i % 7) * US_PER_HOUR, id));
	}
	cr_assert_neq(dedup_digest(a, KIT_DAY0_US), dedup_digest(b, KIT_DAY0_US));
	cr_assert_eq(dedup_digest(a, KIT_DAY0_US + US_PER_HOUR),
	             dedup_digest(b, KIT_DAY0_US + US_PER_HOUR),
	             "the missing one was in the first hour");
	id_of(0, id);
	cr_assert(is_new(b, KIT_DAY0_US, id));
	cr_assert_eq(dedup_digest(a, KIT_DAY0_US), dedup_digest(b, KIT_DAY0_US));
	dedup_free(a);
	dedup_free(b);
}

Test(dedup, repeat_is_compared_with_the_price_of_the_first_copy)
{
	static const struct {
		const char *label;
		int64_t first, again;
		enum dedup_result want;
	} rows[] = {
		{"equal", 500, 500, DEDUP_SAME},
		{"one cent more", 500, 501, DEDUP_OTHER_PRICE},
		{"a price after none", -1, 0, DEDUP_OTHER_PRICE},
		{"none after a price", 0, -1, DEDUP_OTHER_PRICE},
		{"none twice", -1, -1, DEDUP_SAME},
		{"the highest and the lowest", INT64_C(9223372036854775807), 0, DEDUP_OTHER_PRICE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (uint64_t number = 0; number < 2000; number++) {
			struct dedup *dedup = dedup_new(US_PER_HOUR);
			uint8_t id[EVENT_ID_BYTES] = {0};

			if (number > 0) /* 0: the id of zeros, which has no slot */
				id_of(number, id);
			cr_assert_eq(dedup_add(dedup, KIT_DAY0_US, id, rows[i].first), DEDUP_NEW);
			cr_assert_eq(dedup_add(dedup, KIT_DAY0_US, id, rows[i].again), rows[i].want,
			             "%s", rows[i].label);
			cr_assert_eq(dedup_add(dedup, KIT_DAY0_US, id, rows[i].first), DEDUP_SAME,
			             "%s: the first price stays", rows[i].label);
			cr_assert_eq(dedup_count(dedup), 1);
			dedup_free(dedup);
		}
}

Test(dedup, prices_survive_the_growth_of_a_bucket)
{
	struct dedup *dedup = dedup_new(US_PER_DAY);
	uint8_t id[EVENT_ID_BYTES];

	for (uint64_t i = 0; i < 5000; i++) {
		id_of(i, id);
		cr_assert_eq(dedup_add(dedup, KIT_DAY0_US, id, (int64_t)i), DEDUP_NEW);
	}
	for (uint64_t i = 0; i < 5000; i++) {
		id_of(i, id);
		cr_assert_eq(dedup_add(dedup, KIT_DAY0_US, id, (int64_t)i), DEDUP_SAME);
		cr_assert_eq(dedup_add(dedup, KIT_DAY0_US, id, (int64_t)i + 1), DEDUP_OTHER_PRICE);
	}
	dedup_free(dedup);
}

Test(dedup, digest_shows_another_price)
{
	struct dedup *a = dedup_new(US_PER_DAY), *b = dedup_new(US_PER_DAY);
	uint8_t id[EVENT_ID_BYTES];

	id_of(1, id);
	cr_assert_eq(dedup_add(a, KIT_DAY0_US, id, 1), DEDUP_NEW);
	cr_assert_eq(dedup_add(b, KIT_DAY0_US, id, 2), DEDUP_NEW);
	cr_assert_neq(dedup_digest(a, KIT_DAY0_US), dedup_digest(b, KIT_DAY0_US));
	dedup_free(a);
	dedup_free(b);
}
