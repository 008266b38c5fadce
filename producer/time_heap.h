/* A priority queue of slots by time; equal times come out in the order they went in, so that
 * the result never depends on the heap's shape. Grows as needed; the caller bounds it. Pure. */
#ifndef FUNNEL_TIME_HEAP_H
#define FUNNEL_TIME_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct time_heap_entry {
	int64_t time_us;
	uint64_t order;
	uint32_t slot;
};

struct time_heap {
	struct time_heap_entry *entries;
	size_t count, cap;
	uint64_t pushed;
};

/* A zeroed heap is empty. */
void time_heap_fini(struct time_heap *heap);
/* False: out of memory. */
bool time_heap_push(struct time_heap *heap, int64_t time_us, uint32_t slot);
/* The heap must not be empty. */
struct time_heap_entry time_heap_pop(struct time_heap *heap);

#endif
