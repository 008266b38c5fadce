/* librdkafka connects and reconnects by itself and reports only errors. So during an outage,
 * funnel-tail asks the brokers every two seconds whether it has ended.
 *
 * Where retention or compaction has removed the next record, reading continues with the first one
 * that is left.
 * Limits: of a record with more than 64 headers the first 64 are shown. */
#include "tail_reader.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_error.h"
#include "kafka/kafka_record.h"
#include "kafka/kafka_topic.h"
#include "service/monotime.h"
#include "service/stop.h"

#define CALL_MS        1000 /* one question; a stop request waits at most for this */
#define ANSWER_US      INT64_C(10000000)
#define ASK_AGAIN_US   INT64_C(2000000)
#define END_TIMEOUT_MS 3000

struct tail_reader {
	const struct kafka_config *config;
	rd_kafka_t *client;
	rd_kafka_message_t *message; /* of the last record */
	struct header headers[KAFKA_HEADERS_MAX];
	rd_kafka_resp_err_t code; /* the last error; only the main thread runs the callback */
	char reason[256];
	bool is_away;
	int64_t asked_us;
	char trouble[512], probe[TOPIC_NAME_MAX + 1]; /* probe: a topic to ask about */
};

static void on_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
	struct tail_reader *reader = opaque;

	(void)client;
	reader->code = (rd_kafka_resp_err_t)code;
	if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		reader->is_away = true; /* the reason of each broker came before */
	else
		snprintf(reader->reason, sizeof(reader->reason), "%s", reason);
}

struct tail_reader *tail_reader_new(const struct kafka_config *config, struct err *err)
{
	/* librdkafka requires a group.id, although this client joins no group. */
	static const char *const extra[] = {"group.id",
	                                    "funnel-tail",
	                                    "auto.offset.reset",
	                                    "earliest",
	                                    "statistics.interval.ms",
	                                    "0",
	                                    NULL};
	rd_kafka_conf_t *conf = kafka_conf_new(config, KAFKA_CONSUMER, "funnel-tail", extra, err);
	struct tail_reader *reader;

	if (!conf)
		return NULL;
	reader = xzalloc(1, sizeof(*reader));
	reader->config = config;
	rd_kafka_conf_set_opaque(conf, reader);
	rd_kafka_conf_set_error_cb(conf, on_error);
	reader->client = kafka_client_new(conf, KAFKA_CONSUMER, err);
	if (reader->client)
		return reader;
	free(reader);
	return NULL;
}

/* A client that does not end still uses the reader, so its memory is left to the process. */
void tail_reader_free(struct tail_reader *reader)
{
	struct err err;

	if (!reader)
		return;
	if (reader->message)
		rd_kafka_message_destroy(reader->message);
	if (kafka_destroy_within(reader->client, END_TIMEOUT_MS, &err))
		free(reader);
}

/* ---- topics */

/* Serves the error callback, which has the reason that a failed question lacks. Nothing is assigned
 * yet, so there is no record. */
static void serve_errors(struct tail_reader *reader)
{
	rd_kafka_message_t *message = rd_kafka_consumer_poll(reader->client, 0);

	if (message)
		rd_kafka_message_destroy(message);
}

static bool no_answer(struct tail_reader *reader, struct err *err)
{
	char why[256];

	serve_errors(reader);
	snprintf(why, sizeof(why), "%.255s", reader->reason[0] ? reader->reason : err->message);
	return err_set(err, ERR_RETRY,
	               "no answer from Kafka within %d s: expected a broker at "
	               "KAFKA_BROKERS=%s: %s",
	               (int)(ANSWER_US / 1000000), reader->config->brokers, why);
}

static bool count_partitions(struct tail_reader *reader, struct tail_topic *topic, struct err *err)
{
	int64_t until_us = monotonic_us() + ANSWER_US;

	while (!kafka_partition_count(reader->client, topic->name, CALL_MS, &topic->partitions,
	                              err)) {
		if (err->class == ERR_OPERATOR && topic->partitions < 0)
			return false; /* the brokers refuse this client */
		if (err->class == ERR_OPERATOR)
			return err_set(err, ERR_OPERATOR,
			               "topic %s does not exist: expected the topics of a set that "
			               "begin with TOPIC_PREFIX=%s; correct it, or run \"topics "
			               "create\"; if the topic does exist, the user of this "
			               "program lacks a right to it (deploy/kafka/acls)",
			               topic->name, reader->config->topic_prefix);
		serve_errors(reader);
		if (service_stopping())
			return false;
		if (monotonic_us() > until_us)
			return no_answer(reader, err);
	}
	return true;
}

static bool find_ranges(struct tail_reader *reader, struct tail_topic *topic, struct err *err)
{
	int64_t until_us = monotonic_us() + ANSWER_US;

	for (int32_t p = 0; p < topic->partitions;) {
		if (kafka_offset_range(reader->client, topic->name, p, CALL_MS, &topic->from[p],
		                       &topic->to[p], err)) {
			p++;
			continue;
		}
		if (err->class != ERR_RETRY || service_stopping())
			return false;
		if (monotonic_us() > until_us)
			return no_answer(reader, err);
	}
	return true;
}

bool tail_topic_open(struct tail_reader *reader, enum topic_id id, struct tail_topic *topic,
                     struct err *err)
{
	*topic = (struct tail_topic){.id = id};
	if (!topic_name(reader->config->topic_prefix, id, topic->name, sizeof(topic->name)))
		return err_set(err, ERR_INPUT,
		               "TOPIC_PREFIX is too long: topic names have at most %d bytes",
		               TOPIC_NAME_MAX);
	if (!count_partitions(reader, topic, err))
		return false;
	topic->from = xzalloc((size_t)topic->partitions * 2, sizeof(*topic->from));
	topic->to = topic->from + topic->partitions;
	snprintf(reader->probe, sizeof(reader->probe), "%s", topic->name);
	return find_ranges(reader, topic, err);
}

void tail_topic_close(struct tail_topic *topic)
{
	free(topic->from);
	topic->from = topic->to = NULL;
}

bool tail_topic_offsets_at(struct tail_reader *reader, const struct tail_topic *topic,
                           int64_t time_us, int64_t *offsets, struct err *err)
{
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new(topic->partitions);
	rd_kafka_resp_err_t code;

	for (int32_t p = 0; p < topic->partitions; p++)
		rd_kafka_topic_partition_list_add(list, topic->name, p)->offset =
			time_us < 0 ? 0 : time_us / 1000;
	code = rd_kafka_offsets_for_times(reader->client, list, (int)(ANSWER_US / 1000));
	for (int i = 0; !code && i < list->cnt; i++) {
		const rd_kafka_topic_partition_t *found = &list->elems[i];
		int64_t end = topic->to[found->partition];

		code = found->err;
		offsets[found->partition] =
			found->offset < 0 || found->offset > end ? end : found->offset;
	}
	rd_kafka_topic_partition_list_destroy(list);
	return !code ||
	       err_set(err, kafka_err_class(code) == ERR_OPERATOR ? ERR_OPERATOR : ERR_RETRY,
	               "offsets of %s by time: %s", topic->name, kafka_err_text(code));
}

/* ---- records */

bool tail_reader_start(struct tail_reader *reader, const struct tail_topic *topics, int count,
                       struct err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
	rd_kafka_resp_err_t code;

	for (int t = 0; t < count; t++)
		for (int32_t p = 0; p < topics[t].partitions; p++)
			rd_kafka_topic_partition_list_add(list, topics[t].name, p)->offset =
				topics[t].from[p];
	code = rd_kafka_assign(reader->client, list);
	rd_kafka_topic_partition_list_destroy(list);
	return !code ||
	       err_set(err, ERR_FATAL, "cannot assign partitions: %s", kafka_err_text(code));
}

/* librdkafka retries every error except a missing right. */
static enum tail_event take_error(const rd_kafka_message_t *message, struct err *err)
{
	if (!kafka_err_missing_right(message->err))
		return TAIL_NOTHING;
	err_set(err, ERR_OPERATOR, "reading %s: %s",
	        message->rkt ? rd_kafka_topic_name(message->rkt) : "",
	        kafka_err_text(message->err));
	return TAIL_FAILED;
}

enum tail_event tail_reader_poll(struct tail_reader *reader, int timeout_ms,
                                 struct input_record *record, struct err *err)
{
	rd_kafka_message_t *message = rd_kafka_consumer_poll(reader->client, timeout_ms);

	if (reader->message)
		rd_kafka_message_destroy(reader->message);
	reader->message = message;
	if (!message)
		return TAIL_NOTHING;
	if (message->err && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
		return take_error(message, err);
	reader->is_away = false;
	if (message->err) {
		*record = (struct input_record){.topic = span_of(rd_kafka_topic_name(message->rkt)),
		                                .partition = message->partition,
		                                .offset = message->offset};
		return TAIL_END;
	}
	*record = kafka_record(message, reader->headers);
	return TAIL_RECORD;
}

static void ask_again(struct tail_reader *reader)
{
	int64_t low, high, now_us = monotonic_us();

	if (now_us - reader->asked_us < ASK_AGAIN_US)
		return;
	reader->asked_us = now_us;
	if (rd_kafka_query_watermark_offsets(reader->client, reader->probe, 0, &low, &high, 200) ==
	    RD_KAFKA_RESP_ERR_NO_ERROR)
		reader->is_away = false;
}

const char *tail_reader_trouble(struct tail_reader *reader)
{
	if (reader->is_away)
		ask_again(reader);
	if (!reader->is_away)
		return "";
	snprintf(reader->trouble, sizeof(reader->trouble), "Kafka at %s does not answer: %s",
	         reader->config->brokers, reader->reason);
	return reader->trouble;
}
