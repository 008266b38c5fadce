/* The table compared with an array, at every size on its way. */
#include "session_table.h"
#include "unit/fold_kit.h"

#define ACCUMULATORS 7
#define SESSIONS     3000

Test(session_table, keeps_the_entry_of_every_session_of_every_accumulator)
{
	static uint64_t want[ACCUMULATORS][SESSIONS];
	struct session_table table = {0};
	struct rng rng = {1};
	uint32_t used = 0;

	for (uint64_t i = 1; i <= 80000; i++) {
		uint32_t accumulator = (uint32_t)rng_below(&rng, ACCUMULATORS),
			 session = (uint32_t)rng_below(&rng, SESSIONS);
		bool added;
		uint64_t *entry = session_table_put(&table, accumulator, session, &added);

		used += added;
		cr_assert_eq(added, want[accumulator][session] == 0);
		cr_assert_eq(*entry, want[accumulator][session], "%u, %u", accumulator, session);
		cr_assert_eq(table.used, used);
		cr_assert(table.used * 4 <= table.slot_count * 3, "%u of %u", table.used,
		          table.slot_count);
		*entry = want[accumulator][session] = i;
	}
	session_table_free(&table);
	cr_assert_null(table.slots);
}

Test(session_table, takes_the_smallest_and_the_largest_numbers)
{
	static const uint32_t numbers[] = {0, 1, UINT32_MAX - 1};
	struct session_table table = {0};
	uint64_t put = 0;
	bool added;

	for (int again = 0; again < 2; again++)
		for (size_t a = 0; a < 3; a++)
			for (size_t s = 0; s < 3; s++) {
				uint64_t *entry =
					session_table_put(&table, numbers[a], numbers[s], &added);

				cr_assert_eq(added, !again);
				cr_assert_eq(*entry, again ? a * 3 + s + 1 : 0);
				*entry = again ? *entry : ++put;
			}
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
