/* The offsets of a range of one partition whose records were refused when they were first folded,
 * with the reason: one byte per offset. Pure. */
#ifndef FUNNEL_REFUSED_OFFSETS_H
#define FUNNEL_REFUSED_OFFSETS_H

#include <stdint.h>

#include "event/reason.h"

#define REFUSED_OFFSETS_MAX (INT64_C(1) << 31) /* size of a range */

/* Zero-initialised: no range. */
struct refused_offsets {
	int64_t from, to; /* to is exclusive */
	int64_t count;    /* of different offsets */
	uint8_t *reasons; /* owned; NULL: no range */
};

/* An empty set for the range; at most REFUSED_OFFSETS_MAX offsets. */
void refused_offsets_init(struct refused_offsets *refused, int64_t from, int64_t to);
void refused_offsets_free(struct refused_offsets *refused);
/* Ignores an offset outside the range, and one that was added before. reason: not REASON_NONE. */
void refused_offsets_add(struct refused_offsets *refused, int64_t offset, enum reason reason);
/* REASON_NONE: the record was not refused. */
enum reason refused_offsets_reason(const struct refused_offsets *refused, int64_t offset);

#endif
