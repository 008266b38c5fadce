/* A PostgreSQL connection whose calls never wait: one query at a time, and its answer is asked for
 * again and again. It connects when the first query needs it. After a failure it is closed, and
 * the next query connects again. So what belongs to the session, such as an advisory lock, is lost
 * with each failure.
 *
 * Limit: name resolution blocks, as always with libpq. */
#ifndef FUNNEL_ASYNC_POSTGRES_H
#define FUNNEL_ASYNC_POSTGRES_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "postgres/postgres.h"

enum async_state {
	ASYNC_WAITING,  /* ask again later */
	ASYNC_ANSWERED, /* there is a result */
	ASYNC_FAILED,   /* err is set; the connection is closed */
};

struct async_postgres;
/* Borrows both. */
struct async_postgres *async_postgres_new(const struct postgres_config *config,
                                          const char *application_name);
/* NULL is allowed. */
void async_postgres_free(struct async_postgres *async);
bool async_postgres_is_connected(const struct async_postgres *async);
void async_postgres_close(struct async_postgres *async);

/* Begins one or more statements without parameters; one query string is one transaction. No other
 * query may be running. timeout_us: for the answer, without connecting. */
void async_postgres_query(struct async_postgres *async, const char *sql, int64_t timeout_us);
/* ASYNC_ANSWERED: the caller frees *result, of the last statement, with PQclear. */
enum async_state async_postgres_poll(struct async_postgres *async, PGresult **result,
                                     struct err *err);

#endif
