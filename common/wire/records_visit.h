/* One visit: the topic of session funnels.
 *
 * The codecs are written by hand for speed, for exactly the schemas in schemas/ (a test proves them
 * byte-equal to the Avro library). Bytes written under another version of a schema go through
 * avro_resolver.h first. */
#ifndef FUNNEL_RECORDS_VISIT_H
#define FUNNEL_RECORDS_VISIT_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "event/event.h"

struct visit {
	struct span user_session; /* the session key */
	int64_t start_us, end_us;
	int64_t user_id;
	int64_t events[EVENT_TYPE_COUNT];
	int64_t products;
	int64_t revenue_cents;
	struct span first_category, last_category;    /* at == NULL: none */
	struct span drop_off_stage;                   /* at == NULL: the last stage was reached */
	int64_t view_to_cart_ms, view_to_purchase_ms; /* -1: none */
	int64_t revision;
	int32_t furthest_stage;
	bool deleted, final;
};

/* Appends one framed record. schema_id is the registry's. */
void visit_encode(struct buffer *out, int32_t schema_id, const struct visit *visit);
/* Decodes one body (without framing). Texts borrow from body. False: malformed or left-over
 * bytes; *why (may be NULL) then names the field. Limits: texts of at most 1 KiB. */
MUST_USE bool visit_decode(struct span body, struct visit *visit, const char **why);

#endif
