/* COPY of rows of a batch. */
#ifndef FUNNEL_COPY_ROWS_H
#define FUNNEL_COPY_ROWS_H

#include "base/err.h"
#include "load_batch.h"
#include "postgres/postgres.h"

/* Sends these rows of one target, in this order, with the statement `copy`, and the end of the
 * data. The caller ends the COPY (postgres_copy_end). */
MUST_USE bool copy_rows(struct postgres *pg, const char *copy, const struct load_batch *batch,
                        const uint32_t *rows, uint32_t count, struct err *err);
/* The same for rows of TARGET_EVENTS, in the form of the staging table. */
MUST_USE bool copy_staged_events(struct postgres *pg, const char *copy,
                                 const struct load_batch *batch, const uint32_t *rows,
                                 uint32_t count, struct err *err);
/* Sends rows that are in one piece, and ends the COPY. */
MUST_USE bool copy_bytes(struct postgres *pg, const char *copy, struct span bytes, struct err *err);

/* The bytes of a row; borrowed. */
struct span copy_row_bytes(const struct load_batch *batch, const struct load_row *row);

#endif
