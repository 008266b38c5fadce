/* A binary heap in an array. The second sort key of an entry is its order. */
#include "base/heap.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/memory.h"

void heap_free(struct heap *heap)
{
	free(heap->entries);
	*heap = (struct heap){0};
}

static bool before(const struct heap_entry *a, const struct heap_entry *b)
{
	return a->time_us < b->time_us || (a->time_us == b->time_us && a->order < b->order);
}

void heap_push(struct heap *heap, int64_t time_us, uint32_t value)
{
	heap_push_ordered(heap, time_us, heap->pushed++, value);
}

void heap_push_ordered(struct heap *heap, int64_t time_us, uint64_t order, uint32_t value)
{
	struct heap_entry entry = {time_us, order, value};
	uint32_t i = heap->count;

	GROW(heap->entries, heap->count, heap->capacity);
	heap->count++;
	while (i > 0 && before(&entry, &heap->entries[(i - 1) / 2])) {
		heap->entries[i] = heap->entries[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap->entries[i] = entry;
}

struct heap_entry heap_pop(struct heap *heap)
{
	struct heap_entry top = heap->entries[0], last = heap->entries[--heap->count];
	uint32_t i = 0, child;

	while ((child = 2 * i + 1) < heap->count) {
		if (child + 1 < heap->count &&
		    before(&heap->entries[child + 1], &heap->entries[child]))
			child++;
		if (!before(&heap->entries[child], &last))
			break;
		heap->entries[i] = heap->entries[child];
		i = child;
	}
	heap->entries[i] = last;
	return top;
}
