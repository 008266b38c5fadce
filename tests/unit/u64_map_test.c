/* The map compared with an array, and with keys that are chosen to collide. */
#include "base/hash.h"
#include "base/u64_map.h"
#include "unit/fold_kit.h"

Test(u64_map, keeps_the_first_value_of_every_key)
{
	static int64_t slow[5000];
	struct u64_map map = {0};
	struct rng rng = {1};
	uint32_t used = 0;

	for (int i = 0; i < 5000; i++)
		slow[i] = -1;
	for (uint32_t i = 0; i < 40000; i++) {
		int64_t key = rng_below(&rng, 5000);
		bool added;
		uint32_t value = u64_map_put(&map, (uint64_t)key << 32, i, &added);

		cr_assert_eq(added, slow[key] < 0, "key %" PRId64, key);
		if (added)
			slow[key] = i, used++;
		cr_assert_eq(value, slow[key], "key %" PRId64, key);
		cr_assert_eq(map.used, used);
	}
	u64_map_free(&map);
	cr_assert_null(map.slots);
}

Test(u64_map, takes_the_keys_zero_and_all_ones)
{
	struct u64_map map = {0};
	bool added;

	cr_assert_eq(u64_map_put(&map, 0, 7, &added), 7);
	cr_assert(added);
	cr_assert_eq(u64_map_put(&map, UINT64_MAX, 8, &added), 8);
	cr_assert(added);
	cr_assert_eq(u64_map_put(&map, 0, 9, &added), 7);
	cr_assert_not(added);
	u64_map_free(&map);
}

/* Each round has more keys than the one before, and then few: the table is given back. */
Test(u64_map, is_empty_after_a_clear)
{
	struct u64_map map = {0};

	for (uint32_t round = 1; round <= 5; round++) {
		uint32_t count = round < 5 ? round * 3000 : 1;

		for (uint32_t key = 0; key < count; key++) {
			bool added;

			cr_assert_eq(u64_map_put(&map, key, key + round, &added), key + round);
			cr_assert(added, "round %u, key %u", round, key);
		}
		cr_assert_eq(map.used, count);
		u64_map_clear(&map);
		cr_assert_eq(map.used, 0);
	}
	cr_assert_null(map.slots);
	u64_map_clear(&map);
	u64_map_free(&map);
}

/* ---- ids chosen to collide */

static uint64_t inverse(uint64_t odd)
{
	uint64_t x = odd; /* correct in 3 bits; each step doubles them */

	for (int i = 0; i < 5; i++)
		x *= 2 - odd * x;
	return x;
}

static uint64_t unmix64(uint64_t x)
{
	x ^= x >> 31 ^ x >> 62;
	x *= inverse(UINT64_C(0x94d049bb133111eb));
	x ^= x >> 27 ^ x >> 54;
	x *= inverse(UINT64_C(0xbf58476d1ce4e5b9));
	return x ^ x >> 30 ^ x >> 60;
}

static uint32_t longest_run(const struct u64_map *map)
{
	uint32_t longest = 0, run = 0;

	for (uint32_t i = 0; i <= map->mask; i++) {
		run = map->slots[i].taken ? run + 1 : 0;
		longest = run > longest ? run : longest;
	}
	return longest;
}

Test(u64_map, ids_that_collide_without_a_key_do_not_with_one)
{
	static const uint64_t keys[] = {0, UINT64_C(0x0123456789abcdef),
	                                UINT64_C(0xfedcba9876543210), 1};

	for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
		struct u64_map map = {0};
		bool added;

		hash_key = keys[k];
		for (uint64_t i = 1; i <= 4000; i++) {
			cr_assert_eq(mix64(unmix64(i << 32)), i << 32);
			u64_map_put(&map, unmix64(i << 32), (uint32_t)i, &added);
			cr_assert(added);
		}
		if (hash_key == 0)
			cr_assert_eq(longest_run(&map), 4000,
			             "these ids do not collide: the test is none");
		else
			cr_assert_lt(longest_run(&map), 1000, "under key %" PRIu64 ": %u in a row",
			             hash_key, longest_run(&map));
		u64_map_free(&map);
	}
	hash_key = 0;
}

Test(u64_map, a_reserved_map_does_not_grow_while_it_has_no_more_entries_than_that)
{
	static const uint32_t counts[] = {0, 1, 6, 7, 12, 13, 1000, 4096};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct u64_map map = {0};
		size_t bytes;

		u64_map_reserve(&map, counts[i]);
		bytes = u64_map_bytes(&map);
		cr_assert(bytes / sizeof(*map.slots) * 3 / 4 >= counts[i]);
		for (uint32_t put = 0; put < 2 * counts[i]; put++) {
			bool added;

			u64_map_put(&map, put % counts[i], put, &added);
			cr_assert_eq(added, put < counts[i]);
		}
		cr_assert_eq(u64_map_bytes(&map), bytes, "%u entries", counts[i]);
		u64_map_reserve(&map, 1);
		cr_assert_eq(u64_map_bytes(&map), bytes, "%u entries", counts[i]);
		u64_map_free(&map);
	}
}
