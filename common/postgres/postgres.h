/* One PostgreSQL connection: connecting, statements, binary COPY, and what a failure means.
 *
 * Every wait is bounded (POSTGRES_STATEMENT_TIMEOUT and a little); a server that does not answer in that time
 * counts as lost. After ERR_RETRY the connection may be gone: postgres_connect makes it again. Failures carry
 * the SQLSTATE in the message and in postgres_sqlstate(). */
#ifndef FUNNEL_POSTGRES_H
#define FUNNEL_POSTGRES_H

#include <libpq-fe.h>
#include <stdint.h>

#include "base/err.h"
#include "service/config.h"

struct postgres_config {
	const char *dsn;              /* POSTGRES_DSN */
	int64_t connect_timeout_us;   /* POSTGRES_CONNECT_TIMEOUT */
	int64_t statement_timeout_us; /* POSTGRES_STATEMENT_TIMEOUT */
};
/* Whether libpq can read it. ERR_INPUT; the message holds nothing of it. */
MUST_USE bool postgres_dsn_check(const char *dsn, struct err *err);
#define POSTGRES_OPTIONS(type, member)                                \
	{                                                             \
		{"POSTGRES_DSN",                                      \
		 CONFIG_SECRET,                                       \
		 offsetof(type, member.dsn),                          \
		 NULL,                                                \
		 0,                                                   \
		 0,                                                   \
		 "PostgreSQL connection string (URL or key=value)",   \
		 NULL,                                                \
		 postgres_dsn_check},                                 \
			{"POSTGRES_CONNECT_TIMEOUT",                  \
		         CONFIG_DURATION,                             \
		         offsetof(type, member.connect_timeout_us),   \
		         "5s",                                        \
		         100000,                                      \
		         60000000,                                    \
		         "longest wait for a connection",             \
		         NULL,                                        \
		         NULL},                                       \
			{"POSTGRES_STATEMENT_TIMEOUT",                \
		         CONFIG_DURATION,                             \
		         offsetof(type, member.statement_timeout_us), \
		         "60s",                                       \
		         1000000,                                     \
		         240000000,                                   \
		         "longest time one statement may take",       \
		         NULL,                                        \
		         NULL},                                       \
		{                                                     \
			0                                             \
		}                                                     \
	}

/* What a SQLSTATE says to do. ERR_INPUT: a row is bad (classes 21, 22 but for
 * 22P03 and 22P04, 23, 54). ERR_RETRY: the server or the moment is
 * (08, 25, 40, 53, 55, 57, 58). ERR_OPERATOR: schema, rights or authentication are (0A, 28, 2F, 3D, 3F, 42).
 * Anything else, NULL and "" among it, is ERR_RETRY where the connection was lost and ERR_FATAL where it was not. */
enum err_class postgres_class(const char *sqlstate, bool connection_lost);

struct postgres;
/* Connects nothing yet. config and application_name are borrowed. */
struct postgres *postgres_new(const struct postgres_config *config, const char *application_name);
void postgres_free(struct postgres *pg);

/* Connects and sets nothing. same_address (may be NULL): connects to the host of that connection,
 * since POSTGRES_DSN may name several hosts. */
MUST_USE bool postgres_open(struct postgres *pg, const struct postgres *same_address,
                            struct err *err);
void postgres_disconnect(struct postgres *pg);
bool postgres_is_connected(const struct postgres *pg);
/* Without a round trip: false where the server has closed the connection meanwhile; then it is closed here too. */
MUST_USE bool postgres_still_there(struct postgres *pg, struct err *err);
/* SQLSTATE of the last failure, "" where it had none. */
const char *postgres_sqlstate(const struct postgres *pg);

/* Several statements without parameters; results are thrown away. */
MUST_USE bool postgres_run(struct postgres *pg, const char *sql, struct err *err);
/* One statement with text parameters; *result is the caller's to PQclear. */
MUST_USE bool postgres_query(struct postgres *pg, const char *sql, int param_count,
                             const char *const *params, PGresult **result, struct err *err);

/* COPY ... FROM STDIN: begin, any number of puts, end. After a failure the COPY is over. */
MUST_USE bool postgres_copy_begin(struct postgres *pg, const char *sql, struct err *err);
MUST_USE bool postgres_copy_put(struct postgres *pg, const char *bytes, size_t len,
                                struct err *err);
MUST_USE bool postgres_copy_end(struct postgres *pg, struct err *err);

/* Leaves an open transaction, whatever its state; closes the connection where that fails. */
void postgres_rollback(struct postgres *pg);

#endif
