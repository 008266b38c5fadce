/* A small state machine over libpq's non-blocking calls, one step per turn of the loop:
 *
 *   RESTING --due--> CONNECTING --> READY --query sent--> ASKED --answer--> READY, until the next time
 *
 * While more waits to be counted the next call follows at once, so that a replay at full speed is caught up with by
 * another process of the server than the one that loads. Several loaders ask at the same time: the database lets one refresh
 * run and tells the others so. After the first refresh, and then once an hour, retention is applied.
 *
 * Rejected: a call on the loader's own connection, which would stop loading for as long as it takes.
 *
 * Limits: name resolution blocks, as everywhere with libpq. */
#include "reporting.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "postgres/postgres_session.h"
#include "postgres/postgres_state.h"
#include "service/health.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/monotime.h"

#define REFRESH_SQL                                                               \
	"SELECT events_counted, events_waiting, breaches, refreshed, differences" \
	" FROM reporting.refresh()"
#define RETENTION_SQL "SELECT reporting.apply_retention()"
/* One query is one transaction, so no setting outlives it; this connection is not checked for a
 * pooler (postgres_pooler.c). The timeout is long because a segment's batch reports read all of its
 * rows. */
#define SETTINGS_SQL                                                      \
	"SET LOCAL TimeZone = 'UTC'; SET LOCAL statement_timeout = '1h';" \
	"SET LOCAL client_min_messages = warning;"
#define ANSWER_TIMEOUT_US  INT64_C(3700000000)
#define RETENTION_EVERY_US INT64_C(3600000000)
#define AGAIN_US           INT64_C(5000000) /* after trouble, at the least */
#define REBUILD_TIMEOUT_US (INT64_C(24) * 3600 * 1000000)

struct reporting {
	const struct postgres_config *config;
	PGconn *connection;
	PGresult *answer; /* so far */
	enum { REPORTING_RESTING, REPORTING_CONNECTING, REPORTING_READY, REPORTING_ASKED } phase;
	PostgresPollingStatusType polling;
	bool retention; /* what was asked */
	int64_t interval_us, next_us, deadline_us, asked_us;
	int64_t retention_us; /* when to apply it; 0: after the first refresh */
	struct metric *refreshes, *failures, *events, *waiting, *breaches, *differences,
		*refreshed_at;
	struct histogram *seconds;
};

struct reporting *reporting_new(const struct postgres_config *config, int64_t interval_us)
{
	struct reporting *r = xrealloc(NULL, sizeof(*r));

	*r = (struct reporting){.config = config, .interval_us = interval_us};
	r->next_us = monotonic_us() + (interval_us < AGAIN_US ? interval_us : AGAIN_US);
	r->refreshes = metric_get(METRIC_COUNTER, "reporting_refreshes_total", "",
	                          "refreshes of the reports that this loader carried out");
	r->failures = metric_get(METRIC_COUNTER, "reporting_failures_total", "",
	                         "refreshes that failed, and are tried again");
	r->events = metric_get(METRIC_COUNTER, "reporting_events_total", "",
	                       "events counted into the reports");
	r->waiting = metric_get(METRIC_GAUGE, "reporting_events_waiting", "",
	                        "events that are stored and not yet in the reports");
	r->breaches = metric_get(METRIC_GAUGE, "reporting_breaches", "",
	                         "measures of data quality beyond their threshold");
	r->differences = metric_get(METRIC_GAUGE, "reporting_reconciliation_differences", "",
	                            "rows of reporting.reconciliation that differ");
	r->refreshed_at = metric_get(METRIC_GAUGE, "reporting_refreshed_timestamp_seconds", "",
	                             "time of the last refresh by this loader");
	r->seconds = histogram_get("reporting_refresh_seconds", "", "time of one refresh");
	return r;
}

static void disconnect(struct reporting *r)
{
	if (r->connection)
		PQfinish(r->connection);
	PQclear(r->answer);
	r->connection = NULL;
	r->answer = NULL;
}

void reporting_free(struct reporting *r)
{
	if (!r)
		return;
	disconnect(r);
	free(r);
}

static void rest(struct reporting *r, int64_t pause_us)
{
	r->phase = r->connection ? REPORTING_READY : REPORTING_RESTING;
	r->next_us = monotonic_us() + pause_us;
}

static void give_up(struct reporting *r, const char *what)
{
	const char *message = r->connection ? PQerrorMessage(r->connection) : "";
	char error[1024];

	snprintf(error, sizeof(error), "%s: %.*s", what, (int)strcspn(message, "\r\n"), message);
	log_warn("reporting_failed", log_str("error", error));
	metric_add(r->failures, 1);
	disconnect(r);
	rest(r, r->interval_us > AGAIN_US ? r->interval_us : AGAIN_US);
}

/* ---- connecting */

static void start_connecting(struct reporting *r)
{
	/* The connection string comes last, so that what it says wins. */
	const char *keys[] = {"application_name",
	                      "client_encoding",
	                      "keepalives_idle",
	                      "keepalives_interval",
	                      "keepalives_count",
	                      "dbname",
	                      NULL};
	const char *values[] = {"pg-loader reporting", "UTF8", "10", "5", "3",
	                        r->config->dsn,        NULL};

	r->connection = PQconnectStartParams(keys, values, 1);
	if (!r->connection || PQstatus(r->connection) == CONNECTION_BAD ||
	    PQsetnonblocking(r->connection, 1) != 0) {
		give_up(r, "cannot connect");
		return;
	}
	r->phase = REPORTING_CONNECTING;
	r->polling = PGRES_POLLING_WRITING;
	r->deadline_us = monotonic_us() + r->config->connect_timeout_us;
}

static void go_on_connecting(struct reporting *r)
{
	struct pollfd fd = {.fd = PQsocket(r->connection),
	                    .events = r->polling == PGRES_POLLING_READING ? POLLIN : POLLOUT};

	if (monotonic_us() > r->deadline_us) {
		give_up(r, "no connection in time");
		return;
	}
	if (poll(&fd, 1, 0) == 0)
		return;
	r->polling = PQconnectPoll(r->connection);
	if (r->polling == PGRES_POLLING_FAILED)
		give_up(r, "cannot connect");
	else if (r->polling == PGRES_POLLING_OK)
		r->phase = REPORTING_READY;
}

/* ---- asking */

static void ask(struct reporting *r)
{
	char sql[512];

	r->retention = r->retention_us != 0 && monotonic_us() >= r->retention_us;
	snprintf(sql, sizeof(sql), "%s%s", SETTINGS_SQL,
	         r->retention ? RETENTION_SQL : REFRESH_SQL);
	if (!PQsendQuery(r->connection, sql)) {
		give_up(r, "cannot ask");
		return;
	}
	r->phase = REPORTING_ASKED;
	r->asked_us = monotonic_us();
	r->deadline_us = r->asked_us + ANSWER_TIMEOUT_US;
}

static int64_t number_at(const PGresult *result, int column)
{
	return PQgetisnull(result, 0, column) ? 0
	                                      : strtoll(PQgetvalue(result, 0, column), NULL, 10);
}

static void refreshed(struct reporting *r, const PGresult *result)
{
	int64_t counted, waiting;

	if (PQgetvalue(result, 0, 3)[0] != 't') { /* another loader is at it */
		rest(r, r->interval_us);
		return;
	}
	counted = number_at(result, 0);
	waiting = number_at(result, 1);
	metric_add(r->refreshes, 1);
	metric_add(r->events, counted);
	metric_set(r->waiting, waiting);
	metric_set(r->breaches, number_at(result, 2));
	metric_set(r->differences, number_at(result, 4));
	metric_set(r->refreshed_at, wallclock_us() / 1000000);
	histogram_observe_us(r->seconds, monotonic_us() - r->asked_us);
	log_debug("reporting_refreshed", log_int("events", counted), log_int("waiting", waiting),
	          log_int("took_us", monotonic_us() - r->asked_us));
	if (r->retention_us == 0)
		r->retention_us = monotonic_us();
	rest(r, waiting > 0 ? 0 : r->interval_us);
}

static void answered(struct reporting *r, const PGresult *result)
{
	if (!r->retention) {
		refreshed(r, result);
		return;
	}
	if (number_at(result, 0) > 0)
		log_info("retention_applied", log_int("days", number_at(result, 0)));
	r->retention_us = monotonic_us() + RETENTION_EVERY_US;
	rest(r, r->interval_us);
}

static void judge_answer(struct reporting *r)
{
	PGresult *answer = r->answer;

	r->answer = NULL;
	if (answer && PQresultStatus(answer) == PGRES_TUPLES_OK && PQntuples(answer) == 1)
		answered(r, answer);
	else
		give_up(r, r->retention ? "reporting.apply_retention" : "reporting.refresh");
	PQclear(answer);
}

/* Of several results the last one counts, the query's own. The end of them may come in another turn. */
static void look_for_answer(struct reporting *r)
{
	if (PQflush(r->connection) < 0 || !PQconsumeInput(r->connection) ||
	    monotonic_us() > r->deadline_us) {
		give_up(r, "no answer");
		return;
	}
	while (!PQisBusy(r->connection)) {
		PGresult *result = PQgetResult(r->connection);

		if (!result) {
			judge_answer(r);
			return;
		}
		PQclear(r->answer);
		r->answer = result;
	}
}

void reporting_step(struct reporting *r)
{
	if (r->interval_us == 0)
		return;
	switch (r->phase) {
	case REPORTING_RESTING:
		if (monotonic_us() >= r->next_us)
			start_connecting(r);
		break;
	case REPORTING_CONNECTING: go_on_connecting(r); break;
	case REPORTING_READY:
		if (monotonic_us() >= r->next_us)
			ask(r);
		break;
	case REPORTING_ASKED: look_for_answer(r); break;
	}
}

/* ---- rebuild */

bool reporting_rebuild(const struct postgres_config *config, struct err *err)
{
	struct postgres_config patient = *config;
	struct postgres *pg;
	int64_t began_us = monotonic_us();
	bool ok;

	patient.statement_timeout_us = REBUILD_TIMEOUT_US;
	pg = postgres_new(&patient, "pg-loader rebuild");
	health_limit_ms(REBUILD_TIMEOUT_US / 1000);
	/* A refresh that is running is waited for, however long. */
	ok = postgres_connect(pg, NULL, err) && postgres_run(pg, "SET lock_timeout = 0", err) &&
	     postgres_run(pg, "SELECT reporting.rebuild()", err);
	health_limit_ms(60000);
	postgres_free(pg);
	if (ok)
		log_info("rebuilt", log_seconds("seconds", monotonic_us() - began_us));
	return ok;
}
