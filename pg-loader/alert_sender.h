/* Sends rows of processed.alert_outbox to one receiver. The receiver is a channel: the topic of
 * alerts (alert_topic.h), or a webhook (alert_webhook.h).
 *
 * Of all loaders, one sends to a receiver: the one whose session has the advisory lock of the
 * channel. It does not wait for answers: each step makes at most one step of a state machine.
 * Ending a Kafka client after a failure takes up to 2 s, preparing a channel up to 5 s for each URL
 * of the registry, and name resolution blocks. A failure is logged, counted and retried; it does
 * not stop loading. */
#ifndef FUNNEL_ALERT_SENDER_H
#define FUNNEL_ALERT_SENDER_H

#include <libpq-fe.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "postgres/postgres.h"

#define ALERT_SQL_MAX 4096

enum alert_progress {
	ALERT_BUSY,     /* call step again */
	ALERT_SENT,     /* `mark` has the statement that stores this */
	ALERT_REFUSED,  /* by the receiver; `mark` has the statement that stores this */
	ALERT_GIVEN_UP, /* a row is too old, and logged; `mark` as above */
	ALERT_FAILED    /* err is set; the owner calls reset */
};

struct alert_channel {
	const char *receiver; /* "topic" or "webhook": in logs and labels */
	const char *lock;     /* a name */
	const char *pending;  /* the query for rows to send; none: nothing to do */
	void *self;
	/* Called first, and again 30 s after each failure. NULL: nothing to prepare. */
	bool (*prepare)(void *self, struct err *err);
	/* Begins to send rows, which it borrows until step does not return ALERT_BUSY. */
	MUST_USE bool (*start)(void *self, const PGresult *rows, struct err *err);
	enum alert_progress (*step)(void *self, struct err *err);
	/* Writes a statement. */
	void (*mark)(void *self, char *sql, size_t cap);
	/* Drops what was begun. After a failure nobody knows what was sent. */
	void (*reset)(void *self);
	void (*free)(void *self);
};

struct alert_sender;
/* Takes channel.self, borrows all else. */
struct alert_sender *alert_sender_new(const struct postgres_config *config,
                                      struct alert_channel channel);
/* NULL is allowed. */
void alert_sender_free(struct alert_sender *sender);
void alert_sender_step(struct alert_sender *sender);

/* Writes the column `number` of all rows as a PostgreSQL array: {1,2}. */
void alert_numbers(const PGresult *rows, char *text, size_t cap);

#endif
