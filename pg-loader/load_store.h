/* Writes batches into PostgreSQL: rows and offsets in one transaction. Rows that the database
 * rejects become dead letters. */
#ifndef FUNNEL_LOAD_STORE_H
#define FUNNEL_LOAD_STORE_H

#include "base/err.h"
#include "load_batch.h"
#include "loader_offsets.h"
#include "postgres/postgres_state.h"

struct load_store;
/* Borrows pg. */
struct load_store *load_store_new(struct postgres *pg);
void load_store_free(struct load_store *store);

/* Connects, and creates the staging tables of the session, if that has not been done. *reconnected
 * (may be NULL): this call has done it. */
MUST_USE bool load_store_connect(struct load_store *store, bool *reconnected, struct err *err);
/* Writes the batch and moves the offsets in `moved` from committed to position, in one transaction.
 * Rows that the database rejects are replaced in the batch by dead letters. ERR_RETRY: call again
 * with the same arguments; if the commit has happened after all, that call returns ERR_CONFLICT.
 * ERR_CONFLICT: drop the batch and read the offsets again. ERR_OPERATOR, ERR_FATAL: stop. */
MUST_USE bool load_store_write(struct load_store *store, struct load_batch *batch,
                               const struct stored_offset *moved, size_t moved_count,
                               struct err *err);

#endif
