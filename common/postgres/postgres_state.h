/* The state of a connection, shared by the files of this room. */
#ifndef FUNNEL_POSTGRES_STATE_H
#define FUNNEL_POSTGRES_STATE_H

#include "postgres/postgres.h"

/* We wait this long after statement_timeout: the server's own error says more than ours. */
#define POSTGRES_SLACK_US INT64_C(10000000)

struct postgres {
	const struct postgres_config *config;
	const char *application_name;
	PGconn *connection;
	size_t unflushed; /* bytes of COPY given to libpq since the last flush */
	char sqlstate[6];
};

#endif
