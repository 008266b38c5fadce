/* Totals of a window and group, and the partials of source partitions that they are made of.
 *
 * The codecs are written by hand for speed, for exactly the schemas in schemas/ (a test proves them
 * byte-equal to the Avro library). Bytes written under another version of a schema go through
 * avro_resolver.h first. */
#ifndef FUNNEL_RECORDS_AGGREGATE_H
#define FUNNEL_RECORDS_AGGREGATE_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "event/window.h"
#include "wire/records_measures.h"

/* Limits of texts that become part of a key; the decoders refuse longer ones. */
#define RECORD_ROLLUP_MAX 128

/* A watermark is INT64_MIN, none yet, or lies within the years of events, less the disorder: so
 * far from the ends of int64_t that adding settings never overflows. */
bool watermark_is_possible(int64_t watermark_us);

struct aggregate {
	struct span rollup, group_value;
	int64_t window_start_us, window_end_us;
	struct measures measures;
	int64_t revision;
	bool final;
};

struct partial {
	struct span rollup, group_value; /* an empty rollup: a progress record, measures are 0 */
	int64_t window_start_us, window_end_us;
	struct measures measures;
	int64_t revision;
	int64_t watermark_us; /* INT64_MIN: none yet */
	int32_t source_partition;
	bool idle;
};

/* Appends one framed record. schema_id is the registry's. */
void aggregate_encode(struct buffer *out, int32_t schema_id, const struct aggregate *aggregate);
void partial_encode(struct buffer *out, int32_t schema_id, const struct partial *partial);
/* Decodes one body (without framing). Texts borrow from body. False: malformed or left-over
 * bytes; *why (may be NULL) then names the field. Limits: texts of at most 1 KiB. */
MUST_USE bool aggregate_decode(struct span body, struct aggregate *aggregate, const char **why);
MUST_USE bool partial_decode(struct span body, struct partial *partial, const char **why);

#endif
