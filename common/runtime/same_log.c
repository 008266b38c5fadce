/* A client of its own for each question: one that is assigned a partition again may deliver from a fetch of the time before, which would be
 * the old log. It fetches one batch of each partition, however many records follow. On a local broker that takes a few milliseconds.
 *
 * Limit: below the log's start nothing can be compared, so a log whose marked record was deleted (retention, DeleteRecords) passes. */
#include "same_log.h"

#include <inttypes.h>
#include <stdlib.h>

#include "metrics.h"
#include "service.h"
#include "table.h"

#define POLL_MS 100
#define ANSWER_US INT64_C(5000000) /* nobody polls the group's consumer meanwhile */
#define CALL_TIMEOUT_MS 5000
#define DESTROY_TIMEOUT_MS 10000

struct look {
	rd_kafka_t *client;
	const char *topic;
	int32_t partition_count, open_count; /* open: no answer yet */
	const struct record_mark *marks;
	bool *answered;
};

static bool another_record(const struct look *look, int32_t partition, struct err *err)
{
	return err_set(err, ERR_REFUSE,
	               "%s/%" PRId32 ": offset %" PRId64 " does not hold the record that was read there: the topic was deleted and created again; " WAY_ON_FRESH_SET,
	               look->topic, partition, look->marks[partition].offset);
}

/* The marked record is not in the log: deleted from its start, as retention does, or never there. */
static bool missing(const struct look *look, int32_t partition, struct err *err)
{
	int64_t low, high, offset = look->marks[partition].offset;

	if (!kafka_bounds(look->client, look->topic, partition, CALL_TIMEOUT_MS, &low, &high, err))
		return false;
	if (low > offset)
		return true;
	return high > offset ? another_record(look, partition, err) : same_log_out_of_range(look->client, look->topic, partition, offset + 1, err);
}

static bool take(struct look *look, const rd_kafka_message_t *message, struct err *err)
{
	const struct record_mark *want = &look->marks[message->partition];
	struct record_mark found;

	if (message->err && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF && message->err != RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
		return !kafka_err_missing_right(message->err) ||
		       err_set(err, ERR_REFUSE, "reading %s/%" PRId32 ": %s", look->topic, message->partition, rd_kafka_err2str(message->err));
	if (look->answered[message->partition])
		return true; /* what follows the marked record */
	look->answered[message->partition] = true;
	look->open_count--;
	if (message->err || message->offset != want->offset)
		return missing(look, message->partition, err);
	found = record_mark_of(message->offset, kafka_time_ms(message), (struct span){message->key, message->key_len},
	                       (struct span){message->payload, message->len});
	return record_mark_equal(&found, want) || another_record(look, message->partition, err);
}

static bool look_at_all(struct look *look, struct err *err)
{
	int64_t until_us = monotonic_us() + ANSWER_US;
	bool ok = true;

	while (ok && look->open_count > 0) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(look->client, POLL_MS);

		health_alive();
		if (message && message->rkt && message->partition >= 0 && message->partition < look->partition_count)
			ok = take(look, message, err);
		if (message)
			rd_kafka_message_destroy(message);
		else if (monotonic_us() > until_us)
			ok = err_set(err, ERR_RETRY, "whether %s is still the log that was read: the broker has not answered in %" PRId64 " s", look->topic,
			             ANSWER_US / 1000000);
	}
	return ok;
}

static rd_kafka_t *client_new(const struct kafka_config *config, struct err *err)
{
	/* A group must be named, and is never joined. A fetch gives a batch at least, and no more than that is wanted. */
	const char *const extra[] = {"group.id", "reader", "statistics.interval.ms", "0", "fetch.message.max.bytes", "1", "queued.min.messages", "1", NULL};
	rd_kafka_conf_t *conf = kafka_conf_new(config, KAFKA_CONSUMER, "reader", extra, err);

	return conf ? kafka_client_new(conf, KAFKA_CONSUMER, err) : NULL;
}

bool same_log(const struct kafka_config *config, const char *topic, int32_t partition_count, const struct record_mark *marks, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partition_count);
	struct look look = {.topic = topic, .partition_count = partition_count, .marks = marks};
	bool ok = true;

	look.answered = xrealloc(NULL, (size_t)partition_count * sizeof(*look.answered));
	for (int32_t p = 0; p < partition_count; p++) {
		look.answered[p] = marks[p].offset < 0;
		if (!look.answered[p])
			rd_kafka_topic_partition_list_add(list, topic, p)->offset = marks[p].offset;
	}
	look.open_count = list->cnt;
	ok = look.open_count == 0 || (look.client = client_new(config, err));
	if (look.client) {
		rd_kafka_resp_err_t code = rd_kafka_assign(look.client, list);

		ok = code ? err_set(err, ERR_FATAL, "assign: %s", rd_kafka_err2str(code)) : look_at_all(&look, err);
		ok = kafka_destroy_within(look.client, DESTROY_TIMEOUT_MS, err) && ok;
	}
	rd_kafka_topic_partition_list_destroy(list);
	free(look.answered);
	return ok;
}

bool same_log_out_of_range(rd_kafka_t *client, const char *topic, int32_t partition, int64_t position, struct err *err)
{
	int64_t low, high;

	if (!kafka_bounds(client, topic, partition, CALL_TIMEOUT_MS, &low, &high, err))
		return false;
	if (position < low)
		return err_set(err, ERR_REFUSE,
		               "%s/%" PRId32 ": offset %" PRId64 " was to be read next, and the log begins at %" PRId64
		               ": retention has removed records that were never read; give the topic a longer retention.ms; " WAY_ON_FRESH_SET,
		               topic, partition, position, low);
	/* A log that has the offset by now has grown since it was asked, and only a new one was shorter than what was read. */
	return err_set(err, ERR_REFUSE,
	               "%s/%" PRId32 ": everything below offset %" PRId64 " was read, and the log ended before that (at %" PRId64
	               " now): the topic was deleted and created again, or the broker has lost records; " WAY_ON_FRESH_SET,
	               topic, partition, position, high);
}
