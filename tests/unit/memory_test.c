/* Memory of tables: what a block has after it has grown. */
#include "base/memory.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void dirty_heap(void)
{
	void *blocks[64];

	for (size_t i = 0; i < 64; i++) {
		blocks[i] = xrealloc(NULL, (i + 1) * 1000);
		memset(blocks[i], 0xee, (i + 1) * 1000);
	}
	for (size_t i = 0; i < 64; i++)
		free(blocks[i]);
}

/* From a few bytes to some MiB, so from the heap to pages of its own. */
Test(memory, a_table_keeps_its_bytes_when_it_grows_and_the_new_ones_are_0)
{
	size_t bytes = 0, larger;
	unsigned char *table = NULL;

	dirty_heap();
	for (larger = 12; larger < 4000000; larger = larger * 3 / 2 + 1) {
		table = table_grow(table, bytes, larger);
		for (size_t i = 0; i < larger; i++)
			cr_assert_eq(table[i], i < bytes ? (unsigned char)(i % 251 + 1) : 0,
			             "byte %zu of %zu, before %zu", i, larger, bytes);
		for (size_t i = bytes; i < larger; i++)
			table[i] = (unsigned char)(i % 251 + 1);
		bytes = larger;
	}
	table_free(table, bytes);
}

Test(memory, a_table_of_nothing_can_be_freed)
{
	table_free(NULL, 0);
}
