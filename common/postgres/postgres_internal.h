/* What postgres.c and postgres_pooler.c share. */
#ifndef FUNNEL_POSTGRES_INTERNAL_H
#define FUNNEL_POSTGRES_INTERNAL_H

#include "base/err.h"
#include "postgres/postgres.h"

/* Beyond statement_timeout: the server's own answer is better than our guess. */
#define POSTGRES_SLACK_US INT64_C(10000000)

struct postgres {
	const struct postgres_config *config;
	const char *application_name;
	PGconn *connection;
	size_t unflushed; /* bytes of COPY given to libpq since it was last made to send */
	char sqlstate[6];
};

/* Connects and sets nothing. same_address (may be NULL): connects to the host of that connection,
 * since POSTGRES_DSN may name several hosts. */
MUST_USE bool postgres_open(struct postgres *pg, const struct postgres *same_address,
                            struct err *err);

/* ERR_REFUSE: a pooler gives pg another backend for each transaction. ERR_RETRY: this cannot be
 * decided now. One round trip if pg is connected to PostgreSQL directly. */
MUST_USE bool postgres_check_pooler(struct postgres *pg, struct err *err);

#endif
