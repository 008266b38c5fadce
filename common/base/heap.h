/* A priority queue of numbers by time, the earliest first. Entries with equal times keep the order
 * of their pushes, or the order that the caller gives. So the result never depends on the shape of
 * the heap. Exhausted memory ends the process. */
#ifndef FUNNEL_HEAP_H
#define FUNNEL_HEAP_H

#include <stdint.h>

struct heap_entry {
	int64_t time_us;
	uint64_t order; /* of equal times */
	uint32_t value;
};

/* Zero-initialised: empty, owns nothing. */
struct heap {
	struct heap_entry *entries; /* heap_pop takes the first */
	uint32_t count, capacity;
	uint64_t pushed;
};
void heap_free(struct heap *heap);
void heap_push(struct heap *heap, int64_t time_us, uint32_t value);
/* Entries with equal times come by `order`. Not together with heap_push. */
void heap_push_ordered(struct heap *heap, int64_t time_us, uint64_t order, uint32_t value);
/* Removes the earliest entry. The heap must not be empty. */
struct heap_entry heap_pop(struct heap *heap);

#endif
