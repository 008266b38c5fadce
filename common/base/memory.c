#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

void *xrealloc(void *old, size_t size)
{
	void *new = realloc(old, size);

	if (!new) {
		fputs("out of memory\n", stderr);
		abort();
	}
	return new;
}

void *xzalloc(size_t count, size_t size)
{
	void *new = calloc(count, size);

	if (!new) {
		fputs("out of memory\n", stderr);
		abort();
	}
	return new;
}
