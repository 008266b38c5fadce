/* Collapsing: of all rows of a batch with the same key, only one is sent to PostgreSQL. Pure.
 *
 * One INSERT ... ON CONFLICT DO UPDATE may not touch a table row twice, and a batch often has
 * several versions of the same total. So the batch keeps the version that would win in the table,
 * and drops the others before the statement runs. */
#ifndef FUNNEL_COLLAPSE_H
#define FUNNEL_COLLAPSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/interner.h"
#include "base/span.h"
#include "targets.h"

/* Keys since the last clear, each with the number of the row that is kept. */
struct collapse {
	struct interner keys; /* `attached` is the number of the row */
};
void collapse_free(struct collapse *collapse);
void collapse_clear(struct collapse *collapse);
/* Where the number of the key's row is stored; valid until the next call. A new key gets the number
 * `fresh`, and *added becomes true. */
uint32_t *collapse_put(struct collapse *collapse, struct span key, uint32_t fresh, bool *added);

/* Whether a later row of the batch replaces an earlier row with the same key. Aggregates and
 * counts: if its order is greater. All others: always, because their place in the log decides. */
bool collapse_supersedes(enum target later, int64_t earlier_order, int64_t later_order);
/* (revision, final) as one number, the order of an aggregate. The order of counts is the
 * revision. */
int64_t collapse_order(int64_t revision, bool final);

#endif
