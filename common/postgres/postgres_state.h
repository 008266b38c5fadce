/* A connection from within this room. */
#ifndef FUNNEL_POSTGRES_STATE_H
#define FUNNEL_POSTGRES_STATE_H

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

#endif
