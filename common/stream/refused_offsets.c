/* An id in the table of duplicates takes 21 bytes or more, so a byte per offset is little.
 *
 * Rejected: a sorted array of the refused offsets. A second replay of a month can refuse millions
 * of rows in a row, and they take 9 times the memory there. */
#include "stream/refused_offsets.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void refused_offsets_init(struct refused_offsets *refused, int64_t from, int64_t to)
{
	size_t bytes = (size_t)(to - from) + 1;

	*refused = (struct refused_offsets){.from = from, .to = to};
	refused->reasons = xrealloc(NULL, bytes);
	memset(refused->reasons, REASON_NONE, bytes);
}

void refused_offsets_free(struct refused_offsets *refused)
{
	free(refused->reasons);
	*refused = (struct refused_offsets){0};
}

void refused_offsets_add(struct refused_offsets *refused, int64_t offset, enum reason reason)
{
	uint8_t *byte;

	if (offset < refused->from || offset >= refused->to)
		return;
	byte = &refused->reasons[offset - refused->from];
	refused->count += *byte == REASON_NONE;
	if (*byte == REASON_NONE)
		*byte = (uint8_t)reason;
}

enum reason refused_offsets_reason(const struct refused_offsets *refused, int64_t offset)
{
	return offset >= refused->from && offset < refused->to
	               ? (enum reason)refused->reasons[offset - refused->from]
	               : REASON_NONE;
}
