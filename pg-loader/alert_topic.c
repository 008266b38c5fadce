/*   CLOSED --rows--> INITIALISING --> READING --> SENDING --> COMMITTING --> OPEN --rows--> SENDING
 *
 * The transactional calls of librdkafka wait for the broker. They get a short time here, and after
 * a time-out the same call is made again, which librdkafka allows. So a step takes 20 ms at most.
 *
 * Every failure, and every doubt about an answer (txn_doubt.h), closes the producer. The next rows
 * then begin with a new producer that reads the topic again.
 *
 * The topic is read from its beginning: retention keeps it small, and no offset is stored that
 * could be wrong.
 *
 * Limits: creating and destroying clients is not counted in the 20 ms. If the topic is created
 * again, openings that are marked are not sent again. */
#include "alert_topic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_error.h"
#include "kafka/txn_doubt.h"
#include "service/log.h"
#include "wire/frame.h"
#include "wire/topics.h"

#define ROWS_MAX           100
#define CALL_MS            20
#define DESTROY_TIMEOUT_MS 2000
#define READ_PER_STEP      1000
#define TEXT(of)           #of
#define LIMIT(of)          TEXT(of)

static const char pending_sql[] =
	"SELECT number, alert_id, state, rule, metric, subject, compared_with, direction, bound,"
	" limit_value, value, value_before, volume,"
	" (extract(epoch FROM met_since) * 1000000)::bigint AS met_since,"
	" (extract(epoch FROM opened_at) * 1000000)::bigint AS opened_at,"
	" (extract(epoch FROM closed_at) * 1000000)::bigint AS closed_at, closed_value, closed_by"
	" FROM processed.alerts_to_send WHERE topic_sent_at IS NULL"
	" ORDER BY number LIMIT " LIMIT(ROWS_MAX);

struct alert_topic {
	const struct kafka_config *config;
	struct registry *registry;
	int32_t schema_id;
	char topic[TOPIC_NAME_MAX + 1];
	enum { CLOSED, INITIALISING, READING, SENDING, COMMITTING, OPEN } phase;
	rd_kafka_t *producer, *reader;
	struct txn_doubt *doubt;
	const PGresult *rows;
	bool found[ROWS_MAX]; /* the topic has the record of this row */
	struct buffer value;
};

/* ---- rows */

static struct span text_at(const PGresult *rows, int row, const char *column)
{
	int number = PQfnumber(rows, column);

	if (PQgetisnull(rows, row, number))
		return SPAN_NULL;
	return (struct span){PQgetvalue(rows, row, number), (size_t)PQgetlength(rows, row, number)};
}

static int64_t number_at(const PGresult *rows, int row, const char *column)
{
	struct span text = text_at(rows, row, column);

	return text.at ? strtoll(text.at, NULL, 10) : 0;
}

struct alert alert_of_row(const PGresult *rows, int row)
{
	return (struct alert){
		.alert_id = text_at(rows, row, "alert_id"),
		.state = text_at(rows, row, "state"),
		.rule = text_at(rows, row, "rule"),
		.metric = text_at(rows, row, "metric"),
		.subject = text_at(rows, row, "subject"),
		.compared_with = text_at(rows, row, "compared_with"),
		.direction = text_at(rows, row, "direction"),
		.bound = text_at(rows, row, "bound"),
		.limit_value = text_at(rows, row, "limit_value"),
		.value = text_at(rows, row, "value"),
		.value_before = text_at(rows, row, "value_before"),
		.volume = text_at(rows, row, "volume"),
		.met_since_us = number_at(rows, row, "met_since"),
		.opened_at_us = number_at(rows, row, "opened_at"),
		.is_closed = text_at(rows, row, "closed_at").at != NULL,
		.closed_at_us = number_at(rows, row, "closed_at"),
		.closed_value = text_at(rows, row, "closed_value"),
		.closed_by = text_at(rows, row, "closed_by"),
	};
}

/* ---- clients */

static void close_clients(struct alert_topic *topic)
{
	struct err err;

	kafka_consumer_end(topic->reader);
	topic->reader = NULL;
	/* A client that does not end still uses the count: leak it. */
	if (!topic->producer || kafka_destroy_within(topic->producer, DESTROY_TIMEOUT_MS, &err))
		txn_doubt_free(topic->doubt);
	else
		log_warn("kafka_client_abandoned", log_str("role", "alerts"),
		         log_str("error", err.message));
	topic->producer = NULL;
	topic->doubt = NULL;
	topic->phase = CLOSED;
}

static bool open_producer(struct alert_topic *topic, struct err *err)
{
	char id[TOPIC_NAME_MAX + 16];
	const char *extra[] = {"transactional.id", id, "transaction.timeout.ms", "60000", NULL};
	rd_kafka_conf_t *conf;

	snprintf(id, sizeof(id), "%spg-loader-alerts", topic->config->topic_prefix);
	conf = kafka_conf_new(topic->config, KAFKA_PRODUCER_TRANSACTIONAL, "pg-loader-alerts",
	                      extra, err);
	if (!conf)
		return false;
	topic->doubt = txn_doubt_new();
	topic->producer = txn_doubt_client_new(topic->doubt, conf, err);
	return topic->producer != NULL;
}

static bool open_reader(struct alert_topic *topic, struct err *err)
{
	const char *const extra[] = {"group.id", "reader", "statistics.interval.ms", "0", NULL};
	rd_kafka_conf_t *conf =
		kafka_conf_new(topic->config, KAFKA_CONSUMER, "pg-loader-alerts", extra, err);
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_resp_err_t code;

	if (!conf || !(topic->reader = kafka_client_new(conf, KAFKA_CONSUMER, err)))
		return false;
	list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(list, topic->topic, 0)->offset =
		RD_KAFKA_OFFSET_BEGINNING;
	code = rd_kafka_assign(topic->reader, list);
	rd_kafka_topic_partition_list_destroy(list);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
	       err_set(err, ERR_RETRY, "cannot read topic %s: %s", topic->topic,
	               kafka_err_text(code));
}

/* ---- what the topic has */

static void note_record(struct alert_topic *topic, const rd_kafka_message_t *message)
{
	struct span value = {message->payload, message->len}, body;
	struct alert alert;
	int32_t id;

	if (frame_parse(value, &id, &body) != FRAME_ID || !alert_decode(body, &alert, NULL))
		return; /* not a record of a sender */
	for (int row = 0; row < PQntuples(topic->rows); row++)
		if (span_equal(text_at(topic->rows, row, "alert_id"), alert.alert_id) &&
		    span_equal(text_at(topic->rows, row, "state"), alert.state))
			topic->found[row] = true;
}

/* A reader that got no message for an error of one broker goes on: librdkafka retries. */
static bool take_message(struct alert_topic *topic, const rd_kafka_message_t *message, bool *at_end,
                         struct err *err)
{
	*at_end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
	if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
		note_record(topic, message);
	else if (message->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
	         message->err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
	         message->err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
		return err_set(err, ERR_OPERATOR, "topic %s does not exist: run \"topics create\"",
		               topic->topic);
	else if (kafka_err_missing_right(message->err))
		return err_set(err, ERR_OPERATOR, "cannot read topic %s: %s", topic->topic,
		               kafka_err_text(message->err));
	return true;
}

static bool read_topic(struct alert_topic *topic, struct err *err)
{
	bool at_end = false, ok = true;

	for (int i = 0; ok && !at_end && i < READ_PER_STEP; i++) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(topic->reader, 0);

		if (!message)
			return true;
		ok = take_message(topic, message, &at_end, err);
		rd_kafka_message_destroy(message);
	}
	if (!ok || !at_end)
		return ok;
	kafka_consumer_end(topic->reader);
	topic->reader = NULL;
	topic->phase = SENDING;
	return true;
}

/* ---- the transaction */

static bool produce_row(struct alert_topic *topic, int row, struct err *err)
{
	struct alert alert = alert_of_row(topic->rows, row);
	rd_kafka_resp_err_t code;

	topic->value.len = 0;
	alert_encode(&topic->value, topic->schema_id, &alert);
	code = rd_kafka_producev(topic->producer, RD_KAFKA_V_TOPIC(topic->topic),
	                         RD_KAFKA_V_PARTITION(0),
	                         RD_KAFKA_V_KEY(alert.rule.at, alert.rule.len),
	                         RD_KAFKA_V_VALUE(topic->value.at, topic->value.len),
	                         RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
	       err_set(err, ERR_RETRY, "cannot write to topic %s: %s", topic->topic,
	               kafka_err_text(code));
}

static bool send_rows(struct alert_topic *topic, struct err *err)
{
	int produced = 0;

	for (int row = 0; row < PQntuples(topic->rows); row++) {
		rd_kafka_error_t *error = NULL;

		if (topic->found[row])
			continue;
		if (produced++ == 0)
			error = rd_kafka_begin_transaction(topic->producer);
		if (error)
			return kafka_err_take(err, error, "begin transaction");
		if (!produce_row(topic, row, err))
			return false;
	}
	if (produced < PQntuples(topic->rows))
		log_info("alerts_found", log_str("topic", topic->topic),
		         log_int("records", PQntuples(topic->rows) - produced),
		         log_str("detail",
		                 "these were sent by a sender that ended before it stored that"));
	topic->phase = produced > 0 ? COMMITTING : OPEN;
	return true;
}

/* Makes a transactional call. A time-out means: call again. */
static bool finish(rd_kafka_error_t *error, const char *call, bool *done, struct err *err)
{
	*done = error == NULL;
	if (error && rd_kafka_error_is_retriable(error)) {
		rd_kafka_error_destroy(error);
		return true;
	}
	return *done || kafka_err_take(err, error, call);
}

static bool initialise(struct alert_topic *topic, struct err *err)
{
	bool done;

	if (!finish(rd_kafka_init_transactions(topic->producer, CALL_MS), "init transactions",
	            &done, err))
		return false;
	if (done && !open_reader(topic, err))
		return false;
	if (done)
		topic->phase = READING;
	return true;
}

static bool commit(struct alert_topic *topic, struct err *err)
{
	bool done;

	if (!finish(rd_kafka_commit_transaction(topic->producer, CALL_MS), "commit transaction",
	            &done, err))
		return false;
	if (done)
		topic->phase = OPEN;
	return true;
}

/* ---- the channel */

static bool prepare(void *self, struct err *err)
{
	struct alert_topic *topic = self;

	return registry_register(topic->registry, topic->config->topic_prefix, SCHEMA_ALERT,
	                         &topic->schema_id, err);
}

static bool start(void *self, const PGresult *rows, struct err *err)
{
	struct alert_topic *topic = self;

	topic->rows = rows;
	memset(topic->found, 0, sizeof(topic->found));
	topic->phase = topic->producer ? SENDING : INITIALISING;
	return topic->producer || open_producer(topic, err);
}

static enum alert_progress step(void *self, struct err *err)
{
	struct alert_topic *topic = self;
	bool ok = true;

	switch (topic->phase) {
	case INITIALISING: ok = initialise(topic, err); break;
	case READING: ok = read_topic(topic, err); break;
	case SENDING: ok = send_rows(topic, err); break;
	case COMMITTING: ok = commit(topic, err); break;
	case CLOSED:
	case OPEN: break;
	}
	if (!ok)
		return ALERT_FAILED;
	if (topic->phase != OPEN)
		return ALERT_BUSY;
	if (txn_doubt_replaces(topic->doubt))
		close_clients(topic);
	return ALERT_SENT;
}

static void mark(void *self, char *sql, size_t cap)
{
	struct alert_topic *topic = self;
	char numbers[ROWS_MAX * 21 + 2];

	alert_numbers(topic->rows, numbers, sizeof(numbers));
	snprintf(sql, cap,
	         "UPDATE processed.alert_outbox SET topic_sent_at = now()"
	         " WHERE number = ANY ('%s') AND topic_sent_at IS NULL",
	         numbers);
}

static void reset(void *self)
{
	close_clients(self);
}

static void free_topic(void *self)
{
	struct alert_topic *topic = self;

	close_clients(topic);
	buffer_free(&topic->value);
	free(topic);
}

struct alert_channel alert_topic_channel(const struct kafka_config *config,
                                         struct registry *registry)
{
	struct alert_topic *topic = xzalloc(1, sizeof(*topic));

	topic->config = config;
	topic->registry = registry;
	snprintf(topic->topic, sizeof(topic->topic), "%s%s", config->topic_prefix,
	         topic_of(TOPIC_ALERTS)->suffix);
	return (struct alert_channel){
		.receiver = "topic",
		.lock = "funnel alerts topic",
		.pending = pending_sql,
		.self = topic,
		.prepare = prepare,
		.start = start,
		.step = step,
		.mark = mark,
		.reset = reset,
		.free = free_topic,
	};
}
