/* One PostgreSQL connection: connecting, statements, binary COPY, and the classes of failures.
 *
 * Every wait is bounded: POSTGRES_STATEMENT_TIMEOUT plus 10 s. A server that does not answer in
 * that time counts as lost. After ERR_RETRY the connection may be closed: postgres_connect opens
 * it again. The SQLSTATE of a failure is in its message and in postgres_sqlstate(). */
#ifndef FUNNEL_POSTGRES_H
#define FUNNEL_POSTGRES_H

#include <libpq-fe.h>
#include <stdint.h>

#include "base/err.h"
#include "service/config.h"

struct postgres_config {
	const char *dsn;              /* POSTGRES_DSN */
	const char *password;         /* POSTGRES_PASSWORD; "": that of the DSN, if it has one */
	int64_t connect_timeout_us;   /* POSTGRES_CONNECT_TIMEOUT */
	int64_t statement_timeout_us; /* POSTGRES_STATEMENT_TIMEOUT */
};
/* Whether libpq can parse the connection string. ERR_INPUT; the message does not quote it. */
MUST_USE bool postgres_dsn_check(const char *dsn, struct err *err);
/* A table of settings for the member of type struct postgres_config in the program's config
 * struct. */
/* clang-format off */
#define POSTGRES_OPTIONS(config, member)                                           \
	{                                                                          \
		{                                                                  \
			.name = "POSTGRES_DSN",                                    \
			.type = CONFIG_SECRET,                                     \
			.offset = offsetof(config, member.dsn),                    \
			.help = "PostgreSQL connection string (URL or key=value)", \
			.check = postgres_dsn_check,                               \
		},                                                                 \
		{                                                                  \
			.name = "POSTGRES_PASSWORD",                               \
			.type = CONFIG_SECRET,                                     \
			.offset = offsetof(config, member.password),               \
			.default_value = "",                                       \
			.help = "password, if POSTGRES_DSN has none",              \
		},                                                                 \
		{                                                                  \
			.name = "POSTGRES_CONNECT_TIMEOUT",                        \
			.type = CONFIG_DURATION,                                   \
			.offset = offsetof(config, member.connect_timeout_us),     \
			.default_value = "5s",                                     \
			.min = 100000,                                             \
			.max = 60000000,                                           \
			.help = "longest wait for a connection",                   \
		},                                                                 \
		{                                                                  \
			.name = "POSTGRES_STATEMENT_TIMEOUT",                      \
			.type = CONFIG_DURATION,                                   \
			.offset = offsetof(config, member.statement_timeout_us),   \
			.default_value = "60s",                                    \
			.min = 1000000,                                            \
			.max = 240000000,                                          \
			.help = "longest time one statement may take",             \
		},                                                                 \
		{0},                                                               \
	}
/* clang-format on */

/* The error class of a SQLSTATE. ERR_INPUT: the row is invalid (21, 22 except 22P03 and 22P04,
 * 23, 54). ERR_RETRY: the server cannot do it now (08, 25, 40, 53, 55, 57, 58). ERR_OPERATOR:
 * schema, rights or authentication are wrong (0A, 28, 2F, 3D, 3F, 42). Any other, also NULL and
 * "": ERR_RETRY if the connection was lost, else ERR_FATAL. */
enum err_class postgres_class(const char *sqlstate, bool connection_lost);

struct postgres;
/* Does not connect yet. config and application_name are borrowed. */
struct postgres *postgres_new(const struct postgres_config *config, const char *application_name);
void postgres_free(struct postgres *pg);

/* Connects, and leaves the session as it is. same_address (may be NULL): connects to the host of
 * that connection, because POSTGRES_DSN may name several hosts. */
MUST_USE bool postgres_open(struct postgres *pg, const struct postgres *same_address,
                            struct err *err);
void postgres_disconnect(struct postgres *pg);
bool postgres_is_connected(const struct postgres *pg);
/* Checks the connection without a round trip. False with ERR_RETRY: the server has closed it; we
 * close it too. */
MUST_USE bool postgres_still_there(struct postgres *pg, struct err *err);
/* SQLSTATE of the last failure; "": it had none. */
const char *postgres_sqlstate(const struct postgres *pg);

/* Runs one or more statements without parameters, and discards the results. */
MUST_USE bool postgres_run(struct postgres *pg, const char *sql, struct err *err);
/* Runs one statement with text parameters. The caller frees *result with PQclear. */
MUST_USE bool postgres_query(struct postgres *pg, const char *sql, int param_count,
                             const char *const *params, PGresult **result, struct err *err);

/* COPY ... FROM STDIN: begin, any number of puts, end. A failure ends the COPY. */
MUST_USE bool postgres_copy_begin(struct postgres *pg, const char *sql, struct err *err);
MUST_USE bool postgres_copy_put(struct postgres *pg, const char *bytes, size_t len,
                                struct err *err);
MUST_USE bool postgres_copy_end(struct postgres *pg, struct err *err);

/* Rolls back the open transaction, if there is one. Closes the connection if that fails. */
void postgres_rollback(struct postgres *pg);

#endif
