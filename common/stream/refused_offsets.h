/* The offsets of a range of one partition whose records were refused when they were first folded:
 * one bit per offset. Pure. */
#ifndef FUNNEL_REFUSED_OFFSETS_H
#define FUNNEL_REFUSED_OFFSETS_H

#include <stdbool.h>
#include <stdint.h>

#define REFUSED_OFFSETS_MAX (INT64_C(1) << 33) /* size of a range; takes 1 GiB */

/* Zero-initialised: no range. */
struct refused_offsets {
	int64_t from, to; /* to is exclusive */
	int64_t count;    /* of different offsets */
	uint64_t *bits;   /* owned; NULL: no range */
};

/* An empty set for the range; at most REFUSED_OFFSETS_MAX offsets. */
void refused_offsets_init(struct refused_offsets *refused, int64_t from, int64_t to);
void refused_offsets_free(struct refused_offsets *refused);
/* Ignores an offset outside the range, and one that was added before. */
void refused_offsets_add(struct refused_offsets *refused, int64_t offset);
bool refused_offsets_has(const struct refused_offsets *refused, int64_t offset);

#endif
