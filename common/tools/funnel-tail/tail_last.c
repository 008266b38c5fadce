/* Times of a partition need not increase, so the lines of one partition are taken from its end, and
 * keep their order if their times are equal. */
#include "tail_last.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void tail_last_init(struct tail_last *last, int32_t partitions, size_t limit)
{
	*last = (struct tail_last){.partitions = partitions, .limit = limit};
	last->rings = xzalloc((size_t)partitions, sizeof(*last->rings));
}

void tail_last_reset(struct tail_last *last, int32_t partition)
{
	struct tail_ring *ring = &last->rings[partition];

	for (size_t i = 0; i < ring->count; i++)
		free(ring->at[i].text);
	ring->count = ring->added = 0;
}

void tail_last_free(struct tail_last *last)
{
	for (int32_t p = 0; p < last->partitions; p++) {
		tail_last_reset(last, p);
		free(last->rings[p].at);
	}
	free(last->rings);
	*last = (struct tail_last){0};
}

void tail_last_add(struct tail_last *last, int32_t partition, int64_t offset, int64_t time_ms,
                   struct span text)
{
	struct tail_ring *ring = &last->rings[partition];
	struct tail_kept *kept;

	if (ring->count < last->limit) {
		GROW(ring->at, ring->count, ring->capacity);
		kept = &ring->at[ring->count++];
	} else {
		kept = &ring->at[ring->added % last->limit];
		free(kept->text);
	}
	ring->added++;
	*kept = (struct tail_kept){.text = xrealloc(NULL, text.len + 1),
	                           .len = text.len,
	                           .time_ms = time_ms,
	                           .offset = offset,
	                           .partition = partition};
	memcpy(kept->text, text.at, text.len);
}

bool tail_last_is_full(const struct tail_last *last, int32_t partition)
{
	return last->rings[partition].count == last->limit;
}

static int kept_compare(const void *left, const void *right)
{
	const struct tail_kept *a = *(const struct tail_kept *const *)left,
			       *b = *(const struct tail_kept *const *)right;

	if (a->time_ms != b->time_ms)
		return a->time_ms < b->time_ms ? -1 : 1;
	if (a->partition != b->partition)
		return a->partition < b->partition ? -1 : 1;
	return a->offset < b->offset ? -1 : a->offset > b->offset;
}

const struct tail_kept **tail_last_sorted(const struct tail_last *last, size_t *count)
{
	const struct tail_kept **all;
	size_t found = 0, skip;

	for (int32_t p = 0; p < last->partitions; p++)
		found += last->rings[p].count;
	all = xzalloc(found + 1, sizeof(*all));
	found = 0;
	for (int32_t p = 0; p < last->partitions; p++)
		for (size_t i = 0; i < last->rings[p].count; i++)
			all[found++] = &last->rings[p].at[i];
	qsort(all, found, sizeof(*all), kept_compare);
	skip = found > last->limit ? found - last->limit : 0;
	memmove(all, all + skip, (found - skip) * sizeof(*all));
	*count = found - skip;
	return all;
}
