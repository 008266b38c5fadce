/* Each arena is a region of address space. An allocation has a header with its class; a freed one
 * goes into the list of its class. Memory is never given back before a reset.
 *
 * The program defines malloc and its relatives, so the C library and the other libraries use them
 * too. Limit: sanitizers bring their own malloc, and cannot be used. */
#include "sim/arena.h"

#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BASE    UINT64_C(0x510000000000)
#define REGION  (UINT64_C(1) << 30)
#define GARBAGE 0xa5
#define SMALL   1024
#define CLASSES (SMALL / 16 + 64)

struct header {
	uint32_t class;
	uint32_t arena;
	uint64_t size; /* of the class */
};

struct arena {
	char *next, *end;
	void *freed[CLASSES]; /* lists; a freed block begins with the pointer to the next */
	uint64_t fail_in;     /* allocations; 0: never */
	void (*fail)(void);
};

static struct arena arenas[ARENA_COUNT];
static int current = ARENA_NONE;

/* The C library's own functions. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *at);

static char *base_of(int arena)
{
	return (char *)(uintptr_t)(BASE + (uint64_t)arena * REGION);
}

static void map(int arena)
{
	void *at = mmap(base_of(arena), REGION, PROT_READ | PROT_WRITE,
	                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	if (at != base_of(arena)) {
		fputs("sim: cannot map the memory of a process at its address\n", stderr);
		abort();
	}
	arenas[arena].next = at;
	arenas[arena].end = (char *)at + REGION;
}

int arena_enter(int arena)
{
	int before = current;

	if (arena >= 0 && !arenas[arena].next)
		map(arena);
	current = arena;
	return before;
}

int arena_current(void)
{
	return current;
}

void arena_reset(int arena)
{
	struct arena *a = &arenas[arena];

	if (a->next && arena != ARENA_WORLD)
		memset(base_of(arena), GARBAGE, (size_t)(a->next - base_of(arena)));
	memset(a->freed, 0, sizeof(a->freed));
	a->next = a->next ? base_of(arena) : NULL;
	a->fail_in = 0;
}

void arena_fail_at(int arena, uint64_t n, void (*fail)(void))
{
	arenas[arena].fail_in = n;
	arenas[arena].fail = fail;
}

size_t arena_used(int arena)
{
	return arenas[arena].next ? (size_t)(arenas[arena].next - base_of(arena)) : 0;
}

/* Classes: multiples of 16 up to SMALL, then powers of 2. */
static uint32_t class_of(size_t size, uint64_t *class_size)
{
	uint32_t class = SMALL / 16;

	if (size <= SMALL) {
		*class_size = (size + 15) / 16 * 16;
		return (uint32_t)(*class_size / 16);
	}
	for (*class_size = SMALL * 2; *class_size < size; *class_size *= 2)
		class ++;
	return class + 1;
}

static void *take(int number, size_t size)
{
	struct arena *a = &arenas[number];
	struct header *header;
	uint64_t class_size;
	uint32_t class = class_of(size ? size : 1, &class_size);
	void *at = a->freed[class];

	if (a->fail_in && --a->fail_in == 0)
		a->fail();
	if (at) {
		memcpy(&a->freed[class], at, sizeof(void *));
		return at;
	}
	if (class_size + sizeof(*header) > (uint64_t)(a->end - a->next)) {
		fputs("sim: the memory of an arena is full\n", stderr);
		abort();
	}
	header = (struct header *)(void *)a->next;
	*header = (struct header){class, (uint32_t)number, class_size};
	a->next += sizeof(*header) + class_size;
	return header + 1;
}

static struct header *header_of(void *at)
{
	bool ours = (uintptr_t)at >= BASE && (uintptr_t)at < BASE + ARENA_COUNT * REGION;

	return ours ? (struct header *)at - 1 : NULL;
}

void *malloc(size_t size)
{
	return current == ARENA_NONE ? __libc_malloc(size) : take(current, size);
}

void *calloc(size_t count, size_t size)
{
	void *at;

	if (current == ARENA_NONE)
		return __libc_calloc(count, size);
	at = take(current, count * size);
	memset(at, 0, count * size);
	return at;
}

void free(void *at)
{
	struct header *header = header_of(at);
	struct arena *a;

	if (!header) {
		__libc_free(at);
		return;
	}
	a = &arenas[header->arena];
	memcpy(at, &a->freed[header->class], sizeof(void *));
	a->freed[header->class] = at;
}

void *realloc(void *old, size_t size)
{
	struct header *header = header_of(old);
	void *at;

	if (old && !header)
		return __libc_realloc(old, size);
	if (header && size <= header->size)
		return old;
	at = malloc(size);
	if (header) {
		memcpy(at, old, header->size);
		free(old);
	}
	return at;
}

/* Larger alignments than 16 are used at start only. */
void *memalign(size_t alignment, size_t size)
{
	return current == ARENA_NONE || alignment > 16 ? __libc_memalign(alignment, size)
	                                               : take(current, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

int posix_memalign(void **at, size_t alignment, size_t size)
{
	*at = memalign(alignment, size);
	return *at ? 0 : ENOMEM;
}
