/* The table compared with an array, at every size on its way. */
#include "session_table.h"

#include "unit/fold_kit.h"

#define ACCUMULATORS 7
#define SESSIONS     30000
#define PART         (UINT32_C(1) << (32 - SESSION_HIGH_BITS)) /* accumulators */
#define ENTRY_MAX    ((UINT64_C(1) << SESSION_ENTRY_BITS) - 1)

/* Any number of 50 bits that is not 0. */
static uint64_t entry_of(uint64_t i)
{
	return (mix64(i) & ENTRY_MAX) | 1;
}

/* The table is mapped from about 21,800 slots on (base/memory.c), so it is resized in both ways. */
Test(session_table, keeps_the_entry_of_every_session_of_every_accumulator)
{
	static uint64_t want[ACCUMULATORS][SESSIONS];
	struct session_table table = {0};
	struct rng rng = {1};
	uint32_t used = 0;

	for (uint64_t i = 1; i <= 500000; i++) {
		uint32_t accumulator = (uint32_t)rng_below(&rng, ACCUMULATORS),
			 session = (uint32_t)rng_below(&rng, SESSIONS);
		bool added;
		struct session_slot *slot = session_table_put(&table, accumulator, session, &added);

		used += added;
		cr_assert_eq(added, want[accumulator][session] == 0);
		cr_assert_eq(session_entry(slot), want[accumulator][session], "%u, %u", accumulator,
		             session);
		cr_assert_eq(session_table_count(&table), used);
		cr_assert(table.first.used * 4 <= table.first.slot_count * 3, "%u of %u",
		          table.first.used, table.first.slot_count);
		want[accumulator][session] = entry_of(i);
		session_entry_set(slot, entry_of(i));
	}
	cr_assert_gt(session_table_bytes(&table), 2000000);
	session_table_free(&table);
	cr_assert_null(table.first.slots);
}

/* After each resize, every entry is found: also those before the start and past the end. */
Test(session_table, loses_no_entry_at_any_size)
{
	for (uint64_t key = 0; key < 20; key++) {
		struct session_table table = {0};
		uint32_t slot_count = 0;
		bool added;

		hash_key = mix64(key);
		for (uint32_t n = 0; n < 5000; n++) {
			session_entry_set(session_table_put(&table, n % 3, n, &added), entry_of(n));
			cr_assert(added);
			if (table.first.slot_count == slot_count)
				continue;
			slot_count = table.first.slot_count;
			for (uint32_t i = 0; i <= n; i++) {
				struct session_slot *slot =
					session_table_put(&table, i % 3, i, &added);

				cr_assert(!added, "%u of %u in %u slots", i, n, slot_count);
				cr_assert_eq(session_entry(slot), entry_of(i));
			}
		}
		session_table_free(&table);
	}
	hash_key = 0;
}

Test(session_table, takes_the_smallest_and_the_largest_numbers)
{
	static const uint32_t accumulators[] = {0, 1, PART - 1, PART, 3 * PART + 5, UINT32_MAX},
			      sessions[] = {0, 1, UINT32_MAX - 1};
	static const uint64_t entries[] = {ENTRY_MAX, 1, ENTRY_MAX - 1};
	struct session_table table = {0};
	bool added;

	for (int again = 0; again < 2; again++)
		for (size_t a = 0; a < 6; a++)
			for (size_t s = 0; s < 3; s++) {
				struct session_slot *slot =
					session_table_put(&table, accumulators[a], sessions[s],
				                          &added);
				uint64_t want = entries[(a + s) % 3];

				session_table_prefetch(&table, accumulators[a], sessions[s]);
				cr_assert_eq(added, !again);
				cr_assert_eq(session_entry(slot), again ? want : 0);
				session_entry_set(slot, want);
			}
	cr_assert_eq(session_table_count(&table), 18);
	session_table_free(&table);
}

Test(session_table, a_reserved_table_does_not_grow_while_it_has_no_more_entries_than_that)
{
	static const uint32_t counts[] = {1, 6, 7, 9, 10, 1000, 4096};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct session_table table = {0};
		size_t bytes;
		bool added;

		session_table_reserve(&table, counts[i]);
		bytes = session_table_bytes(&table);
		for (uint32_t put = 0; put < 2 * counts[i]; put++) {
			session_table_put(&table, 1, put % counts[i], &added);
			cr_assert_eq(added, put < counts[i]);
		}
		cr_assert_eq(session_table_bytes(&table), bytes, "%u entries", counts[i]);
		session_table_reserve(&table, 1);
		cr_assert_eq(session_table_bytes(&table), bytes, "%u entries", counts[i]);
		session_table_free(&table);
	}
}
