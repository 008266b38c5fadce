/* The heap compared with a linear search. */
#include "base/heap.h"
#include "unit/fold_kit.h"

#define ENTRIES 2000

/* The index of the earliest entry; of equal ones that of the one pushed first. */
static size_t first_of(const struct heap_entry *slow, size_t count)
{
	size_t first = 0;

	for (size_t i = 1; i < count; i++)
		if (slow[i].time_us < slow[first].time_us ||
		    (slow[i].time_us == slow[first].time_us && slow[i].order < slow[first].order))
			first = i;
	return first;
}

Test(heap, the_earliest_comes_first_and_equal_times_in_the_order_of_their_push)
{
	static struct heap_entry slow[ENTRIES];
	struct heap heap = {0};
	struct rng rng = {1};
	size_t count = 0;

	for (uint32_t step = 0; step < 4 * ENTRIES; step++) {
		struct heap_entry got;
		size_t first;

		if (count == 0 || (count < ENTRIES && rng_below(&rng, 3) > 0)) {
			int64_t time_us = rng_below(&rng, 40) - 20;

			slow[count++] = (struct heap_entry){time_us, heap.pushed, step};
			heap_push(&heap, time_us, step);
			continue;
		}
		first = first_of(slow, count);
		got = heap_pop(&heap);
		cr_assert_eq(got.time_us, slow[first].time_us, "step %u", step);
		cr_assert_eq(got.value, slow[first].value, "step %u", step);
		slow[first] = slow[--count];
	}
	cr_assert_eq(heap.count, count);
	heap_free(&heap);
	cr_assert_null(heap.entries);
}

Test(heap, the_smallest_and_the_largest_time_are_ordered)
{
	struct heap heap = {0};

	heap_push(&heap, INT64_MAX, 1);
	heap_push(&heap, INT64_MIN, 2);
	heap_push(&heap, 0, 3);
	cr_assert_eq(heap.entries[0].value, 2);
	cr_assert_eq(heap_pop(&heap).value, 2);
	cr_assert_eq(heap_pop(&heap).value, 3);
	cr_assert_eq(heap_pop(&heap).value, 1);
	cr_assert_eq(heap.count, 0);
	heap_free(&heap);
}
