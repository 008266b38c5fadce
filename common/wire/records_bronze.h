/* BronzeEvent: a valid event with its origin. The topics of bronze and late events have it.
 *
 * The codecs are written by hand for speed, for exactly the schemas in schemas/. A test compares
 * them byte by byte with the Avro library. avro_resolver.h converts bytes of other schema
 * versions. */
#ifndef FUNNEL_RECORDS_BRONZE_H
#define FUNNEL_RECORDS_BRONZE_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "event/clock.h"
#include "event/event.h"
#include "event/event_id.h"

struct bronze_event {
	uint8_t event_id[EVENT_ID_BYTES];
	struct event event;
	struct lineage lineage;
};

/* What an event says to the clock of its partition. bronze_time_ms: the own time of its bronze
 * record, which is not before that of the raw one. */
struct clock_event bronze_clock_event(const struct bronze_event *bronze, int64_t bronze_time_ms);

/* Appends one record with its frame. schema_id: the registry's. */
void bronze_encode(struct buffer *out, int32_t schema_id, const struct bronze_event *event);
/* Decodes one body (without its frame). Texts borrow from body; they have at most 1 KiB. False:
 * malformed bytes, or bytes after the last field; *why (may be NULL) then names the field. */
MUST_USE bool bronze_decode(struct span body, struct bronze_event *event, const char **why);

#endif
