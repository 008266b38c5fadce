/* Writes batches into PostgreSQL: rows and offsets in one transaction, bad rows found and dead-lettered. */
#ifndef FUNNEL_LOAD_STORE_H
#define FUNNEL_LOAD_STORE_H

#include "base/err.h"
#include "load_batch.h"
#include "loader_offsets.h"
#include "postgres/postgres_state.h"

struct load_store;
/* pg is borrowed. */
struct load_store *load_store_new(struct postgres *pg);
void load_store_free(struct load_store *store);

/* Connects and makes the session's staging tables where that is not done. *reconnected (may be NULL): it was done now. */
MUST_USE bool load_store_connect(struct load_store *store, bool *reconnected, struct err *err);
/* Writes the batch and moves `moved` from committed to position, all or nothing. ERR_RETRY: call again with the same;
 * ERR_ABORT: drop the batch and read the offsets again; ERR_OPERATOR, ERR_FATAL: stop. Rows that the database refuses are
 * replaced by rejects in the batch. After ERR_RETRY the commit may have happened: then the next call says ERR_ABORT. */
MUST_USE bool load_store_write(struct load_store *store, struct load_batch *batch,
                               const struct loader_offset *moved, size_t moved_count,
                               struct err *err);

#endif
