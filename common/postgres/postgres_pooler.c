/* pg-loader's temporary tables, session settings and advisory locks need a session of its own. A
 * pooler in transaction mode would give that session to other clients, so we refuse it before we
 * set anything.
 *
 * PostgreSQL reports the process id of the backend when it accepts a connection (PQbackendPID). A
 * pooler that changes backends cannot know that id, and invents one: PgBouncer, Odyssey, pgcat
 * and Supavisor do. So an id that differs from pg_backend_pid() shows a pooler, at the cost of
 * one round trip. A comparison of five connections then shows whether it is session pooling
 * (pooling.h).
 *
 * Rejected: asking the pooler, because its console needs extra rights; an open transaction that
 * forces the pooler to use another backend, because other clients would wait for it, and because
 * statement pooling forbids it.
 *
 * Limits: pgagroal reports a real backend, so this check does not detect it. A pooler that was
 * not detected, or that changes to transaction mode later, is detected when a staging table is
 * missing (load_store.c). A pooler that gives a client its own backend only after the client has
 * set something, as Amazon's RDS Proxy may, can be refused. */

#include "postgres/postgres_pooler.h"

#include "base/number.h"
#include "postgres/pooling.h"
#include "postgres/postgres.h"

/* Queries the time as a number: its text would depend on settings that another client may have
 * left. */
#define BACKEND_SQL                 \
	"SELECT pg_backend_pid(), " \
	"(extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint"

struct comparison {
	struct pooling seen;
	struct postgres_config config;
	struct postgres *at[POOLING_CONNECTIONS]; /* the first one belongs to the caller */
};

static bool query_backend(struct postgres *pg, struct backend *backend, struct err *err)
{
	PGresult *result = NULL;
	bool ok;

	if (!postgres_query(pg, BACKEND_SQL, 0, NULL, &result, err))
		return false;
	ok = PQntuples(result) == 1 && number_parse(PQgetvalue(result, 0, 0), &backend->pid) &&
	     number_parse(PQgetvalue(result, 0, 1), &backend->server_started_us);
	PQclear(result);
	return ok || err_set(err, ERR_FATAL, "PostgreSQL: expected two numbers from: " BACKEND_SQL);
}

/* Records the connection's backend; false: a contradiction. Queries the other connection that was
 * seen on this backend, to make sure that it is still open: with session pooling too, a closed
 * connection leaves its backend to the next one. */
static bool compare_backend(struct comparison *comparison, int i, struct backend backend,
                            struct err *err)
{
	int contradicts = pooling_note(&comparison->seen, i, backend);

	if (contradicts == POOLING_NONE)
		return true;
	if (contradicts != i && !query_backend(comparison->at[contradicts], &backend, err))
		return false;
	return err_set(err, ERR_OPERATOR, "%s", POSTGRES_POOLER_REFUSAL);
}

/* False: the pooler does not give us another connection in time. */
static bool add_connection(struct comparison *comparison, int i, struct backend *backend,
                           struct err *err)
{
	struct postgres *first = comparison->at[0];

	comparison->at[i] = postgres_new(&comparison->config, first->application_name);
	return postgres_open(comparison->at[i], first, err) &&
	       query_backend(comparison->at[i], backend, err);
}

/* A session pool may be too small for five connections. A comparison needs at least two. */
static bool compare(struct comparison *comparison, struct err *err)
{
	struct backend backend = {0};
	struct err why = {0};

	for (int i = 1; i < POOLING_CONNECTIONS; i++) {
		if (!add_connection(comparison, i, &backend, &why))
			return i > 1 ||
			       err_set(err, why.class,
			               "the pooler of POSTGRES_DSN (such as PgBouncer) gives "
			               "no second connection, and pg-loader needs two: %s",
			               why.message);
		if (!compare_backend(comparison, i, backend, err) ||
		    !query_backend(comparison->at[0], &backend, err) ||
		    !compare_backend(comparison, 0, backend, err))
			return false;
	}
	return true;
}

bool postgres_check_pooler(struct postgres *pg, struct err *err)
{
	struct comparison comparison = {.config = *pg->config, .at = {pg}};
	struct backend backend = {0};
	bool ok;

	if (!query_backend(pg, &backend, err))
		return false;
	if (backend.pid == PQbackendPID(pg->connection))
		return true;
	/* Extra connections wait for an answer as long as for a connection. */
	comparison.config.statement_timeout_us = pg->config->connect_timeout_us - POSTGRES_SLACK_US;
	ok = compare_backend(&comparison, 0, backend, err) && compare(&comparison, err);
	for (int i = 1; i < POOLING_CONNECTIONS; i++)
		postgres_free(comparison.at[i]);
	return ok;
}
