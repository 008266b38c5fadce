/* SessionFunnel: one visit. The topic of session funnels has it.
 *
 * The codecs are written by hand for speed, for exactly the schemas in schemas/. A test compares
 * them byte by byte with the Avro library. avro_resolver.h converts bytes of other schema
 * versions. */
#ifndef FUNNEL_RECORDS_VISIT_H
#define FUNNEL_RECORDS_VISIT_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "event/event.h"

enum visit_flag { VISIT_FLAG_UNKNOWN = -1, VISIT_FLAG_NO, VISIT_FLAG_YES };

struct visit {
	struct span user_session; /* the session key */
	int64_t start_us, end_us;
	int64_t user_id;
	int64_t events[EVENT_TYPE_COUNT];
	int64_t products;
	int64_t revenue_cents;
	struct span first_category, last_category; /* at == NULL: none */
	struct span drop_off_stage; /* at == NULL: the visit reached the last, or bought */
	int64_t view_to_cart_ms, view_to_purchase_ms; /* -1: none */
	int64_t revision;
	int32_t furthest_stage;
	/* A purchase at or after the first view; and a cart between. Unknown in older records. */
	enum visit_flag view_purchase, view_cart_purchase;
	bool deleted, final;
};

/* Appends one record with its frame. schema_id: the registry's. */
void visit_encode(struct buffer *out, int32_t schema_id, const struct visit *visit);
/* Decodes one body (without its frame). Texts borrow from body; they have at most 1 KiB. False:
 * malformed bytes, or bytes after the last field; *why (may be NULL) then names the field. */
MUST_USE bool visit_decode(struct span body, struct visit *visit, const char **why);

#endif
