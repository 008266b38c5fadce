/* Users that reporting.forget_user() has forgotten: their rows get pseudonyms before they are
 * stored. sql/README.md has the rules. */
#ifndef FUNNEL_LOAD_FORGOTTEN_H
#define FUNNEL_LOAD_FORGOTTEN_H

#include <stdbool.h>

#include "base/err.h"
#include "load_batch.h"
#include "postgres/postgres.h"

/* Replaces forgotten users in the rows of TARGET_EVENTS. Call it in the transaction of the batch,
 * after its lock on processed.loader_offsets: a user is noted only while nobody has that lock, so
 * the answer stays true until the transaction ends. A second call changes nothing more.
 *
 * *somebody: some user is forgotten, so the staging tables of the other targets need their
 * forget_statements (targets.h). */
MUST_USE bool load_forgotten(struct postgres *pg, struct load_batch *batch, bool *somebody,
                             struct err *err);

#endif
