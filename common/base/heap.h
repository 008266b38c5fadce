/* A priority queue of numbers by time, the earliest first. Equal times come out in the order they
 * went in, so the result never depends on the heap's shape. Memory exhaustion ends the process. */
#ifndef FUNNEL_HEAP_H
#define FUNNEL_HEAP_H

#include <stdint.h>

struct heap_entry {
	int64_t time_us;
	uint64_t order;
	uint32_t value;
};

/* Zero-initialised is empty and owns nothing. */
struct heap {
	struct heap_entry *entries; /* the first is the next to be popped */
	uint32_t count, capacity;
	uint64_t pushed;
};
void heap_free(struct heap *heap);
void heap_push(struct heap *heap, int64_t time_us, uint32_t value);
/* The heap must not be empty. */
struct heap_entry heap_pop(struct heap *heap);

#endif
