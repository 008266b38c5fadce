/* Rejected: a sorted array. A second replay of a month can refuse millions of rows in a row, which
 * take 64 times the memory there. */
#include "stream/refused_offsets.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define WORD_BITS 64

void refused_offsets_init(struct refused_offsets *refused, int64_t from, int64_t to)
{
	size_t bytes = ((size_t)(to - from) / WORD_BITS + 1) * sizeof(*refused->bits);

	*refused = (struct refused_offsets){.from = from, .to = to};
	refused->bits = xrealloc(NULL, bytes);
	memset(refused->bits, 0, bytes);
}

void refused_offsets_free(struct refused_offsets *refused)
{
	free(refused->bits);
	*refused = (struct refused_offsets){0};
}

static uint64_t bit_of(const struct refused_offsets *refused, int64_t offset)
{
	return UINT64_C(1) << (uint64_t)(offset - refused->from) % WORD_BITS;
}

void refused_offsets_add(struct refused_offsets *refused, int64_t offset)
{
	uint64_t *word;

	if (offset < refused->from || offset >= refused->to || refused_offsets_has(refused, offset))
		return;
	word = &refused->bits[(offset - refused->from) / WORD_BITS];
	*word |= bit_of(refused, offset);
	refused->count++;
}

bool refused_offsets_has(const struct refused_offsets *refused, int64_t offset)
{
	return offset >= refused->from && offset < refused->to &&
	       (refused->bits[(offset - refused->from) / WORD_BITS] & bit_of(refused, offset)) != 0;
}
