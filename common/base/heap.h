/* A priority queue of numbers by time, the earliest first. Entries with equal times keep the order
 * of their pushes, so the result never depends on the shape of the heap. Exhausted memory ends the
 * process. */
#ifndef FUNNEL_HEAP_H
#define FUNNEL_HEAP_H

#include <stdint.h>

struct heap_entry {
	int64_t time_us;
	uint64_t order; /* number of the push */
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
/* Removes the earliest entry. The heap must not be empty. */
struct heap_entry heap_pop(struct heap *heap);

#endif
