#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

void memory_exhausted(void)
{
	fputs("event=out_of_memory\n", stderr);
	abort();
}

void *xrealloc(void *old, size_t size)
{
	void *new = realloc(old, size);

	if (!new)
		memory_exhausted();
	return new;
}

void *xzalloc(size_t count, size_t size)
{
	void *new = calloc(count, size);

	if (!new)
		memory_exhausted();
	return new;
}
