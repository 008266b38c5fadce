/* Counts: cumulative counts of a service for one input partition.
 *
 * The codecs are written by hand for speed, for exactly the schemas in schemas/. A test compares
 * them byte by byte with the Avro library. avro_resolver.h converts bytes of other schema
 * versions. */
#ifndef FUNNEL_RECORDS_COUNTS_H
#define FUNNEL_RECORDS_COUNTS_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "event/event.h"
#include "event/reason.h"

struct counts {
	int64_t records_in, records_out, duplicates, late;
	int64_t dead[REASON_COUNT]; /* by enum reason */
	/* of records_out: events whose optional field could not be read, by event_field_index */
	int64_t unreadable[EVENT_FIELD_COUNT];
	int64_t duplicates_other_price; /* of duplicates: the first copy has another price */
};

struct counts_record {
	struct span service, topic;
	int32_t partition;
	struct counts counts;
	int64_t revision;
	struct span stages; /* of the funnels that the service counts: "view,cart"; null: none */
};

/* Appends one record with its frame. schema_id: the registry's. */
void counts_encode(struct buffer *out, int32_t schema_id, const struct counts_record *counts);
/* Decodes one body (without its frame). Texts borrow from body; they have at most 1 KiB. False:
 * malformed bytes, or bytes after the last field; *why (may be NULL) then names the field.
 * *unknown_dead: the number of dead letters with reasons that this version does not know. Fields
 * of events that this version does not know are left out. */
MUST_USE bool counts_decode(struct span body, struct counts_record *counts, int64_t *unknown_dead,
                            const char **why);

#endif
