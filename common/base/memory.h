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

/* Memory of a table that may become large. table_grow makes a block of old_bytes larger (0: there
 * is none yet), and sets the added bytes to 0; never NULL. A large block has pages of its own. So
 * it grows without a second copy of its bytes. Its pages take memory only when they are written,
 * and table_free returns them to the system at once. */
void *table_grow(void *block, size_t old_bytes, size_t bytes);
/* bytes: the size of the block. */
void table_free(void *block, size_t bytes);

/* Makes room for one more element in a growable array. */
#define GROW(array, count, capacity)                                                        \
	do {                                                                                \
		if ((count) == (capacity)) {                                                \
			(capacity) = (capacity) ? (capacity)*2 : 16;                        \
			(array) = xrealloc((array), (size_t)(capacity) * sizeof(*(array))); \
		}                                                                           \
	} while (0)

/* The same for an array in the memory of a table, which table_free frees with
 * capacity * sizeof(*array). */
#define GROW_TABLE(array, count, capacity)                                           \
	do {                                                                         \
		if ((count) == (capacity)) {                                         \
			size_t old_bytes_ = (size_t)(capacity) * sizeof(*(array));   \
                                                                                     \
			(capacity) = (capacity) ? (capacity)*2 : 16;                 \
			(array) = table_grow((array), old_bytes_,                    \
			                     (size_t)(capacity) * sizeof(*(array))); \
		}                                                                    \
	} while (0)

#endif
