/* Whether a connection goes through a pooler that gives it no session of its own. */
#ifndef FUNNEL_POSTGRES_POOLER_H
#define FUNNEL_POSTGRES_POOLER_H

#include "base/err.h"
#include "postgres/postgres_state.h"

/* The refusal of a pooler in transaction mode. */
#define POSTGRES_POOLER_REFUSAL                                                                  \
	"POSTGRES_DSN goes through a pooler in transaction or statement mode (PgBouncer or the " \
	"like): pg-loader needs a session of its own; connect to PostgreSQL directly, or use "   \
	"session pooling"

/* ERR_OPERATOR: a pooler gives pg another backend for each transaction. ERR_RETRY: this cannot be
 * decided now. One round trip if pg is connected to PostgreSQL directly. */
MUST_USE bool postgres_check_pooler(struct postgres *pg, struct err *err);

#endif
