/* Records of Kafka's log of committed offsets, as bytes of every version. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"
#include "wire/group_offsets.h"

#define INIT(text)                     \
	{                              \
		text, sizeof(text) - 1 \
	}
#define BYTES(text) ((struct span)INIT(text))

#define KEY "\0\1\0\1g\0\3top\0\0\0\5"
static const struct span key = INIT(KEY);

Test(group_offsets, every_version_of_a_value_is_read)
{
	static const struct span values[] = {
		INIT("\0\0"
	             "\0\0\0\0\0\1\2\3"
	             "\0\4meta"
	             "\0\0\0\0\0\0\0\1"),
		INIT("\0\1"
	             "\0\0\0\0\0\1\2\3"
	             "\0\4meta"
	             "\0\0\0\0\0\0\0\1"
	             "\0\0\0\0\0\0\0\2"),
		INIT("\0\2"
	             "\0\0\0\0\0\1\2\3"
	             "\0\4meta"
	             "\0\0\0\0\0\0\0\1"),
		INIT("\0\3"
	             "\0\0\0\0\0\1\2\3"
	             "\0\0\0\7"
	             "\0\4meta"
	             "\0\0\0\0\0\0\0\1"),
		INIT("\0\4"
	             "\0\0\0\0\0\1\2\3"
	             "\0\0\0\7"
	             "\5meta"
	             "\0\0\0\0\0\0\0\1"
	             "\0"),
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct group_offset found;

		cr_assert(group_offset_read(key, values[i], &found), "version %zu", i);
		cr_assert(span_is(found.group, "g") && span_is(found.topic, "top") &&
		                  span_is(found.metadata, "meta"),
		          "version %zu", i);
		cr_assert_eq(found.partition, 5);
		cr_assert_eq(found.offset, 0x10203, "version %zu", i);
	}
}

Test(group_offsets, a_null_value_deletes)
{
	struct group_offset found;

	cr_assert(group_offset_read(key, (struct span){0}, &found));
	cr_assert_eq(found.offset, -1);
	cr_assert_eq(found.metadata.len, 0);
}

Test(group_offsets, other_kinds_and_versions_are_not_read)
{
	struct group_offset found;

	cr_assert_not(group_offset_read(BYTES("\0\2\0\1g"), BYTES("\0\3"),
	                                &found)); /* metadata of a group */
	cr_assert_not(group_offset_read((struct span){0}, BYTES("\0\3"), &found));
	cr_assert_not(group_offset_read(key,
	                                BYTES("\0\5"
	                                      "\0\0\0\0\0\1\2\3"
	                                      "\0\0\0\7"
	                                      "\5meta"
	                                      "\0"),
	                                &found));
	cr_assert_not(group_offset_read(key,
	                                BYTES("\0\4"
	                                      "\0\0\0\0\0\1\2\3"
	                                      "\0\0\0\7"
	                                      "\0"),
	                                &found)); /* null metadata */
	cr_assert_not(group_offset_read(key,
	                                BYTES("\0\4"
	                                      "\0\0\0\0\0\1\2\3"
	                                      "\0\0\0\7"
	                                      "\xff\xff\xff\xff\xff\xff"),
	                                &found));
}

/* A value that is cut before the end of its metadata is refused. Each cut is in memory of its
 * size. */
Test(group_offsets, a_cut_value_is_refused)
{
	static const struct span value = INIT("\0\3"
	                                      "\0\0\0\0\0\1\2\3"
	                                      "\0\0\0\7"
	                                      "\0\4meta");
	struct group_offset found;

	for (size_t len = 0; len < key.len; len++) {
		char *bytes = malloc(len + 1);

		memcpy(bytes, key.at, len);
		cr_assert_not(group_offset_read((struct span){bytes, len}, value, &found),
		              "key of %zu", len);
		free(bytes);
	}
	for (size_t len = 0; len < value.len; len++) {
		char *bytes = malloc(len + 1);

		memcpy(bytes, value.at, len);
		cr_assert_not(group_offset_read(key, (struct span){bytes, len}, &found),
		              "value of %zu", len);
		free(bytes);
	}
}

/* The partitions that a broker with eight partitions has chosen, and the hash without a positive
 * counterpart. */
Test(group_offsets, a_group_has_its_partition)
{
	cr_assert_eq(group_offsets_partition(SPAN("ecommerce_bronze-sink"), 8), 1);
	cr_assert_eq(group_offsets_partition(SPAN("ecommerce_funnel-aggregator"), 8), 7);
	cr_assert_eq(group_offsets_partition(SPAN("ecommerce_pg-loader"), 8), 6);
	cr_assert_eq(group_offsets_partition(SPAN("polygenelubricants"), 50),
	             0); /* its hash is INT32_MIN */
}
