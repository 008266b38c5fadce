/* A small state machine over libpq's non-blocking calls. Each poll makes at most one step:
 *
 *   CLOSED --query--> CONNECTING --> READY --sent--> WAITING --answer--> READY
 *
 * The text of the query is kept until it is sent. */
#include "async_postgres.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "postgres/postgres_session.h"
#include "postgres/postgres_state.h"
#include "service/monotime.h"

struct async_postgres {
	const struct postgres_config *config;
	const char *application_name;
	PGconn *connection;
	PGresult *answer; /* the last result so far */
	char *sql;        /* to be sent */
	enum { CLOSED, CONNECTING, READY, WAITING } phase;
	PostgresPollingStatusType polling;
	int64_t timeout_us, deadline_us;
};

struct async_postgres *async_postgres_new(const struct postgres_config *config,
                                          const char *application_name)
{
	struct async_postgres *async = xrealloc(NULL, sizeof(*async));

	*async = (struct async_postgres){.config = config, .application_name = application_name};
	return async;
}

void async_postgres_close(struct async_postgres *async)
{
	if (async->connection)
		PQfinish(async->connection);
	PQclear(async->answer);
	free(async->sql);
	async->connection = NULL;
	async->answer = NULL;
	async->sql = NULL;
	async->phase = CLOSED;
}

void async_postgres_free(struct async_postgres *async)
{
	if (!async)
		return;
	async_postgres_close(async);
	free(async);
}

bool async_postgres_is_connected(const struct async_postgres *async)
{
	return async->phase == READY || async->phase == WAITING;
}

static enum async_state failed(struct async_postgres *async, const char *what, struct err *err)
{
	const char *message = async->connection ? PQerrorMessage(async->connection) : "";

	err_set(err, ERR_RETRY, "%s: %.*s", what, (int)strcspn(message, "\r\n"), message);
	async_postgres_close(async);
	return ASYNC_FAILED;
}

void async_postgres_query(struct async_postgres *async, const char *sql, int64_t timeout_us)
{
	size_t size = strlen(sql) + 1;

	async->sql = memcpy(xrealloc(async->sql, size), sql, size);
	async->timeout_us = timeout_us;
}

static enum async_state start_connecting(struct async_postgres *async, struct err *err)
{
	/* The connection string comes last, so that its values win. */
	const char *keys[] = {"application_name", "client_encoding",
	                      "keepalives_idle",  "keepalives_interval",
	                      "keepalives_count", "password",
	                      "dbname",           NULL};
	const char *values[] = {
		async->application_name, "UTF8", "10", "5", "3", async->config->password,
		async->config->dsn,      NULL};

	async->connection = PQconnectStartParams(keys, values, 1);
	if (!async->connection || PQstatus(async->connection) == CONNECTION_BAD ||
	    PQsetnonblocking(async->connection, 1) != 0)
		return failed(async, "cannot connect", err);
	async->phase = CONNECTING;
	async->polling = PGRES_POLLING_WRITING;
	async->deadline_us = monotonic_us() + async->config->connect_timeout_us;
	return ASYNC_WAITING;
}

static enum async_state continue_connecting(struct async_postgres *async, struct err *err)
{
	struct pollfd fd = {.fd = PQsocket(async->connection),
	                    .events = async->polling == PGRES_POLLING_READING ? POLLIN : POLLOUT};

	if (monotonic_us() > async->deadline_us)
		return failed(async, "no connection within POSTGRES_CONNECT_TIMEOUT", err);
	if (poll(&fd, 1, 0) == 0)
		return ASYNC_WAITING;
	async->polling = PQconnectPoll(async->connection);
	if (async->polling == PGRES_POLLING_FAILED)
		return failed(async, "cannot connect", err);
	if (async->polling == PGRES_POLLING_OK)
		async->phase = READY;
	return ASYNC_WAITING;
}

static enum async_state send_query(struct async_postgres *async, struct err *err)
{
	if (!async->sql)
		return ASYNC_WAITING;
	if (!PQsendQuery(async->connection, async->sql))
		return failed(async, "cannot send the query", err);
	free(async->sql);
	async->sql = NULL;
	async->phase = WAITING;
	async->deadline_us = monotonic_us() + async->timeout_us;
	return ASYNC_WAITING;
}

static enum async_state take_answer(struct async_postgres *async, PGresult **result,
                                    struct err *err)
{
	ExecStatusType status = PQresultStatus(async->answer);

	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
		return failed(async, "the query failed", err);
	*result = async->answer;
	async->answer = NULL;
	async->phase = READY;
	return ASYNC_ANSWERED;
}

/* Keeps the last of several results. The end of the results may arrive in a later step. */
static enum async_state poll_answer(struct async_postgres *async, PGresult **result,
                                    struct err *err)
{
	if (PQflush(async->connection) < 0 || !PQconsumeInput(async->connection) ||
	    monotonic_us() > async->deadline_us)
		return failed(async, "no answer to the query", err);
	while (!PQisBusy(async->connection)) {
		PGresult *next = PQgetResult(async->connection);

		if (!next)
			return take_answer(async, result, err);
		PQclear(async->answer);
		async->answer = next;
	}
	return ASYNC_WAITING;
}

enum async_state async_postgres_poll(struct async_postgres *async, PGresult **result,
                                     struct err *err)
{
	switch (async->phase) {
	case CLOSED: return start_connecting(async, err);
	case CONNECTING: return continue_connecting(async, err);
	case READY: return send_query(async, err);
	case WAITING: return poll_answer(async, result, err);
	}
	return ASYNC_FAILED;
}
