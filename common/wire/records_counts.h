/* What a service has counted of one input partition since the beginning.
 *
 * The codecs are written by hand for speed, for exactly the schemas in schemas/ (a test proves them
 * byte-equal to the Avro library). Bytes written under another version of a schema go through
 * avro_resolver.h first. */
#ifndef FUNNEL_RECORDS_COUNTS_H
#define FUNNEL_RECORDS_COUNTS_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "event/reason.h"

struct counts {
	int64_t records_in, records_out, duplicates, late;
	int64_t dead[REASON_COUNT]; /* by enum reason */
};

struct counts_record {
	struct span service, topic;
	int32_t partition;
	struct counts counts;
	int64_t revision;
};

/* Appends one framed record. schema_id is the registry's. */
void counts_encode(struct buffer *out, int32_t schema_id, const struct counts_record *counts);
/* Decodes one body (without framing). Texts borrow from body. False: malformed or left-over
 * bytes; *why (may be NULL) then names the field. Limits: texts of at most 1 KiB. */
/* Dead letters with a reason that this version does not know are added to *unknown_dead. */
MUST_USE bool counts_decode(struct span body, struct counts_record *counts, int64_t *unknown_dead,
                            const char **why);

#endif
