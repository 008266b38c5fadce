/* Detects a pooler that does not give a connection a session of its own. */
#ifndef FUNNEL_POSTGRES_POOLER_H
#define FUNNEL_POSTGRES_POOLER_H

#include "base/err.h"
#include "postgres/postgres_state.h"

/* The error for a pooler in transaction or statement mode. */
#define POSTGRES_POOLER_REFUSAL                                                              \
	"POSTGRES_DSN connects through a pooler in transaction or statement mode (such as "  \
	"PgBouncer): pg-loader needs a session of its own; connect to PostgreSQL directly, " \
	"or use session pooling"

/* ERR_OPERATOR: a pooler in transaction or statement mode. ERR_RETRY: this cannot be decided now.
 * Takes one round trip if pg is connected to PostgreSQL directly. */
MUST_USE bool postgres_check_pooler(struct postgres *pg, struct err *err);

#endif
