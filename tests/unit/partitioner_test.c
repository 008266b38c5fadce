/* Keys go to the partitions that Java clients choose: the vectors of Kafka's UtilsTest. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/span.h"
#include "wire/partitioner.h"

Test(partitioner, murmur2_gives_the_hashes_of_kafkas_own_test)
{
	static const struct {
		const char *key;
		int32_t want;
	} table[] = {
		{"21", -973932308},
		{"foobar", -790332482},
		{"a-little-bit-long-string", -985981536},
		{"a-little-bit-longer-string", -1486304829},
		{"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
		{"abc", 479470107},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		int32_t got = (int32_t)murmur2(span_of(table[i].key));

		cr_expect_eq(got, table[i].want, "%s: got %" PRId32 ", want %" PRId32, table[i].key,
		             got, table[i].want);
	}
}

Test(partitioner, partition_is_the_hash_without_its_sign_modulo_the_count)
{
	cr_expect_eq(partition_of(SPAN("foobar"), 4), (-790332482 & 0x7fffffff) % 4);
	cr_expect_eq(partition_of(SPAN("abc"), 12), 479470107 % 12);
	cr_expect_eq(partition_of(SPAN("21"), 1), 0);
}

Test(partitioner, bytes_above_127_are_unsigned_and_a_null_key_is_like_an_empty_one)
{
	cr_expect_neq(murmur2(SPAN("\xff")), murmur2(SPAN("\x7f")));
	cr_expect_eq(murmur2(SPAN_NULL), murmur2(SPAN("")));
}

Test(partitioner, partitions_of_many_keys_are_in_range_and_even)
{
	int counts[7] = {0};
	char key[16];

	for (int i = 0; i < 70000; i++) {
		int len = snprintf(key, sizeof(key), "session-%d", i);
		int32_t partition = partition_of((struct span){key, (size_t)len}, 7);

		cr_assert(partition >= 0 && partition < 7);
		counts[partition]++;
	}
	for (int i = 0; i < 7; i++)
		cr_expect(counts[i] > 9500 && counts[i] < 10500, "partition %d got %d of 70000", i,
		          counts[i]);
}
