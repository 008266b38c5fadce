/* The tables against slow ones. */
#include "base/span.h"
#include "base/table.h"
#include "fold_kit.h"
#include "unit/fold_kit.h"

Test(table, index_gives_every_key_its_first_value)
{
	static int64_t slow[5000];
	struct index64 index = {0};
	struct rng rng = {1};
	uint32_t used = 0;

	for (int i = 0; i < 5000; i++)
		slow[i] = -1;
	for (uint32_t i = 0; i < 40000; i++) {
		int64_t key = rng_below(&rng, 5000);
		bool added;
		uint32_t value = index64_put(&index, (uint64_t)key << 32, i, &added);

		cr_assert_eq(added, slow[key] < 0, "key %" PRId64, key);
		if (added)
			slow[key] = i, used++;
		cr_assert_eq(value, slow[key], "key %" PRId64, key);
		cr_assert_eq(index.used, used);
	}
	index64_free(&index);
	cr_assert_null(index.slots);
}

Test(table, index_takes_the_keys_zero_and_all_ones)
{
	struct index64 index = {0};
	bool added;

	cr_assert_eq(index64_put(&index, 0, 7, &added), 7);
	cr_assert(added);
	cr_assert_eq(index64_put(&index, UINT64_MAX, 8, &added), 8);
	cr_assert(added);
	cr_assert_eq(index64_put(&index, 0, 9, &added), 7);
	cr_assert_not(added);
	index64_free(&index);
}

/* Texts that were used at or after the limit must keep number, text and what is attached. */
Test(table, name_keeps_its_number_while_it_may_be_in_use_and_memory_is_reused)
{
	struct names names = {0};
	struct rng rng = {5};
	static int64_t used_us[40000];
	static uint32_t number_of[40000];
	int64_t keep_us = INT64_MIN;

	for (int64_t now = 0; now < 40000; now++) {
		char text[24];
		int64_t which = now - rng_below(&rng, now < 300 ? now + 1 : 300);
		struct span span = {text, (size_t)snprintf(text, sizeof(text), "name-%" PRId64, which)};
		uint32_t number;

		if (now > 500)
			keep_us = now - 400;
		number = names_put(&names, span, now, keep_us);
		cr_assert(span_equal(names_text(&names, number), span));
		if (used_us[which] && used_us[which] >= keep_us) {
			cr_assert_eq(number, number_of[which], "%s changed its number", text);
			cr_assert_eq(names.at[number].attached, (uint32_t)which, "%s lost what was attached", text);
		}
		names.at[number].attached = (uint32_t)which;
		used_us[which] = now;
		number_of[which] = number;
	}
	cr_assert(names.count < 4000, "%u numbers for at most 400 live texts: nothing is swept", names.count);
	names_free(&names);
}

Test(table, older_use_does_not_make_a_name_older)
{
	struct names names = {0};
	uint32_t number = names_put(&names, SPAN("kept"), 100, 0);

	cr_assert_eq(names_put(&names, SPAN("kept"), 5, 0), number);
	cr_assert_eq(names.at[number].last_us, 100);
	names_free(&names);
}

Test(table, empty_text_is_a_name_and_no_name_is_null)
{
	struct names names = {0};
	uint32_t number = names_put(&names, SPAN(""), 0, 0);

	cr_assert_eq(names_put(&names, SPAN(""), 0, 0), number);
	cr_assert_eq(names_text(&names, number).len, 0);
	cr_assert_null(names_text(&names, NAME_NONE).at);
	names_free(&names);
}

/* ---- ids chosen to collide */

static uint64_t inverse(uint64_t odd)
{
	uint64_t x = odd; /* right in 3 bits; each step doubles them */

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

static uint32_t longest_run(const struct index64 *index)
{
	uint32_t longest = 0, run = 0;

	for (uint32_t i = 0; i <= index->mask; i++) {
		run = index->slots[i].taken ? run + 1 : 0;
		longest = run > longest ? run : longest;
	}
	return longest;
}

Test(table, ids_that_collide_without_a_key_do_not_with_one)
{
	static const uint64_t keys[] = {0, UINT64_C(0x0123456789abcdef), UINT64_C(0xfedcba9876543210), 1};

	for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
		struct index64 index = {0};
		bool added;

		table_key = keys[k];
		for (uint64_t i = 1; i <= 4000; i++) {
			cr_assert_eq(mix64(unmix64(i << 32)), i << 32);
			index64_put(&index, unmix64(i << 32), (uint32_t)i, &added);
			cr_assert(added);
		}
		if (table_key == 0)
			cr_assert_eq(longest_run(&index), 4000, "these ids do not collide: the test is none");
		else
			cr_assert_lt(longest_run(&index), 1000, "under key %" PRIu64 ": %u in a row", table_key, longest_run(&index));
		index64_free(&index);
	}
	table_key = 0;
}
