/* The last lines of each partition, and the last of all of them. Pure. */
#ifndef FUNNEL_TAIL_LAST_H
#define FUNNEL_TAIL_LAST_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct tail_kept {
	char *text;
	size_t len;
	int64_t time_ms, offset;
	int32_t partition;
};

struct tail_last {
	struct tail_ring {
		struct tail_kept *at;
		size_t count, capacity; /* of `at`, at most limit */
		size_t added;
	} * rings; /* by partition */
	int32_t partitions;
	size_t limit;
};

/* limit: lines to keep, at least 1. */
void tail_last_init(struct tail_last *last, int32_t partitions, size_t limit);
void tail_last_free(struct tail_last *last);
/* Forgets the lines of a partition. */
void tail_last_reset(struct tail_last *last, int32_t partition);
/* Copies the text. Offsets of a partition increase. */
void tail_last_add(struct tail_last *last, int32_t partition, int64_t offset, int64_t time_ms,
                   struct span text);
/* The partition has `limit` lines. */
bool tail_last_is_full(const struct tail_last *last, int32_t partition);
/* The newest `limit` lines of all partitions, by time, then partition and offset. The caller frees
 * the array, but not its texts. */
const struct tail_kept **tail_last_sorted(const struct tail_last *last, size_t *count);

#endif
