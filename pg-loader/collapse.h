/* Which row of a batch counts for a key: one upsert may not touch a row twice, so a batch
 * is collapsed before the statement is built. Pure. */
#ifndef FUNNEL_COLLAPSE_H
#define FUNNEL_COLLAPSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/interner.h"
#include "base/span.h"
#include "targets.h"

/* Keys seen since the last clear, each with the number of the row that counts. */
struct collapse {
	struct interner keys; /* `attached` is the row */
};
void collapse_free(struct collapse *collapse);
void collapse_clear(struct collapse *collapse);
/* The place of the key's row number. A new key gets `fresh` and sets *added. Valid until the next call. */
uint32_t *collapse_put(struct collapse *collapse, struct span key, uint32_t fresh, bool *added);

/* Whether a later row of the same key takes the place of an earlier one. order: what the target goes by
 * (collapse_order); removals and visits go by their place in the log, so the later one always does. */
bool collapse_supersedes(enum target later, int64_t earlier_order, int64_t later_order);
/* (revision, final) as one number. */
int64_t collapse_order(int64_t revision, bool final);

#endif
