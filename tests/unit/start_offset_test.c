/* Where a reader can start, for a stored offset and the offsets of the log. */
#include <criterion/criterion.h>

#include "stream/start_offset.h"

Test(start_offset, a_stored_offset_is_compared_with_the_log)
{
	static const struct {
		const char *label;
		int64_t stored, from, low, high;
		enum start_result want;
	} table[] = {
		{"nothing stored", OFFSET_NONE, OFFSET_NONE, 0, 10, START_FIRST},
		{"nothing stored, log was cut", OFFSET_NONE, OFFSET_NONE, 5, 10, START_FIRST},
		{"nothing stored, as Kafka says it", -1001, -1001, 0, 10, START_FIRST},
		{"empty log", 0, 0, 0, 0, START_RESUME},
		{"in the middle", 7, 7, 5, 10, START_RESUME},
		{"at the start", 5, 5, 5, 10, START_RESUME},
		{"at the end", 10, 10, 5, 10, START_RESUME},
		{"everything was removed, and nothing is missing", 10, 10, 10, 10, START_RESUME},
		{"retention was faster", 4, 4, 5, 10, START_LOST_RECORDS},
		{"topic created again", 11, 11, 0, 10, START_BEYOND_END},
		{"topic created again and empty", 1, 1, 0, 0, START_BEYOND_END},
		{"restore from the middle", 9, 6, 5, 10, START_RESUME},
		{"restore from the start", 9, 5, 5, 10, START_RESUME},
		{"retention was faster than the restore needs", 9, 4, 5, 10, START_LOST_RECORDS},
		{"created again, and cut: the first cause is named", 11, 4, 5, 10,
	         START_BEYOND_END},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		cr_expect_eq(start_check(table[i].stored, table[i].from, table[i].low,
		                         table[i].high),
		             table[i].want, "%s", table[i].label);
}
