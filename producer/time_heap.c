/* A binary heap in an array. An entry carries the number of its push as the second key. */
#include "time_heap.h"

#include <stdlib.h>

void time_heap_fini(struct time_heap *heap)
{
	free(heap->entries);
	*heap = (struct time_heap){0};
}

static bool before(const struct time_heap_entry *a, const struct time_heap_entry *b)
{
	return a->time_us < b->time_us || (a->time_us == b->time_us && a->order < b->order);
}

bool time_heap_push(struct time_heap *heap, int64_t time_us, uint32_t slot)
{
	struct time_heap_entry entry = {time_us, heap->pushed, slot};
	size_t i = heap->count;

	if (heap->count == heap->cap) {
		size_t cap = heap->cap ? heap->cap * 2 : 256;
		struct time_heap_entry *entries = realloc(heap->entries, cap * sizeof(*entries));

		if (!entries)
			return false;
		heap->entries = entries;
		heap->cap = cap;
	}
	heap->pushed++;
	heap->count++;
	while (i > 0 && before(&entry, &heap->entries[(i - 1) / 2])) {
		heap->entries[i] = heap->entries[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap->entries[i] = entry;
	return true;
}

struct time_heap_entry time_heap_pop(struct time_heap *heap)
{
	struct time_heap_entry top = heap->entries[0], last = heap->entries[--heap->count];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= heap->count)
			break;
		if (child + 1 < heap->count && before(&heap->entries[child + 1], &heap->entries[child]))
			child++;
		if (!before(&heap->entries[child], &last))
			break;
		heap->entries[i] = heap->entries[child];
		i = child;
	}
	heap->entries[i] = last;
	return top;
}
