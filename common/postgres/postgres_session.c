#include "postgres/postgres_session.h"

#include <stdio.h>
#include <string.h>

#include "postgres/postgres.h"
#include "postgres/postgres_pooler.h"

/* The timeouts release the locks of a client that is stopped or unplugged. */
static bool set_up_session(struct postgres *pg, struct err *err)
{
	char sql[512];
	const char *encoding;

	snprintf(sql, sizeof(sql),
	         "SET TimeZone = 'UTC'; SET client_encoding = 'UTF8'; SET DateStyle = 'ISO';"
	         "SET statement_timeout = %lld; SET lock_timeout = 10000;"
	         "SET idle_in_transaction_session_timeout = 10000;"
	         "SET client_min_messages = warning;"
	         "SET default_transaction_isolation = 'read committed'",
	         (long long)(pg->config->statement_timeout_us / 1000));
	if (!postgres_run(pg, sql, err))
		return false;
	encoding = PQparameterStatus(pg->connection, "server_encoding");
	if (!encoding || strcmp(encoding, "UTF8") != 0)
		return err_set(
			err, ERR_OPERATOR,
			"PostgreSQL: the encoding of the database is %s: expected UTF8; create the "
			"database with ENCODING 'UTF8'",
			encoding ? encoding : "unknown");
	return true;
}

bool postgres_connect(struct postgres *pg, bool *fresh, struct err *err)
{
	if (fresh)
		*fresh = false;
	if (postgres_is_connected(pg))
		return true;
	/* The pooler is checked first: a refused connection must leave no setting on a shared
	 * session. */
	if (!postgres_open(pg, NULL, err) || !postgres_check_pooler(pg, err) ||
	    !set_up_session(pg, err)) {
		postgres_disconnect(pg);
		return false;
	}
	if (fresh)
		*fresh = true;
	return true;
}
