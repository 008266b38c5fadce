/* Temporary tables, session settings and advisory locks need a session of their own. A pooler in
 * transaction mode would leave them to its other clients, so we refuse it before we set anything.
 *
 * PostgreSQL announces a connection's backend when the connection is made (PQbackendPID). A pooler
 * that changes backends cannot do so, and invents a number: PgBouncer, Odyssey, pgcat and Supavisor
 * do. So a number that differs from pg_backend_pid() shows a pooler, for one round trip. Session
 * pooling works. A comparison of five connections shows which pooling it is (pooling.h).
 *
 * Rejected: asking the pooler, whose console needs rights of its own; holding a transaction open to
 * force the pooler to another backend, since other clients would wait for that transaction, and
 * statement pooling forbids it.
 *
 * Limits: pgagroal announces a real backend, so this check does not notice it. A pooler that was
 * missed, or that changes to transaction mode later, is noticed when a staging table is missing
 * (load_store.c). A pooler that gives a client its own backend only after the client has set
 * something, as Amazon's RDS Proxy may, can be refused. */

#include "postgres/postgres_pooler.h"

#include "base/number.h"
#include "postgres/pooling.h"
#include "postgres/postgres.h"

/* The time is queried as a number: its text depends on settings that another client may have
 * left. */
#define WHERE_SQL \
	"SELECT pg_backend_pid(), (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint"

struct comparison {
	struct pooling seen;
	struct postgres_config config;
	struct postgres *at[POOLING_CONNECTIONS]; /* the first is the caller's */
};

static bool where_is(struct postgres *pg, struct backend *backend, struct err *err)
{
	PGresult *result = NULL;
	bool ok;

	if (!postgres_query(pg, WHERE_SQL, 0, NULL, &result, err))
		return false;
	ok = PQntuples(result) == 1 && number_parse(PQgetvalue(result, 0, 0), &backend->pid) &&
	     number_parse(PQgetvalue(result, 0, 1), &backend->server_started_us);
	PQclear(result);
	return ok || err_set(err, ERR_FATAL, "PostgreSQL: no numbers from: " WHERE_SQL);
}

/* Asks the other connection that was seen on this backend, to make sure that it is still open: with
 * session pooling too, a closed connection leaves its backend to the next one. */
static bool judge(struct comparison *comparison, int i, struct backend backend, struct err *err)
{
	int contradicts = pooling_note(&comparison->seen, i, backend);

	if (contradicts == POOLING_NONE)
		return true;
	if (contradicts != i && !where_is(comparison->at[contradicts], &backend, err))
		return false;
	return err_set(err, ERR_OPERATOR, "%s", POSTGRES_POOLER_REFUSAL);
}

/* False where the pooler has no further connection for us in time. */
static bool add_connection(struct comparison *comparison, int i, struct backend *backend,
                           struct err *err)
{
	struct postgres *first = comparison->at[0];

	comparison->at[i] = postgres_new(&comparison->config, first->application_name);
	return postgres_open(comparison->at[i], first, err) &&
	       where_is(comparison->at[i], backend, err);
}

/* A session pool may be too small for five connections; a comparison needs two. */
static bool compare(struct comparison *comparison, struct err *err)
{
	struct backend backend = {0};
	struct err why = {0};

	for (int i = 1; i < POOLING_CONNECTIONS; i++) {
		if (!add_connection(comparison, i, &backend, &why))
			return i > 1 ||
			       err_set(err, why.class,
			               "the pooler of POSTGRES_DSN (PgBouncer or the like) gives "
			               "no second connection, and pg-loader needs two: %s",
			               why.message);
		if (!judge(comparison, i, backend, err) ||
		    !where_is(comparison->at[0], &backend, err) ||
		    !judge(comparison, 0, backend, err))
			return false;
	}
	return true;
}

bool postgres_check_pooler(struct postgres *pg, struct err *err)
{
	struct comparison comparison = {.config = *pg->config, .at = {pg}};
	struct backend backend = {0};
	bool ok;

	if (!where_is(pg, &backend, err))
		return false;
	if (backend.pid == PQbackendPID(pg->connection))
		return true;
	/* The extra connections wait for an answer only as long as for a connection. */
	comparison.config.statement_timeout_us = pg->config->connect_timeout_us - POSTGRES_SLACK_US;
	ok = judge(&comparison, 0, backend, err) && compare(&comparison, err);
	for (int i = 1; i < POOLING_CONNECTIONS; i++)
		postgres_free(comparison.at[i]);
	return ok;
}
