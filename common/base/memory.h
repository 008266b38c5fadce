/* Allocation that never fails: exhausted memory ends the process. With a transaction open and a
 * batch half folded, a restart from the log is the only safe way to continue. */
#ifndef FUNNEL_MEMORY_H
#define FUNNEL_MEMORY_H

#include <stddef.h>

/* Logs event=out_of_memory and ends the process. */
_Noreturn void memory_exhausted(void);
/* Like realloc; never NULL. */
void *xrealloc(void *old, size_t size);
/* Like calloc; never NULL. */
void *xzalloc(size_t count, size_t size);

/* Makes room for one more element in a growable array. */
#define GROW(array, count, capacity)                                                        \
	do {                                                                                \
		if ((count) == (capacity)) {                                                \
			(capacity) = (capacity) ? (capacity)*2 : 16;                        \
			(array) = xrealloc((array), (size_t)(capacity) * sizeof(*(array))); \
		}                                                                           \
	} while (0)

#endif
