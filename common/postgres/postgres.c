/* Uses libpq in non-blocking mode, and offers blocking calls with deadlines. libpq's own blocking
 * calls wait forever if a server is up but does not answer; TCP timeouts do not detect that.
 *
 * libpq 15 has no accessor for the SQLSTATE of a failed connection. So we connect with verbose
 * messages and read the SQLSTATE from the text: a wrong password is not a server that is away.
 *
 * Limits: name resolution inside PQconnectStartParams blocks. Parameters and results are text. */
#include "postgres/postgres.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postgres/postgres_state.h"
#include "service/monotime.h"

#define POLL_SLICE_MS 200
#define COPY_PIECE    ((size_t)256 * 1024)

/* The first matching prefix counts. A class has two characters: PostgreSQL manual, appendix A. */
static const struct {
	const char *prefix;
	enum err_class class;
} sqlstate_classes[] = {
	{"22P03", ERR_FATAL},                    /* invalid binary COPY: our fault, not the row's */
	{"22P04", ERR_FATAL}, {"21", ERR_INPUT}, /* cardinality violation */
	{"22", ERR_INPUT},                       /* data exception */
	{"23", ERR_INPUT},                       /* integrity constraint violation */
	{"54", ERR_INPUT},                       /* program limit: an index entry is too long */
	{"08", ERR_RETRY},                       /* connection */
	{"25", ERR_RETRY},    /* transaction state: idle timeout, read-only during a failover */
	{"40", ERR_RETRY},    /* deadlock, serialization */
	{"53", ERR_RETRY},    /* disk full, out of memory, too many connections */
	{"55", ERR_RETRY},    /* lock not available */
	{"57", ERR_RETRY},    /* shutdown, starting up, cancelled */
	{"58", ERR_RETRY},    /* system error: I/O */
	{"0A", ERR_OPERATOR}, /* feature not supported */
	{"28", ERR_OPERATOR}, /* authentication */
	{"2F", ERR_OPERATOR}, /* SQL routine */
	{"3D", ERR_OPERATOR}, /* no such database */
	{"3F", ERR_OPERATOR}, /* no such schema */
	{"42", ERR_OPERATOR}, /* no such table or column, no right */
};

enum err_class postgres_class(const char *sqlstate, bool connection_lost)
{
	for (size_t i = 0; sqlstate && i < sizeof(sqlstate_classes) / sizeof(*sqlstate_classes);
	     i++)
		if (strncmp(sqlstate, sqlstate_classes[i].prefix,
		            strlen(sqlstate_classes[i].prefix)) == 0)
			return sqlstate_classes[i].class;
	return connection_lost ? ERR_RETRY : ERR_FATAL;
}

struct postgres *postgres_new(const struct postgres_config *config, const char *application_name)
{
	struct postgres *pg = calloc(1, sizeof(*pg));

	if (!pg)
		abort();
	pg->config = config;
	pg->application_name = application_name;
	return pg;
}

void postgres_free(struct postgres *pg)
{
	if (!pg)
		return;
	postgres_disconnect(pg);
	free(pg);
}

void postgres_disconnect(struct postgres *pg)
{
	if (pg->connection)
		PQfinish(pg->connection);
	pg->connection = NULL;
}

bool postgres_is_connected(const struct postgres *pg)
{
	return pg->connection && PQstatus(pg->connection) == CONNECTION_OK;
}

static bool lose(struct postgres *pg, const char *what, struct err *err)
{
	pg->sqlstate[0] = '\0';
	postgres_disconnect(pg);
	return err_set(err, ERR_RETRY, "PostgreSQL: %s", what);
}

bool postgres_still_there(struct postgres *pg, struct err *err)
{
	struct pollfd fd = {.events = POLLIN};

	if (!postgres_is_connected(pg))
		return lose(pg, "not connected", err);
	fd.fd = PQsocket(pg->connection);
	if (poll(&fd, 1, 0) == 0)
		return true;
	/* No statement is running, so this is a notice or the end of the connection. */
	return (PQconsumeInput(pg->connection) && postgres_is_connected(pg)) ||
	       lose(pg, "the server has closed the connection", err);
}

const char *postgres_sqlstate(const struct postgres *pg)
{
	return pg->sqlstate;
}

/* ---- failures */

static void first_line(const char *message, char *out, size_t cap)
{
	size_t len = message ? strcspn(message, "\r\n") : 0;

	if (len >= cap)
		len = cap - 1;
	memcpy(out, message ? message : "", len);
	out[len] = '\0';
}

/* Takes result. NULL: libpq itself failed, and the connection is closed. The message includes the
 * context line, which names the row and column of a COPY. */
static bool fail(struct postgres *pg, PGresult *result, struct err *err)
{
	const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
	const char *context = result ? PQresultErrorField(result, PG_DIAG_CONTEXT) : NULL;
	const char *primary = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
	bool lost = !result || PQstatus(pg->connection) != CONNECTION_OK;
	char text[512], where[256];

	snprintf(pg->sqlstate, sizeof(pg->sqlstate), "%s", state ? state : "");
	first_line(primary && *primary ? primary : PQerrorMessage(pg->connection), text,
	           sizeof(text));
	first_line(context, where, sizeof(where));
	err_set(err, postgres_class(state, lost), "PostgreSQL: %s%s%s%s%s%s",
	        text[0] ? text : "connection lost", state ? " (SQLSTATE " : "", state ? state : "",
	        state ? ")" : "", where[0] ? ": " : "", where);
	PQclear(result);
	if (lost)
		postgres_disconnect(pg);
	return false;
}

/* ---- waiting */

/* Waits for the socket. False: the deadline has passed. */
static bool wait_socket(struct postgres *pg, short events, int64_t deadline_us)
{
	struct pollfd fd = {PQsocket(pg->connection), events, 0};

	for (;;) {
		int ready = poll(&fd, 1, POLL_SLICE_MS);

		if (ready > 0)
			return true;
		if ((ready < 0 && errno != EINTR) || monotonic_us() > deadline_us)
			return false;
	}
}

static int64_t statement_deadline(const struct postgres *pg)
{
	return monotonic_us() + pg->config->statement_timeout_us + POSTGRES_SLACK_US;
}

/* Sends libpq's buffer. Reads meanwhile, because a server whose responses are not read may stop
 * reading. */
static bool flush_out(struct postgres *pg, struct err *err)
{
	int64_t deadline_us = statement_deadline(pg);

	for (;;) {
		int left = PQflush(pg->connection);

		if (left == 0)
			return true;
		if (left < 0)
			return fail(pg, NULL, err);
		if (!wait_socket(pg, POLLIN | POLLOUT, deadline_us))
			return lose(pg, "the server did not accept data in time", err);
		if (PQconsumeInput(pg->connection) == 0)
			return fail(pg, NULL, err);
	}
}

/* *result: the next one; NULL at the end of the command. */
static bool next_result(struct postgres *pg, PGresult **result, struct err *err)
{
	int64_t deadline_us = statement_deadline(pg);

	while (PQisBusy(pg->connection)) {
		if (!wait_socket(pg, POLLIN, deadline_us))
			return lose(pg, "the server did not answer in time", err);
		if (PQconsumeInput(pg->connection) == 0)
			return fail(pg, NULL, err);
	}
	*result = PQgetResult(pg->connection);
	return true;
}

static bool is_failure(const PGresult *result)
{
	switch (PQresultStatus(result)) {
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
	case PGRES_COPY_IN:
	case PGRES_EMPTY_QUERY: return false;
	default: return true;
	}
}

/* Reads all results of a command. *last: the last good one. False: err is that of the first
 * failure. */
static bool finish(struct postgres *pg, PGresult **last, struct err *err)
{
	PGresult *result = NULL, *kept = NULL, *failed = NULL;

	for (;;) {
		if (!next_result(pg, &result, err)) {
			PQclear(kept);
			PQclear(failed);
			return false;
		}
		if (!result)
			break;
		if (is_failure(result) && !failed) {
			failed = result;
		} else {
			PQclear(kept);
			kept = result;
			if (PQresultStatus(result) == PGRES_COPY_IN)
				break;
		}
		if (PQstatus(pg->connection) == CONNECTION_BAD)
			break;
	}
	if (failed) {
		PQclear(kept);
		return fail(pg, failed, err);
	}
	if (last)
		*last = kept;
	else
		PQclear(kept);
	return true;
}

/* ---- connecting */

/* "... FATAL:  28P01: password ...": the five characters between the two colons. */
static void sqlstate_in_text(const char *message, char state[6])
{
	state[0] = '\0';
	for (const char *at = strstr(message, ":  "); at; at = strstr(at + 1, ":  ")) {
		size_t n = 0;

		while (n < 5 &&
		       (isdigit((unsigned char)at[3 + n]) || isupper((unsigned char)at[3 + n])))
			n++;
		if (n == 5 && at[8] == ':') {
			memcpy(state, at + 3, 5);
			state[5] = '\0';
			return;
		}
	}
}

/* PgBouncer's error text. PostgreSQL accepts all startup parameters that it knows. */
#define POOLER_REFUSES_PARAMETER "unsupported startup parameter"

/* TLS failures have no SQLSTATE. libpq's texts are not translated, because no program sets a
 * locale. A lost connection ("SSL SYSCALL error") is not among them. */
static bool is_tls_failure(const char *text)
{
	static const char *const parts[] = {"certificate", "does not support SSL", "alert",
	                                    "sslrootcert"};

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (strstr(text, parts[i]))
			return true;
	return false;
}

static bool tls_failed(const char *text, struct err *err)
{
	return err_set(
		err, ERR_OPERATOR,
		"PostgreSQL: %s; check sslmode, sslrootcert, sslcert and sslkey in "
		"POSTGRES_DSN: sslrootcert must name the CA of the server's certificate, and "
		"with sslmode=verify-full the host must be a name in this certificate, which "
		"must not have expired; to see the certificate: "
		"openssl s_client -starttls postgres -connect HOST:PORT",
		text);
}

static bool connect_failed(struct postgres *pg, struct err *err)
{
	char text[512];

	sqlstate_in_text(PQerrorMessage(pg->connection), pg->sqlstate);
	first_line(PQerrorMessage(pg->connection), text, sizeof(text));
	postgres_disconnect(pg);
	if (strstr(text, POOLER_REFUSES_PARAMETER))
		return err_set(
			err, ERR_OPERATOR,
			"the pooler of POSTGRES_DSN (such as PgBouncer) refuses a setting of "
			"the connection: %s; remove the setting from POSTGRES_DSN and PGOPTIONS, "
			"add it to the pooler's ignore_startup_parameters, or connect to "
			"PostgreSQL directly",
			text);
	if (!pg->sqlstate[0] && is_tls_failure(text))
		return tls_failed(text, err);
	return err_set(err, postgres_class(pg->sqlstate, true), "PostgreSQL: %s", text);
}

static bool poll_connect(struct postgres *pg, struct err *err)
{
	int64_t deadline_us = monotonic_us() + pg->config->connect_timeout_us;
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;

	while (status != PGRES_POLLING_OK) {
		if (status == PGRES_POLLING_FAILED)
			return connect_failed(pg, err);
		if (!wait_socket(pg, status == PGRES_POLLING_READING ? POLLIN : POLLOUT,
		                 deadline_us))
			return lose(pg, "did not connect within POSTGRES_CONNECT_TIMEOUT", err);
		status = PQconnectPoll(pg->connection);
	}
	return true;
}

static void ignore_notice(void *context, const PGresult *result)
{
	(void)context;
	(void)result;
}

/* libpq's message may quote the password, so we do not use it. */
bool postgres_dsn_check(const char *dsn, struct err *err)
{
	char *message = NULL;
	PQconninfoOption *options = PQconninfoParse(dsn, &message);

	PQfreemem(message);
	if (!options)
		return err_set(err, ERR_INPUT,
		               "expected postgresql://user@host:port/database or key=value pairs");
	PQconninfoFree(options);
	return true;
}

bool postgres_open(struct postgres *pg, const struct postgres *same_address, struct err *err)
{
	const PGconn *other = same_address ? same_address->connection : NULL;
	/* Later entries win. NULL and "" set nothing. */
	const char *keys[] = {
		"application_name",
		"keepalives_idle",
		"keepalives_interval",
		"keepalives_count",
		"tcp_user_timeout",
		"password",
		"dbname",
		"host",
		"hostaddr",
		"port",
		NULL,
	};
	const char *values[] = {
		pg->application_name, "5",  "2",  "3",  "10000", pg->config->password,
		pg->config->dsn,      NULL, NULL, NULL, NULL,
	};

	if (other) {
		values[7] = PQhost(other);
		values[8] = PQhostaddr(other);
		values[9] = PQport(other);
	}
	postgres_disconnect(pg);
	pg->sqlstate[0] = '\0';
	if (!postgres_dsn_check(pg->config->dsn, err))
		return false;
	pg->connection = PQconnectStartParams(keys, values, 1);
	if (!pg->connection)
		return err_set(err, ERR_FATAL, "PostgreSQL: out of memory");
	if (PQstatus(pg->connection) == CONNECTION_BAD)
		return connect_failed(pg, err);
	PQsetErrorVerbosity(pg->connection, PQERRORS_VERBOSE);
	if (!poll_connect(pg, err))
		return false;
	PQsetErrorVerbosity(pg->connection, PQERRORS_DEFAULT);
	PQsetNoticeReceiver(pg->connection, ignore_notice, NULL);
	return PQsetnonblocking(pg->connection, 1) == 0 ||
	       lose(pg, "cannot make the connection non-blocking", err);
}

/* ---- statements */

static bool not_connected(struct postgres *pg, struct err *err)
{
	pg->sqlstate[0] = '\0';
	return err_set(err, ERR_RETRY, "PostgreSQL: not connected");
}

bool postgres_run(struct postgres *pg, const char *sql, struct err *err)
{
	if (!pg->connection)
		return not_connected(pg, err);
	if (!PQsendQuery(pg->connection, sql))
		return fail(pg, NULL, err);
	return flush_out(pg, err) && finish(pg, NULL, err);
}

bool postgres_query(struct postgres *pg, const char *sql, int param_count,
                    const char *const *params, PGresult **result, struct err *err)
{
	if (!pg->connection)
		return not_connected(pg, err);
	if (!PQsendQueryParams(pg->connection, sql, param_count, NULL, params, NULL, NULL, 0))
		return fail(pg, NULL, err);
	return flush_out(pg, err) && finish(pg, result, err);
}

bool postgres_copy_begin(struct postgres *pg, const char *sql, struct err *err)
{
	PGresult *result = NULL;
	bool copying;

	if (!pg->connection)
		return not_connected(pg, err);
	if (!PQsendQuery(pg->connection, sql))
		return fail(pg, NULL, err);
	if (!flush_out(pg, err) || !finish(pg, &result, err))
		return false;
	copying = PQresultStatus(result) == PGRES_COPY_IN;
	PQclear(result);
	return copying ||
	       err_set(err, ERR_FATAL, "PostgreSQL: expected a COPY FROM STDIN: %.100s", sql);
}

/* Flushes libpq's buffer every COPY_PIECE bytes: it would grow without limit if the server reads
 * slowly. */
bool postgres_copy_put(struct postgres *pg, const char *bytes, size_t len, struct err *err)
{
	while (len > 0) {
		size_t part = len > COPY_PIECE ? COPY_PIECE : len;
		int sent = pg->connection ? PQputCopyData(pg->connection, bytes, (int)part) : -1;

		if (sent < 0)
			return pg->connection ? fail(pg, NULL, err) : not_connected(pg, err);
		if (sent > 0) {
			bytes += part;
			len -= part;
			pg->unflushed += part;
		}
		if (sent == 0 || pg->unflushed >= COPY_PIECE) {
			if (!flush_out(pg, err))
				return false;
			pg->unflushed = 0;
		}
	}
	return true;
}

bool postgres_copy_end(struct postgres *pg, struct err *err)
{
	if (!pg->connection)
		return not_connected(pg, err);
	while (PQputCopyEnd(pg->connection, NULL) == 0)
		if (!flush_out(pg, err))
			return false;
	return flush_out(pg, err) && finish(pg, NULL, err);
}

void postgres_rollback(struct postgres *pg)
{
	PGTransactionStatusType state;
	struct err ignored;

	if (!pg->connection)
		return;
	state = PQtransactionStatus(pg->connection);
	/* During a COPY or a partly read result, closing is the only cheap way. */
	if (state == PQTRANS_ACTIVE || state == PQTRANS_UNKNOWN ||
	    (state != PQTRANS_IDLE && !postgres_run(pg, "ROLLBACK", &ignored)))
		postgres_disconnect(pg);
}
