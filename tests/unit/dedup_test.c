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
			cr_assert_eq(dedup_add(dedup, times_us[which], id), !known[which],
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
		cr_assert(dedup_add(dedup, KIT_DAY0_US + (int64_t)(i % 100) * US_PER_HOUR, id));
	}
	cr_assert_eq(dedup_count(dedup), 10000);
	dedup_forget(dedup, KIT_DAY0_US + 40 * US_PER_HOUR + 1);
	cr_assert_eq(dedup_count(dedup), 6000, "the hour that the limit cuts is kept");
	dedup_forget(dedup, KIT_DAY0_US);
	cr_assert_eq(dedup_count(dedup), 6000);
	id_of(41, id);
	cr_assert_not(dedup_add(dedup, KIT_DAY0_US + 41 * US_PER_HOUR, id));
	dedup_free(dedup);
}

Test(dedup, id_of_zeros_is_an_id_like_any_other)
{
	struct dedup *dedup = dedup_new(US_PER_HOUR);
	uint8_t id[EVENT_ID_BYTES] = {0};

	cr_assert(dedup_add(dedup, KIT_DAY0_US, id));
	cr_assert_not(dedup_add(dedup, KIT_DAY0_US, id));
	cr_assert_eq(dedup_count(dedup), 1);
	cr_assert(dedup_add(dedup, KIT_DAY0_US + US_PER_HOUR, id),
	          "another hour is another bucket");
	dedup_free(dedup);
}

Test(dedup, digest_does_not_depend_on_order_and_shows_a_missing_id)
{
	struct dedup *a = dedup_new(US_PER_DAY), *b = dedup_new(US_PER_DAY);
	uint8_t id[EVENT_ID_BYTES];

	for (uint64_t i = 0; i < 1000; i++) {
		id_of(i, id);
		cr_assert(dedup_add(a, KIT_DAY0_US + (int64_t)(i % 7) * US_PER_HOUR, id));
	}
	for (uint64_t i = 1000; i-- > 1;) {
		id_of(i, id);
		cr_assert(dedup_add(b, KIT_DAY0_US + (int64_t)(i % 7) * US_PER_HOUR, id));
	}
	cr_assert_neq(dedup_digest(a, KIT_DAY0_US), dedup_digest(b, KIT_DAY0_US));
	cr_assert_eq(dedup_digest(a, KIT_DAY0_US + US_PER_HOUR),
	             dedup_digest(b, KIT_DAY0_US + US_PER_HOUR),
	             "the missing one was in the first hour");
	id_of(0, id);
	cr_assert(dedup_add(b, KIT_DAY0_US, id));
	cr_assert_eq(dedup_digest(a, KIT_DAY0_US), dedup_digest(b, KIT_DAY0_US));
	dedup_free(a);
	dedup_free(b);
}
