/*   PREPARING --> IDLE --due--> LOCKING --> ASKING --rows--> SENDING --> MARKING --> ASKING
 *                                 |           |
 *                      another has it         no rows: IDLE, for a second
 *
 * The lock belongs to the session of `pg`. Every failure closes the session and resets the channel.
 * So what a channel knows (which rows are in the topic) is never older than its lock, and a failure
 * and a kill -9 have the same recovery: lock, ask, and let the channel find out what was sent. */
#include "alert_sender.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "async_postgres.h"
#include "base/backoff.h"
#include "base/memory.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/monotime.h"

#define QUERY_TIMEOUT_US INT64_C(30000000)
#define SEND_TIMEOUT_US  INT64_C(60000000)
#define ASK_EVERY_US     INT64_C(1000000)
#define LOCK_EVERY_US    INT64_C(10000000) /* while another loader has it */
#define PREPARE_EVERY_US INT64_C(30000000) /* after a failure: preparing may block for seconds */
/* SET LOCAL: one query string is one transaction. */
#define SETTINGS "SET LOCAL TimeZone = 'UTC'; SET LOCAL statement_timeout = '20s'; "

struct alert_sender {
	struct alert_channel channel;
	struct async_postgres *pg;
	enum { PREPARING, IDLE, LOCKING, ASKING, SENDING, MARKING } phase;
	bool locked;
	PGresult *rows;
	int64_t next_us, deadline_us;
	struct backoff backoff;
	struct metric *sent, *failures, *given_up;
};

struct alert_sender *alert_sender_new(const struct postgres_config *config,
                                      struct alert_channel channel)
{
	struct alert_sender *sender = xrealloc(NULL, sizeof(*sender));
	char labels[40];

	*sender = (struct alert_sender){.channel = channel};
	sender->pg = async_postgres_new(config, "pg-loader alerts");
	sender->backoff.seed = (unsigned)monotonic_us();
	snprintf(labels, sizeof(labels), "to=\"%s\"", channel.receiver);
	sender->sent = metric_get(METRIC_COUNTER, "alerts_sent_total", labels,
	                          "openings and closings of alerts that this loader has sent");
	sender->failures = metric_get(METRIC_COUNTER, "alerts_failures_total", labels,
	                              "attempts to send that failed; they are repeated");
	sender->given_up = metric_get(METRIC_COUNTER, "alerts_given_up_total", labels,
	                              "openings and closings that are too old to be sent");
	return sender;
}

static void drop_rows(struct alert_sender *sender)
{
	PQclear(sender->rows);
	sender->rows = NULL;
}

void alert_sender_free(struct alert_sender *sender)
{
	if (!sender)
		return;
	sender->channel.free(sender->channel.self);
	drop_rows(sender);
	async_postgres_free(sender->pg);
	free(sender);
}

static void wait(struct alert_sender *sender, int64_t pause_us)
{
	sender->phase = IDLE;
	sender->next_us = monotonic_us() + pause_us;
}

static void give_up(struct alert_sender *sender, const struct err *err)
{
	metric_add(sender->failures, 1);
	sender->channel.reset(sender->channel.self);
	drop_rows(sender);
	async_postgres_close(sender->pg);
	sender->locked = false;
	backoff_grow(&sender->backoff, monotonic_us());
	sender->phase = IDLE;
	sender->next_us = sender->backoff.next_us;
	log_warn("alerts_not_sent", log_str("receiver", sender->channel.receiver),
	         log_str("error", err->message));
}

static void prepare(struct alert_sender *sender)
{
	struct err err;

	if (monotonic_us() < sender->next_us)
		return;
	if (!sender->channel.prepare || sender->channel.prepare(sender->channel.self, &err)) {
		wait(sender, 0);
		return;
	}
	give_up(sender, &err);
	wait(sender, PREPARE_EVERY_US);
	sender->phase = PREPARING;
}

static void ask(struct alert_sender *sender)
{
	char sql[ALERT_SQL_MAX];

	sender->phase = sender->locked ? ASKING : LOCKING;
	snprintf(sql, sizeof(sql),
	         sender->locked ? SETTINGS "%s"
	                        : "SELECT pg_try_advisory_lock(hashtextextended('%s', 0))",
	         sender->locked ? sender->channel.pending : sender->channel.lock);
	async_postgres_query(sender->pg, sql, QUERY_TIMEOUT_US);
}

/* ---- answers of PostgreSQL */

static void lock_answered(struct alert_sender *sender, const PGresult *answer)
{
	sender->locked = PQgetvalue(answer, 0, 0)[0] == 't';
	if (sender->locked)
		ask(sender);
	else
		wait(sender, LOCK_EVERY_US);
}

static void rows_answered(struct alert_sender *sender, PGresult **answer)
{
	struct err err;

	if (PQntuples(*answer) == 0) {
		backoff_reset(&sender->backoff);
		wait(sender, ASK_EVERY_US);
		return;
	}
	sender->rows = *answer;
	*answer = NULL;
	sender->phase = SENDING;
	sender->deadline_us = monotonic_us() + SEND_TIMEOUT_US;
	if (!sender->channel.start(sender->channel.self, sender->rows, &err))
		give_up(sender, &err);
}

static void poll_answer(struct alert_sender *sender)
{
	PGresult *answer = NULL;
	struct err err;

	switch (async_postgres_poll(sender->pg, &answer, &err)) {
	case ASYNC_WAITING: return;
	case ASYNC_FAILED: give_up(sender, &err); return;
	case ASYNC_ANSWERED: break;
	}
	if (sender->phase == LOCKING) {
		lock_answered(sender, answer);
	} else if (sender->phase == ASKING) {
		rows_answered(sender, &answer);
	} else {
		drop_rows(sender);
		ask(sender);
	}
	PQclear(answer);
}

/* ---- the receiver */

static void store_result(struct alert_sender *sender, struct metric *metric)
{
	char sql[ALERT_SQL_MAX];

	metric_add(metric, PQntuples(sender->rows));
	sender->channel.mark(sender->channel.self, sql, sizeof(sql));
	sender->phase = MARKING;
	async_postgres_query(sender->pg, sql, QUERY_TIMEOUT_US);
}

static void step_channel(struct alert_sender *sender)
{
	struct err err;

	switch (sender->channel.step(sender->channel.self, &err)) {
	case ALERT_BUSY:
		if (monotonic_us() < sender->deadline_us)
			return;
		err_set(&err, ERR_RETRY, "not sent within 60 s");
		give_up(sender, &err);
		return;
	case ALERT_SENT: store_result(sender, sender->sent); return;
	case ALERT_REFUSED: store_result(sender, sender->failures); return;
	case ALERT_GIVEN_UP: store_result(sender, sender->given_up); return;
	case ALERT_FAILED: give_up(sender, &err); return;
	}
}

void alert_sender_step(struct alert_sender *sender)
{
	switch (sender->phase) {
	case PREPARING: prepare(sender); return;
	case IDLE:
		if (monotonic_us() >= sender->next_us)
			ask(sender);
		return;
	case SENDING: step_channel(sender); return;
	case LOCKING:
	case ASKING:
	case MARKING: poll_answer(sender); return;
	}
}

void alert_numbers(const PGresult *rows, char *text, size_t cap)
{
	int column = PQfnumber(rows, "number");
	size_t len = (size_t)snprintf(text, cap, "{");

	for (int row = 0; row < PQntuples(rows) && len < cap; row++)
		len += (size_t)snprintf(text + len, cap - len, "%s%" PRId64, row ? "," : "",
		                        (int64_t)strtoll(PQgetvalue(rows, row, column), NULL, 10));
	if (len < cap)
		snprintf(text + len, cap - len, "}");
}
