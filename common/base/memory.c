/* glibc maps large blocks too. But whenever it frees a mapped block, it stops mapping blocks of
 * that size, up to 32 MiB. Then tables of a few MiB leave holes in the heap as they grow. */
#define _GNU_SOURCE /* mremap */
#include "base/memory.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MAPPED_BYTES 262144 /* and more: the block has pages of its own */

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

static bool is_mapped(size_t bytes)
{
	return bytes >= MAPPED_BYTES;
}

static void *map(size_t bytes)
{
	void *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (block == MAP_FAILED)
		memory_exhausted();
	return block;
}

static void *remap(void *block, size_t old_bytes, size_t bytes)
{
	void *larger = mremap(block, old_bytes, bytes, MREMAP_MAYMOVE);

	if (larger == MAP_FAILED)
		memory_exhausted();
	return larger;
}

void *table_grow(void *block, size_t old_bytes, size_t bytes)
{
	void *larger;

	if (is_mapped(old_bytes))
		return remap(block, old_bytes, bytes);
	if (!is_mapped(bytes)) {
		larger = xrealloc(block, bytes);
		memset((char *)larger + old_bytes, 0, bytes - old_bytes);
		return larger;
	}
	larger = map(bytes);
	if (old_bytes)
		memcpy(larger, block, old_bytes);
	free(block);
	return larger;
}

void table_free(void *block, size_t bytes)
{
	if (is_mapped(bytes))
		munmap(block, bytes);
	else
		free(block);
}
