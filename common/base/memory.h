/* Memory that is there or ends the process: with work half done and a transaction open, a
 * restart from the log is the one safe continuation. */
#ifndef FUNNEL_MEMORY_H
#define FUNNEL_MEMORY_H

#include <stddef.h>

/* Ends the process. */
_Noreturn void memory_exhausted(void);
/* As realloc; never NULL. */
void *xrealloc(void *old, size_t size);
/* Zeroed; never NULL. */
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
