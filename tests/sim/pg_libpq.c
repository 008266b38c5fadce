/* Faults happen when a message is sent: PQflush draws them. The client reads the answer as soon as
 * the server has it.
 *
 * Limits: results are text with up to three columns. PQputCopyData never lacks memory. */
#include "sim/pg_libpq.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "sim/choice.h"
#include "sim/groups.h"
#include "sim/partition_log.h"
#include "sim/pg_server.h"
#include "sim/pg_world.h"
#include "sim/process.h"
#include "sim/replicas.h"
#include "sim/story.h"

#define FIRST_SOCKET 1000
#define SOCKETS      256
#define TRAVEL_US    200
#define STEP_US      300
#define UNPLUGGED_US INT64_C(10000000)   /* tcp_user_timeout */
#define KEEPALIVE_US INT64_C(7200000000) /* the server's tcp_keepalives_idle */

struct pg_conn {
	int socket;
	ConnStatusType status;
	PGTransactionStatusType txn;
	uint32_t session;
	uint32_t fault;   /* of the connection attempt */
	int64_t ready_us; /* the connection attempt has a result then */
	int64_t lost_us;  /* the client notices then that the connection is lost; 0: it is not */
	bool verbose;
	char error[256];
	/* The command. */
	enum {
		COMMAND_NONE,
		COMMAND_QUEUED,
		COMMAND_SENT,
		COMMAND_COPYING,
		COMMAND_RESULT
	} command;
	struct pg_matched matched;
	char *params[PG_PARAMS_MAX];
	struct buffer copy;
	bool copy_done;
	PGresult *result; /* the next that PQgetResult returns */
};

struct pg_result {
	ExecStatusType status;
	struct pg_answer answer;
	char tag[24];
};

static struct {
	PGconn *connection;
	uint32_t life;
} sockets[SOCKETS];

static int steals; /* see lose_partitions */

/* ---- results */

static PGresult *result_new(ExecStatusType status)
{
	PGresult *result = xzalloc(1, sizeof(*result));

	result->status = status;
	return result;
}

static PGresult *result_of_error(const struct pg_error *error)
{
	PGresult *result = result_new(PGRES_FATAL_ERROR);

	result->answer.error = *error;
	return result;
}

static PGresult *result_of(const struct pg_answer *answer)
{
	PGresult *result;

	if (answer->kind == PG_ANSWER_ERROR)
		return result_of_error(&answer->error);
	result = result_new(answer->kind == PG_ANSWER_ROWS      ? PGRES_TUPLES_OK
	                    : answer->kind == PG_ANSWER_COPY_IN ? PGRES_COPY_IN
	                                                        : PGRES_COMMAND_OK);
	result->answer = *answer;
	snprintf(result->tag, sizeof(result->tag), "%d", answer->changed);
	return result;
}

ExecStatusType PQresultStatus(const PGresult *result)
{
	return result ? result->status : PGRES_FATAL_ERROR;
}

char *PQresultErrorField(const PGresult *result, int field)
{
	struct pg_error *error = (struct pg_error *)(uintptr_t)&result->answer.error;
	char *text = field == PG_DIAG_SQLSTATE          ? error->sqlstate
	             : field == PG_DIAG_MESSAGE_PRIMARY ? error->message
	             : field == PG_DIAG_CONTEXT         ? error->context
	                                                : NULL;

	return text && *text ? text : NULL;
}

int PQntuples(const PGresult *result)
{
	return result->answer.rows;
}

char *PQgetvalue(const PGresult *result, int row, int column)
{
	return (char *)(uintptr_t)result->answer.values[row][column];
}

int PQgetisnull(const PGresult *result, int row, int column)
{
	return result->answer.nulls[row][column];
}

char *PQcmdTuples(PGresult *result)
{
	return result->tag;
}

void PQclear(PGresult *result)
{
	free(result);
}

/* ---- connecting */

PQconninfoOption *PQconninfoParse(const char *text, char **message)
{
	(void)text;
	*message = NULL;
	return xzalloc(1, sizeof(PQconninfoOption));
}

void PQconninfoFree(PQconninfoOption *options)
{
	free(options);
}

void PQfreemem(void *at)
{
	free(at);
}

static int socket_new(PGconn *connection)
{
	for (int i = 0; i < SOCKETS; i++) {
		if (sockets[i].connection)
			continue;
		sockets[i].connection = connection;
		sockets[i].life = process_current()->life;
		return FIRST_SOCKET + i;
	}
	abort();
}

/* Sockets of dead processes are free again. */
static void sockets_sweep(void)
{
	for (int i = 0; i < SOCKETS; i++) {
		bool lives = false;

		for (int p = 0; p < PROCESS_MAX; p++)
			lives |= process_of(p)->alive && process_of(p)->life == sockets[i].life;
		if (!lives)
			sockets[i].connection = NULL;
	}
}

void pg_libpq_begin(void)
{
	memset(sockets, 0, sizeof(sockets));
	steals = 0;
}

static int64_t travel_us(void)
{
	return TRAVEL_US + (int64_t)choose(CHOICE_LATENCY, process_current()->actor, 32) * STEP_US;
}

enum connect_fault { CONNECT_OK, CONNECT_REFUSED, CONNECT_SILENT, CONNECT_FAULTS };

PGconn *PQconnectStartParams(const char *const *keys, const char *const *values, int expand)
{
	PGconn *connection = xzalloc(1, sizeof(*connection));

	(void)keys, (void)values, (void)expand;
	sockets_sweep();
	connection->socket = socket_new(connection);
	connection->status = CONNECTION_STARTED;
	connection->fault = choose(CHOICE_PG_CONNECT, process_current()->actor, CONNECT_FAULTS);
	connection->ready_us = sim_now_us() + travel_us();
	if (connection->fault == CONNECT_SILENT)
		connection->ready_us += 60000000;
	return connection;
}

static PostgresPollingStatusType connect_failed(PGconn *connection, const struct pg_error *error)
{
	connection->status = CONNECTION_BAD;
	snprintf(connection->error, sizeof(connection->error),
	         "connection to server failed: %s%s%s%s", error->sqlstate[0] ? "FATAL:  " : "",
	         error->sqlstate, error->sqlstate[0] ? ": " : "", error->message);
	story("%s", connection->error);
	return PGRES_POLLING_FAILED;
}

PostgresPollingStatusType PQconnectPoll(PGconn *connection)
{
	struct pg_error error = {"", "Connection refused", "", true};
	const struct process *process = process_current();
	int before;

	if (sim_now_us() < connection->ready_us)
		return PGRES_POLLING_WRITING;
	if (connection->fault)
		return connect_failed(connection, &error);
	before = sim_enter();
	connection->session = pg_connect(process->number, process->life, &error);
	sim_leave(before);
	if (!connection->session)
		return connect_failed(connection, &error);
	connection->status = CONNECTION_OK;
	connection->txn = PQTRANS_IDLE;
	story("connected to PostgreSQL: session %u", connection->session);
	return PGRES_POLLING_OK;
}

PGVerbosity PQsetErrorVerbosity(PGconn *connection, PGVerbosity verbosity)
{
	(void)connection;
	return verbosity;
}

PQnoticeReceiver PQsetNoticeReceiver(PGconn *connection, PQnoticeReceiver receiver, void *context)
{
	(void)connection, (void)context;
	return receiver;
}

int PQsetnonblocking(PGconn *connection, int nonblocking)
{
	(void)connection, (void)nonblocking;
	return 0;
}

int PQbackendPID(const PGconn *connection)
{
	return (int)connection->session;
}

const char *PQparameterStatus(const PGconn *connection, const char *name)
{
	(void)connection;
	return strcmp(name, "server_encoding") == 0 ? "UTF8" : NULL;
}

char *PQhost(const PGconn *connection)
{
	(void)connection;
	return NULL;
}

char *PQhostaddr(const PGconn *connection)
{
	(void)connection;
	return NULL;
}

char *PQport(const PGconn *connection)
{
	(void)connection;
	return NULL;
}

/* ---- the state */

int PQsocket(const PGconn *connection)
{
	return connection->socket;
}

ConnStatusType PQstatus(const PGconn *connection)
{
	return connection ? connection->status : CONNECTION_BAD;
}

PGTransactionStatusType PQtransactionStatus(const PGconn *connection)
{
	if (connection->status != CONNECTION_OK)
		return PQTRANS_UNKNOWN;
	return connection->command == COMMAND_NONE ? connection->txn : PQTRANS_ACTIVE;
}

char *PQerrorMessage(const PGconn *connection)
{
	return (char *)(uintptr_t)connection->error;
}

static void lose(PGconn *connection, const char *why)
{
	connection->status = CONNECTION_BAD;
	snprintf(connection->error, sizeof(connection->error), "%s", why);
}

static bool is_lost(const PGconn *connection)
{
	if (connection->lost_us)
		return sim_now_us() >= connection->lost_us;
	return connection->session && !pg_session_is_open(connection->session);
}

static bool has_answer(const PGconn *connection)
{
	return connection->command == COMMAND_SENT && !connection->lost_us &&
	       pg_session_is_open(connection->session) && pg_answer_of(connection->session);
}

static bool is_ready(const PGconn *connection, short events)
{
	if (connection->status == CONNECTION_STARTED)
		return sim_now_us() >= connection->ready_us;
	return events & POLLOUT || is_lost(connection) || has_answer(connection);
}

static void sleep_until_ready(const PGconn *connection, int timeout_ms)
{
	int64_t us = (int64_t)timeout_ms * 1000, now_us = sim_now_us();
	bool started = connection->status == CONNECTION_STARTED;

	if (started && connection->ready_us - now_us < us)
		us = connection->ready_us - now_us;
	if (connection->lost_us && connection->lost_us - now_us < us)
		us = connection->lost_us - now_us;
	if (connection->session)
		pg_wait(connection->session, true);
	process_sleep(us);
	if (connection->session)
		pg_wait(connection->session, false);
}

bool pg_poll(const struct pollfd *fd, int timeout_ms)
{
	const PGconn *connection =
		fd->fd >= FIRST_SOCKET ? sockets[fd->fd - FIRST_SOCKET].connection : NULL;

	if (!connection)
		return false;
	if (!is_ready(connection, fd->events) && timeout_ms > 0)
		sleep_until_ready(connection, timeout_ms);
	return is_ready(connection, fd->events);
}

static void forget_command(PGconn *connection)
{
	for (int i = 0; i < PG_PARAMS_MAX; i++) {
		free(connection->params[i]);
		connection->params[i] = NULL;
	}
	connection->copy.len = 0;
}

static void take_answer(PGconn *connection)
{
	const struct pg_answer *answer = pg_answer_of(connection->session);

	connection->result = result_of(answer);
	connection->txn = answer->failed           ? PQTRANS_INERROR
	                  : answer->in_transaction ? PQTRANS_INTRANS
	                                           : PQTRANS_IDLE;
	connection->command = COMMAND_RESULT;
	forget_command(connection);
}

/* The server has closed the connection. It may have sent an error before that. */
static int take_end(PGconn *connection)
{
	const struct pg_error *end = connection->lost_us ? NULL : pg_end_of(connection->session);

	lose(connection, "server closed the connection unexpectedly");
	forget_command(connection);
	if (!end || !end->sqlstate[0] || connection->command == COMMAND_NONE)
		return 0;
	snprintf(connection->error, sizeof(connection->error), "%s", end->message);
	connection->result = result_of_error(end);
	connection->command = COMMAND_RESULT;
	return 1;
}

int PQconsumeInput(PGconn *connection)
{
	if (connection->status != CONNECTION_OK)
		return 0;
	if (has_answer(connection))
		take_answer(connection);
	else if (is_lost(connection))
		return take_end(connection);
	return 1;
}

int PQisBusy(PGconn *connection)
{
	return connection->command == COMMAND_SENT;
}

PGresult *PQgetResult(PGconn *connection)
{
	PGresult *result = connection->result;

	connection->result = NULL;
	if (!result && connection->command == COMMAND_RESULT)
		connection->command = COMMAND_NONE;
	if (result && result->status == PGRES_COPY_IN)
		connection->command = COMMAND_COPYING;
	return result;
}

/* ---- sending */

static int queue(PGconn *connection, const char *sql, int count, const char *const *params)
{
	if (connection->status != CONNECTION_OK || connection->command != COMMAND_NONE) {
		snprintf(connection->error, sizeof(connection->error), "no connection");
		return 0;
	}
	connection->matched = pg_statement_of(sql);
	if (connection->matched.statement == PG_UNKNOWN)
		pg_note_unknown(sql);
	for (int i = 0; i < count; i++)
		connection->params[i] = strdup(params[i]);
	connection->copy_done = false;
	connection->command = COMMAND_QUEUED;
	return 1;
}

int PQsendQuery(PGconn *connection, const char *sql)
{
	return queue(connection, sql, 0, NULL);
}

int PQsendQueryParams(PGconn *connection, const char *sql, int count, const Oid *types,
                      const char *const *values, const int *lengths, const int *formats,
                      int result_format)
{
	(void)types, (void)lengths, (void)formats, (void)result_format;
	return queue(connection, sql, count, values);
}

int PQputCopyData(PGconn *connection, const char *bytes, int count)
{
	if (connection->status != CONNECTION_OK || connection->command != COMMAND_COPYING)
		return -1;
	buffer_append(&connection->copy, bytes, (size_t)count);
	return 1;
}

int PQputCopyEnd(PGconn *connection, const char *error)
{
	(void)error;
	if (connection->status != CONNECTION_OK || connection->command != COMMAND_COPYING)
		return -1;
	connection->copy_done = true;
	connection->command = COMMAND_QUEUED;
	return 1;
}

enum pg_fault {
	FAULT_NONE,
	FAULT_CUT_BEFORE, /* the message does not arrive */
	FAULT_CUT_AFTER,  /* the answer does not arrive */
	FAULT_LATE,       /* cut; the message arrives seconds later */
	FAULT_UNPLUGGED,  /* the message does not arrive, and the server notices nothing */
	FAULT_SILENT,     /* the answer does not arrive, and the client notices it much later */
	FAULT_SLOW,
	FAULT_FROZEN_BEFORE, /* the process stands still for long; then it goes on */
	FAULT_FROZEN_AFTER,
	FAULT_COUNT
};
#define FAULT_LENGTHS 16 /* 1 ms to 32 s */
#define RARE_DRAWS    8  /* of a statement that a process sends seldom */

static const char *fault_text(enum pg_fault fault)
{
	switch (fault) {
	case FAULT_CUT_BEFORE: return "the connection is cut, the server does not get it";
	case FAULT_CUT_AFTER: return "the connection is cut, the answer is lost";
	case FAULT_LATE: return "the connection is cut, and it arrives late";
	case FAULT_UNPLUGGED: return "the server does not get it, and does not notice";
	case FAULT_SILENT: return "no answer for 10 s";
	case FAULT_SLOW: return "it takes long";
	case FAULT_FROZEN_BEFORE: return "the process stands still before it sends";
	case FAULT_FROZEN_AFTER: return "the process stands still after it has sent";
	case FAULT_NONE:
	case FAULT_COUNT: break;
	}
	return "";
}

static const struct pg_error errors[] = {
	{"40001", "could not serialize access", "", false},
	{"40P01", "deadlock detected", "", false},
	{"55P03", "canceling statement due to lock timeout", "", false},
	{"57014", "canceling statement due to statement timeout", "", false},
	{"25006", "cannot execute in a read-only transaction", "", false},
	{"53100", "could not extend file: No space left on device", "", false},
	{"53200", "out of shared memory", "", false},
	{"58030", "could not read block", "", false},
	{"57P01", "terminating connection due to administrator command", "", true},
};
#define ERRORS (sizeof(errors) / sizeof(errors[0]))

static void stand_still(int64_t us)
{
	process_freeze(process_current(), us);
	process_sleep(us);
}

struct drawn_fault {
	enum pg_fault fault;
	int64_t us; /* of those that take time */
};

static struct drawn_fault draw_fault(int actor, enum pg_statement statement)
{
	static const enum pg_fault lost[] = {FAULT_CUT_AFTER, FAULT_LATE, FAULT_SILENT};
	int draws = statement == PG_OFFSETS_INSERT ? RARE_DRAWS : 1;
	uint32_t answer = statement == PG_COMMIT ? choose(CHOICE_PG_COMMIT, actor, 16 * 3) : 0;
	uint32_t value = 0;

	if (answer)
		return (struct drawn_fault){lost[answer % 3], INT64_C(1000) << answer / 3};
	for (int i = 0; i < draws && !value; i++)
		value = choose(CHOICE_PG, actor, (FAULT_COUNT - 1) * FAULT_LENGTHS + 1);
	if (!value)
		return (struct drawn_fault){FAULT_NONE, 0};
	value--;
	return (struct drawn_fault){(enum pg_fault)(1 + value % (FAULT_COUNT - 1)),
	                            INT64_C(1000) << value / (FAULT_COUNT - 1)};
}

#define STEAL_MIN_US  INT64_C(700000)
#define STEAL_US      INT64_C(400000)
#define STEAL_LENGTHS 12
#define STEALS_MAX    3 /* of a schedule: each may start a twin */

/* Between the loader's reading of its offsets and its commit, the group gives its partitions to
 * others, and these load. */
static void lose_partitions(const PGconn *connection, int actor)
{
	enum pg_statement statement = connection->matched.statement;
	struct process *process = process_current();
	uint32_t length;
	int before;

	if (statement != PG_BEGIN && statement != PG_OFFSETS_LOCK && statement != PG_COMMIT &&
	    statement != PG_OFFSETS_INSERT)
		return;
	length = steals < STEALS_MAX ? choose(CHOICE_PG_STEAL, actor, STEAL_LENGTHS) : 0;
	if (!length)
		return;
	steals++;
	story("%s: others get the partitions", pg_statement_name(&connection->matched));
	before = sim_enter();
	if (!groups_expel(process->number, process->life))
		replica_twin(actor - 1);
	sim_leave(before);
	stand_still(STEAL_MIN_US + length * STEAL_US);
}

static void delete_offset(int actor)
{
	uint32_t row = choose(CHOICE_PG_DELETE, actor, 1000);
	int before = sim_enter();

	if (row)
		pg_world_delete_offset(row);
	sim_leave(before);
}

static void crash(const PGconn *connection, const char *when)
{
	char why[96];

	snprintf(why, sizeof(why), "crash %s %s", when, pg_statement_name(&connection->matched));
	process_kill(process_current(), why);
}

static struct pg_message message_of(const PGconn *connection, int actor)
{
	struct pg_message message = {.session = connection->session,
	                             .matched = connection->matched};
	uint32_t error = choose(CHOICE_PG_ERROR, actor, ERRORS + 1);

	if (error && connection->matched.statement != PG_ROLLBACK)
		message.error = errors[error - 1];
	for (int i = 0; i < PG_PARAMS_MAX; i++)
		if (connection->params[i])
			message.params[i] = strdup(connection->params[i]);
	if (connection->copy_done)
		message.copy = span_copy((struct span){connection->copy.at, connection->copy.len});
	return message;
}

static void carry_out(PGconn *connection, struct drawn_fault drawn, struct pg_message *message)
{
	enum pg_fault fault = drawn.fault;
	int64_t now_us = sim_now_us(), arrives_us = now_us + travel_us();

	if (fault == FAULT_LATE)
		arrives_us += drawn.us;
	if (fault == FAULT_SLOW)
		message->slow_us = drawn.us;
	if (fault != FAULT_CUT_BEFORE && fault != FAULT_UNPLUGGED)
		pg_send(message, arrives_us);
	if (fault == FAULT_NONE || fault >= FAULT_SLOW)
		return;
	connection->lost_us = now_us + 1000;
	if (fault == FAULT_SILENT)
		connection->lost_us = now_us + UNPLUGGED_US;
	pg_hang_up(connection->session,
	           fault == FAULT_UNPLUGGED ? now_us + KEEPALIVE_US : arrives_us + 1);
}

static void send_message(PGconn *connection)
{
	int actor = process_current()->actor, before;
	struct drawn_fault drawn = draw_fault(actor, connection->matched.statement);
	enum pg_fault fault = drawn.fault;
	uint32_t moment = choose(CHOICE_CRASH, actor, 3);
	struct pg_message message;

	if (moment == 1)
		crash(connection, "before");
	if (fault)
		story("%s: %s", pg_statement_name(&connection->matched), fault_text(fault));
	else if (story_is_shown())
		story("session %u: %s", connection->session,
		      pg_statement_name(&connection->matched));
	lose_partitions(connection, actor);
	if (connection->matched.statement == PG_OFFSETS_READ)
		delete_offset(actor);
	if (fault == FAULT_FROZEN_BEFORE)
		stand_still(drawn.us);
	before = sim_enter();
	message = message_of(connection, actor);
	carry_out(connection, drawn, &message);
	sim_leave(before);
	connection->command = COMMAND_SENT;
	if (fault == FAULT_FROZEN_AFTER)
		stand_still(drawn.us);
	if (moment == 2)
		crash(connection, "after it has sent");
}

int PQflush(PGconn *connection)
{
	if (connection->status != CONNECTION_OK)
		return -1;
	if (connection->command == COMMAND_QUEUED)
		send_message(connection);
	return 0;
}

void PQfinish(PGconn *connection)
{
	int before = sim_enter();

	if (connection->session && !connection->lost_us)
		pg_hang_up(connection->session, sim_now_us());
	sim_leave(before);
	sockets[connection->socket - FIRST_SOCKET].connection = NULL;
	forget_command(connection);
	buffer_free(&connection->copy);
	free(connection->result);
	free(connection);
}
