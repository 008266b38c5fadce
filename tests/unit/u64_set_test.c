/* The set compared with an array. */
#include "base/u64_set.h"
#include "unit/fold_kit.h"

#define NUMBERS 40

static uint32_t count_of(const bool has[NUMBERS])
{
	uint32_t count = 0;

	for (int i = 0; i < NUMBERS; i++)
		count += has[i];
	return count;
}

Test(u64_set, counts_every_number_once_at_every_size)
{
	struct rng rng = {3};

	for (int range = 1; range <= NUMBERS; range++) {
		struct u64_set set = {.count = 0};
		bool has[NUMBERS] = {false};

		for (int i = 0; i < 4 * range; i++) {
			int64_t number = rng_below(&rng, range);

			has[number] = true;
			u64_set_put(&set, (uint64_t)number << 32);
			cr_assert_eq(set.count, count_of(has), "of %d numbers, after %d", range, i);
		}
		u64_set_free(&set);
		cr_assert_eq(set.count, 0);
	}
}

Test(u64_set, a_merge_has_the_numbers_of_both)
{
	struct rng rng = {4};

	for (int round = 0; round < 400; round++) {
		struct u64_set set[2] = {{.count = 0}, {.count = 0}};
		bool has[NUMBERS] = {false};

		for (int s = 0; s < 2; s++)
			for (int64_t n = rng_below(&rng, 12); n > 0; n--) {
				int64_t number = rng_below(&rng, NUMBERS);

				has[number] = true;
				u64_set_put(&set[s], (uint64_t)number);
			}
		u64_set_merge(&set[0], &set[1]);
		cr_assert_eq(set[0].count, count_of(has), "round %d", round);
		for (uint64_t i = 0; i < NUMBERS; i++)
			if (has[i])
				u64_set_put(&set[0], i);
		cr_assert_eq(set[0].count, count_of(has), "round %d", round);
		u64_set_free(&set[0]);
		u64_set_free(&set[1]);
	}
}

Test(u64_set, takes_the_numbers_zero_and_all_ones)
{
	struct u64_set set = {.count = 0};

	u64_set_put(&set, 0);
	u64_set_put(&set, UINT64_MAX);
	cr_assert_eq(set.count, 2);
	for (uint64_t i = 0; i < NUMBERS; i++)
		u64_set_put(&set, i);
	u64_set_put(&set, UINT64_MAX);
	cr_assert_eq(set.count, NUMBERS + 1);
	u64_set_free(&set);
}
