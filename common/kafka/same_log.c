/* Each check uses a new client, because a client that gets a partition again may deliver records
 * of an earlier fetch, and so of the old log. A partition is paused after its first record, so
 * that its further records do not delay the others.
 *
 * Limit: if the marked record was deleted from the log's start (retention, DeleteRecords), the
 * log passes. */
#include "kafka/same_log.h"

#include <inttypes.h>
#include <string.h>

#include "base/span.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_error.h"
#include "kafka/kafka_record.h"
#include "kafka/kafka_topic.h"
#include "service/health.h"
#include "service/monotime.h"

#define POLL_MS            100
#define ANSWER_US          INT64_C(5000000) /* the group's consumer is not polled meanwhile */
#define CALL_TIMEOUT_MS    5000
#define DESTROY_TIMEOUT_MS 10000

static bool another_record(const struct log_check *check, struct err *err)
{
	return err_set(
		err, ERR_OPERATOR,
		"%s/%" PRId32 ": offset %" PRId64
		" does not hold the record that was read there: the topic was deleted and created "
		"again; " ERR_ADVICE_FRESH_SET,
		check->topic, check->partition, check->mark.offset);
}

/* The marked record is not in the log: it was deleted from the log's start (retention), compacted
 * away, or was never there. */
static bool missing(rd_kafka_t *client, const struct log_check *check, struct err *err)
{
	int64_t low, high, offset = check->mark.offset;

	if (!kafka_offset_range(client, check->topic, check->partition, CALL_TIMEOUT_MS, &low,
	                        &high, err))
		return false;
	if (low > offset)
		return true;
	if (high > offset)
		return check->compacted || another_record(check, err);
	return same_log_out_of_range(client, check->topic, check->partition, offset + 1, err);
}

static bool check_message(rd_kafka_t *client, const struct log_check *check,
                          const rd_kafka_message_t *message, struct err *err)
{
	struct record_mark found;

	if (message->err || message->offset != check->mark.offset)
		return missing(client, check, err);
	found = record_mark_of(message->offset, kafka_time_ms(message),
	                       (struct span){message->key, message->key_len},
	                       (struct span){message->payload, message->len});
	return record_mark_equal(&found, &check->mark) || another_record(check, err);
}

static struct log_check *find_check(struct log_check *checks, size_t count,
                                    const rd_kafka_message_t *message)
{
	for (size_t i = 0; message->rkt && i < count; i++)
		if (!checks[i].done && checks[i].partition == message->partition &&
		    strcmp(checks[i].topic, rd_kafka_topic_name(message->rkt)) == 0)
			return &checks[i];
	return NULL;
}

static void pause_partition(rd_kafka_t *client, const struct log_check *check)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

	rd_kafka_topic_partition_list_add(list, check->topic, check->partition);
	rd_kafka_pause_partitions(client, list);
	rd_kafka_topic_partition_list_destroy(list);
}

/* librdkafka retries all other errors, except a missing right. */
static bool take(rd_kafka_t *client, struct log_check *checks, size_t count,
                 const rd_kafka_message_t *message, size_t *left, struct err *err)
{
	bool answers = !message->err || message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF ||
	               message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET;
	struct log_check *check = answers ? find_check(checks, count, message) : NULL;

	if (check) {
		check->done = true;
		--*left;
		pause_partition(client, check);
		return check_message(client, check, message, err);
	}
	return !kafka_err_missing_right(message->err) ||
	       err_set(err, ERR_OPERATOR,
	               "cannot check whether a topic is still the one that was read: %s: %s",
	               rd_kafka_message_errstr(message), kafka_err_text(message->err));
}

static bool poll_all(rd_kafka_t *client, struct log_check *checks, size_t count, size_t left,
                     struct err *err)
{
	int64_t until_us = monotonic_us() + ANSWER_US;
	bool ok = true;

	while (ok && left > 0) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(client, POLL_MS);

		health_alive();
		if (message) {
			ok = take(client, checks, count, message, &left, err);
			rd_kafka_message_destroy(message);
		}
		if (ok && left > 0 && monotonic_us() > until_us)
			ok = err_set(
				err, ERR_RETRY,
				"cannot check whether the topics are still those that were read: "
				"no answer for %zu partitions within %d s",
				left, (int)(ANSWER_US / 1000000));
	}
	return ok;
}

static rd_kafka_t *client_new(const struct kafka_config *config, struct err *err)
{
	/* librdkafka requires a group.id, although this client joins no group. One record of each
	 * partition is needed. The broker returns a larger batch if it is the first of a fetch. */
	const char *const extra[] = {"group.id",
	                             "reader",
	                             "statistics.interval.ms",
	                             "0",
	                             "queued.min.messages",
	                             "1",
	                             "fetch.message.max.bytes",
	                             "65536",
	                             NULL};
	rd_kafka_conf_t *conf = kafka_conf_new(config, KAFKA_CONSUMER, "reader", extra, err);

	return conf ? kafka_client_new(conf, KAFKA_CONSUMER, err) : NULL;
}

bool same_log(const struct kafka_config *config, struct log_check *checks, size_t count,
              struct err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
	rd_kafka_t *client = NULL;
	bool ok;

	for (size_t i = 0; i < count; i++) {
		checks[i].done = checks[i].mark.offset < 0;
		if (!checks[i].done)
			rd_kafka_topic_partition_list_add(list, checks[i].topic,
			                                  checks[i].partition)
				->offset = checks[i].mark.offset;
	}
	ok = list->cnt == 0 || (client = client_new(config, err));
	if (client) {
		rd_kafka_resp_err_t code = rd_kafka_assign(client, list);

		ok = code ? err_set(err, ERR_FATAL, "cannot assign partitions: %s",
		                    rd_kafka_err2str(code))
		          : poll_all(client, checks, count, (size_t)list->cnt, err);
		ok = kafka_destroy_within(client, DESTROY_TIMEOUT_MS, err) && ok;
	}
	rd_kafka_topic_partition_list_destroy(list);
	return ok;
}

bool same_log_out_of_range(rd_kafka_t *client, const char *topic, int32_t partition,
                           int64_t position, struct err *err)
{
	int64_t low, high;

	if (!kafka_offset_range(client, topic, partition, CALL_TIMEOUT_MS, &low, &high, err))
		return false;
	/* A member that stood still may have been expelled, and does not know that yet. Its
	 * successor may have read these records, and trimmed them. */
	if (position < low)
		return err_set(err, ERR_FENCED,
		               "%s/%" PRId32 ": the next offset to read is %" PRId64
		               ", but the log begins at %" PRId64
		               ": another instance may have read these records and trimmed them, "
		               "or retention has removed them; the next start decides",
		               topic, partition, position, low);
	/* The log ended before the position when we read from it. So this is a new log, even if
	 * it has grown past the position meanwhile. */
	return err_set(err, ERR_OPERATOR,
	               "%s/%" PRId32 ": everything below offset %" PRId64
	               " was read, and the log ended before that (it ends at %" PRId64
	               " now): the topic was deleted and created again, or the broker has lost "
	               "records; " ERR_ADVICE_FRESH_SET,
	               topic, partition, position, high);
}
