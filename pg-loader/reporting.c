/* Each call of reporting_step makes at most one step: it begins a query that is due, or asks for
 * the answer to the one that runs (async_postgres.h).
 *
 * While events wait, the next call follows after a pause: a call that counts more events at once
 * costs less per event. If MANY_EVENTS wait, it follows at once. It also follows when no rows have
 * come for a second, but not within that pause after the last call, and not before the retry of a
 * call that failed. So an idle stream is reported soon, and a stream of few rows causes few calls.
 * After the begin or end of a segment the pause is a second: the last totals and visits of a
 * segment arrive in several batches. The reports are computed in another server process, in
 * parallel with loading. If several loaders call at the same time, the database runs one refresh,
 * and the other calls return at once. Retention is applied after the first refresh, and then once
 * an hour.
 *
 * A refresh is two calls, each in a transaction of its own: the sums, and then the reports that
 * take long. So readers see the sums before the second call ends. While a backlog is counted, the
 * second call waits for its end. If the second call fails, the sums go on.
 *
 * Rejected: a call on the loader's own connection, which would stop loading until it returns. */
#include "reporting.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alert_gauges.h"
#include "async_postgres.h"
#include "base/memory.h"
#include "postgres/postgres_session.h"
#include "service/health.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/monotime.h"

#define REFRESH_SQL                                                                \
	"SELECT events_counted, events_waiting, breaches, refreshed, differences," \
	" processed.open_alerts() FROM reporting.refresh_sums()"
#define SLOW_SQL                                                                                   \
	"SELECT refreshed, breaches, processed.open_alerts() FROM reporting.refresh_slow(%" PRId64 \
	")"
#define RETENTION_SQL "SELECT reporting.apply_retention()"
/* SET LOCAL, because this connection is not checked for a pooler (postgres_pooler.c): one query
 * string is one transaction, and no setting outlives it. The time-out is long because the batch
 * reports of a segment read all of its rows. */
#define SETTINGS_SQL                                                      \
	"SET LOCAL TimeZone = 'UTC'; SET LOCAL statement_timeout = '1h';" \
	"SET LOCAL client_min_messages = warning;"
#define ANSWER_TIMEOUT_US  INT64_C(3700000000)
#define RETENTION_EVERY_US INT64_C(3600000000)
#define RETRY_US           INT64_C(5000000) /* after a failure; doubled for each further one */
#define RETRY_DOUBLINGS    4
#define MANY_EVENTS        1500000           /* that wait, or were counted at once: a backlog */
#define PAUSE_US           INT64_C(10000000) /* while events wait, or the stream is idle */
#define PAUSE_RATIO        2                 /* of a pause while events wait, to the refresh */
#define IDLE_US            INT64_C(1000000)  /* without rows, the stream is idle */
#define REBUILD_TIMEOUT_US (INT64_C(24) * 3600 * 1000000)

enum query {
	QUERY_SUMS,
	QUERY_SLOW,
	QUERY_RETENTION,
};

static const char *const query_names[] = {
	[QUERY_SUMS] = "reporting.refresh_sums",
	[QUERY_SLOW] = "reporting.refresh_slow",
	[QUERY_RETENTION] = "reporting.apply_retention",
};

struct reporting {
	struct async_postgres *pg;
	bool running;     /* a query was begun, and has no answer yet */
	enum query query; /* that query, or the last one */
	bool slow_is_due; /* the next query is QUERY_SLOW */
	int64_t interval_us, next_us, sent_us;
	int64_t events_waiting; /* after the last sums */
	int64_t slow_retry_us;  /* after a failure: no QUERY_SLOW before that */
	int64_t pause_us;       /* after the refresh */
	int64_t rows_us;        /* last commit of rows that no call has reported; 0: none */
	int64_t refresh_us;     /* the last refresh began; 0: none */
	int64_t retry_us;       /* after a failure: no call for an idle stream before that */
	/* At most RETRY_DOUBLINGS are counted. */
	int failures_in_row[QUERY_RETENTION + 1];
	int64_t segment_us;   /* last begin or end of a segment; 0: none */
	int64_t retention_us; /* when retention is due; 0: after the first refresh */
	struct metric *refreshes, *failures, *events, *waiting, *breaches, *differences,
		*refreshed_at, *slow_at;
	struct histogram *seconds, *slow_seconds;
	struct alert_gauges *gauges;
};

struct reporting *reporting_new(const struct postgres_config *config, int64_t interval_us)
{
	struct reporting *r = xrealloc(NULL, sizeof(*r));

	*r = (struct reporting){.interval_us = interval_us};
	r->pg = async_postgres_new(config, "pg-loader reporting");
	r->next_us = monotonic_us() + (interval_us < RETRY_US ? interval_us : RETRY_US);
	r->refreshes = metric_get(METRIC_COUNTER, "reporting_refreshes_total", "",
	                          "refreshes of the reports by this loader");
	r->failures = metric_get(METRIC_COUNTER, "reporting_failures_total", "",
	                         "refreshes that failed; they are retried");
	r->events = metric_get(METRIC_COUNTER, "reporting_events_total", "",
	                       "events counted into the reports");
	r->waiting = metric_get(METRIC_GAUGE, "reporting_events_waiting", "",
	                        "events that are stored and not yet in the reports");
	r->breaches = metric_get(METRIC_GAUGE, "reporting_breaches", "",
	                         "measures of data quality that exceed their threshold");
	r->differences = metric_get(METRIC_GAUGE, "reporting_reconciliation_differences", "",
	                            "rows of reporting.reconciliation that differ");
	r->refreshed_at = metric_get(METRIC_GAUGE, "reporting_refreshed_timestamp_seconds", "",
	                             "time of the last refresh by this loader");
	r->slow_at = metric_get(METRIC_GAUGE, "reporting_slow_refreshed_timestamp_seconds", "",
	                        "time of the last reporting.refresh_slow() by this loader, or of "
	                        "its first refresh");
	r->seconds = histogram_get("reporting_refresh_seconds", "", "time of one refresh of sums");
	r->slow_seconds = histogram_get("reporting_slow_refresh_seconds", "",
	                                "time of one reporting.refresh_slow()");
	r->gauges = alert_gauges_new();
	return r;
}

void reporting_free(struct reporting *r)
{
	if (!r)
		return;
	async_postgres_free(r->pg);
	alert_gauges_free(r->gauges);
	free(r);
}

/* Schedules the next call. */
static void schedule(struct reporting *r, int64_t pause_us)
{
	r->running = false;
	r->next_us = monotonic_us() + pause_us;
}

/* The failed query is repeated, later for each further failure. If it is QUERY_SLOW, the sums do
 * not wait for that. */
static void give_up(struct reporting *r, const char *error)
{
	int *failures = &r->failures_in_row[r->query];
	int64_t pause_us = RETRY_US << *failures;

	log_warn("reporting_failed", log_str("error", error));
	metric_add(r->failures, 1);
	async_postgres_close(r->pg);
	if (*failures < RETRY_DOUBLINGS)
		++*failures;
	if (r->query == QUERY_SLOW) {
		r->slow_retry_us = monotonic_us() + pause_us;
		schedule(r, r->pause_us);
	} else {
		schedule(r, pause_us);
		r->retry_us = r->next_us;
	}
}

void reporting_note_rows(struct reporting *r, bool segment)
{
	r->rows_us = monotonic_us();
	if (segment)
		r->segment_us = r->rows_us;
}

/* When the next refresh for an idle stream may begin. */
static int64_t idle_from(const struct reporting *r)
{
	bool near_segment = r->segment_us != 0 && r->refresh_us - r->segment_us < PAUSE_US;
	int64_t from_us =
		r->refresh_us == 0 ? 0 : r->refresh_us + (near_segment ? IDLE_US : PAUSE_US);

	return from_us > r->retry_us ? from_us : r->retry_us;
}

static bool is_due(const struct reporting *r)
{
	int64_t now_us = monotonic_us();
	bool is_idle = r->rows_us != 0 && now_us - r->rows_us >= IDLE_US;

	return now_us >= r->next_us || (is_idle && now_us >= idle_from(r));
}

/* ---- the query */

static enum query next_query(const struct reporting *r)
{
	if (r->slow_is_due)
		return QUERY_SLOW;
	if (r->retention_us != 0 && monotonic_us() >= r->retention_us)
		return QUERY_RETENTION;
	return QUERY_SUMS;
}

static void begin_query(struct reporting *r)
{
	char sql[512];
	int len;

	r->query = next_query(r);
	r->slow_is_due = false;
	len = snprintf(sql, sizeof(sql), "%s", SETTINGS_SQL);
	if (r->query == QUERY_SLOW)
		snprintf(sql + len, sizeof(sql) - (size_t)len, SLOW_SQL, r->events_waiting);
	else
		snprintf(sql + len, sizeof(sql) - (size_t)len, "%s",
		         r->query == QUERY_SUMS ? REFRESH_SQL : RETENTION_SQL);
	async_postgres_query(r->pg, sql, ANSWER_TIMEOUT_US);
	r->running = true;
	r->sent_us = monotonic_us();
	if (r->query == QUERY_SUMS) {
		r->rows_us = 0;
		r->refresh_us = r->sent_us;
	}
}

static int64_t number_at(const PGresult *result, int column)
{
	return PQgetisnull(result, 0, column) ? 0
	                                      : strtoll(PQgetvalue(result, 0, column), NULL, 10);
}

/* A refresh of many events takes less time for each event, because it changes a session, user or
 * product once. So a slow refresh has a longer pause, up to the interval. */
static int64_t pause_after(const struct reporting *r, int64_t waiting, int64_t took_us)
{
	int64_t pause_us = took_us * PAUSE_RATIO;

	if (waiting >= MANY_EVENTS)
		return 0;
	if (pause_us < PAUSE_US)
		pause_us = PAUSE_US;
	return waiting > 0 && r->interval_us > pause_us ? pause_us : r->interval_us;
}

static void refreshed(struct reporting *r, const PGresult *result)
{
	int64_t counted, waiting, took_us = monotonic_us() - r->sent_us;

	if (PQgetvalue(result, 0, 3)[0] != 't') { /* another loader's refresh is running */
		reporting_note_rows(r, false);
		schedule(r, r->interval_us);
		return;
	}
	counted = number_at(result, 0);
	waiting = number_at(result, 1);
	metric_add(r->refreshes, 1);
	metric_add(r->events, counted);
	metric_set(r->waiting, waiting);
	metric_set(r->breaches, number_at(result, 2));
	metric_set(r->differences, number_at(result, 4));
	alert_gauges_set(r->gauges, PQgetvalue(result, 0, 5));
	metric_set(r->refreshed_at, wallclock_us() / 1000000);
	histogram_observe_us(r->seconds, took_us);
	log_debug("reporting_refreshed", log_int("events", counted), log_int("waiting", waiting),
	          log_int("took_us", took_us));
	if (r->retention_us == 0) { /* the first refresh */
		r->retention_us = monotonic_us();
		metric_set(r->slow_at, wallclock_us() / 1000000);
	}
	r->pause_us = pause_after(r, waiting, took_us);
	r->events_waiting = waiting;
	r->slow_is_due =
		(counted < MANY_EVENTS || waiting == 0) && monotonic_us() >= r->slow_retry_us;
	schedule(r, r->slow_is_due ? 0 : r->pause_us);
}

static void slow_refreshed(struct reporting *r, const PGresult *result)
{
	int64_t took_us = monotonic_us() - r->sent_us;

	if (PQgetvalue(result, 0, 0)[0] != 't') { /* another refresh is running */
		r->slow_is_due = true;
		schedule(r, PAUSE_US);
		return;
	}
	metric_set(r->breaches, number_at(result, 1));
	alert_gauges_set(r->gauges, PQgetvalue(result, 0, 2));
	metric_set(r->slow_at, wallclock_us() / 1000000);
	histogram_observe_us(r->slow_seconds, took_us);
	log_debug("reporting_slow_refreshed", log_int("took_us", took_us));
	schedule(r, r->pause_us);
}

static void retained(struct reporting *r, const PGresult *result)
{
	int64_t days = number_at(result, 0);

	if (days > 0) /* a call drops a limited number of days: more may wait */
		log_info("retention_applied", log_int("days", days));
	r->retention_us = monotonic_us() + (days > 0 ? 0 : RETENTION_EVERY_US);
	schedule(r, r->interval_us);
}

static void answered(struct reporting *r, const PGresult *result)
{
	r->failures_in_row[r->query] = 0;
	switch (r->query) {
	case QUERY_SUMS: refreshed(r, result); return;
	case QUERY_SLOW: slow_refreshed(r, result); return;
	case QUERY_RETENTION: retained(r, result); return;
	}
}

void reporting_step(struct reporting *r)
{
	PGresult *answer = NULL;
	struct err err;

	if (r->interval_us == 0)
		return;
	if (!r->running) {
		if (is_due(r))
			begin_query(r);
		return;
	}
	switch (async_postgres_poll(r->pg, &answer, &err)) {
	case ASYNC_WAITING: return;
	case ASYNC_FAILED:
		err_prefix(&err, "%s", query_names[r->query]);
		give_up(r, err.message);
		return;
	case ASYNC_ANSWERED:
		if (PQntuples(answer) == 1)
			answered(r, answer);
		else
			give_up(r, "expected one row");
		PQclear(answer);
		return;
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
	/* Without a lock time-out, the rebuild waits for a refresh that is running. */
	ok = postgres_connect(pg, NULL, err) && postgres_run(pg, "SET lock_timeout = 0", err) &&
	     postgres_run(pg, "SELECT reporting.rebuild()", err);
	health_limit_ms(60000);
	postgres_free(pg);
	if (ok)
		log_info("rebuilt", log_seconds("seconds", monotonic_us() - began_us));
	return ok;
}
