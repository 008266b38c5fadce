/* Totals of a rollup, window and group, and partials: the parts of source partitions in a total.
 *
 * The codecs are written by hand for speed, for exactly the schemas in schemas/. A test compares
 * them byte by byte with the Avro library. avro_resolver.h converts bytes of other schema
 * versions. */
#ifndef FUNNEL_RECORDS_AGGREGATE_H
#define FUNNEL_RECORDS_AGGREGATE_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "event/window.h"
#include "wire/records_measures.h"

/* Longest rollup name, in bytes; it is part of a key. */
#define RECORD_ROLLUP_MAX 128

/* True for INT64_MIN (none yet) and for times within the years 1 to 9999, from 31 days before.
 * These are so far from the ends of int64_t that the addition of a setting never overflows. */
bool watermark_is_possible(int64_t watermark_us);

struct aggregate {
	struct span rollup, group_value;
	int64_t window_start_us, window_end_us;
	struct measures measures;
	int64_t revision;
	bool final;
};

struct partial {
	struct span rollup, group_value; /* empty rollup: a progress record, measures are 0 */
	int64_t window_start_us, window_end_us;
	struct measures measures;
	int64_t revision;
	int64_t watermark_us; /* INT64_MIN: none yet */
	int32_t source_partition;
	bool idle;
};

/* Appends one record with its frame. schema_id: the registry's. */
void aggregate_encode(struct buffer *out, int32_t schema_id, const struct aggregate *aggregate);
void partial_encode(struct buffer *out, int32_t schema_id, const struct partial *partial);
/* Decodes one body (without its frame). Texts borrow from body; they have at most 1 KiB. False:
 * malformed bytes, or bytes after the last field; *why (may be NULL) then names the field. */
MUST_USE bool aggregate_decode(struct span body, struct aggregate *aggregate, const char **why);
MUST_USE bool partial_decode(struct span body, struct partial *partial, const char **why);

#endif
