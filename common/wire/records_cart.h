/* AbandonedCart: a closed visit with a cart event and without a purchase. The topic of abandoned
 * carts has it.
 *
 * The codec is written by hand, as those of the other records, for exactly the schema in
 * schemas/. A test compares it byte by byte with the Avro library. */
#ifndef FUNNEL_RECORDS_CART_H
#define FUNNEL_RECORDS_CART_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"

struct abandoned_cart {
	struct span session, user; /* pseudonyms, if pseudonymous */
	bool pseudonymous;
	int64_t start_us, end_us;
	int64_t views, carts, removes, checkouts, products;
	struct span last_category; /* at == NULL: none */
	int32_t furthest_stage;
	int64_t revision;
};

/* Appends one record with its frame. schema_id: the registry's. */
void cart_encode(struct buffer *out, int32_t schema_id, const struct abandoned_cart *cart);
/* Decodes one body (without its frame). Texts borrow from body; they have at most 1 KiB. False:
 * malformed bytes, or bytes after the last field; *why (may be NULL) then names the field. */
MUST_USE bool cart_decode(struct span body, struct abandoned_cart *cart, const char **why);

#endif
