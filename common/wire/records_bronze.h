/* A valid event with its origin: the topics of bronze and late events.
 *
 * The codecs are written by hand for speed, for exactly the schemas in schemas/ (a test proves them
 * byte-equal to the Avro library). Bytes written under another version of a schema go through
 * avro_resolver.h first. */
#ifndef FUNNEL_RECORDS_BRONZE_H
#define FUNNEL_RECORDS_BRONZE_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "event/event.h"
#include "event/event_id.h"

struct bronze_event {
	uint8_t event_id[EVENT_ID_BYTES];
	struct event event;
	struct lineage lineage;
};

/* Appends one framed record. schema_id is the registry's. */
void bronze_encode(struct buffer *out, int32_t schema_id, const struct bronze_event *event);
/* Decodes one body (without framing). Texts borrow from body. False: malformed or left-over
 * bytes; *why (may be NULL) then names the field. Limits: texts of at most 1 KiB. */
MUST_USE bool bronze_decode(struct span body, struct bronze_event *event, const char **why);

#endif
