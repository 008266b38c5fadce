/* Each reading uses a new client: a client that gets the same partitions again may deliver the
 * end that an earlier fetch has found.
 *
 * glibc keeps the memory of a client's threads for later threads: several MiB after a reading. The
 * trim returns it to the system. */
#include "kafka/topic_reader.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>

#include "base/memory.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_error.h"
#include "kafka/kafka_record.h"
#include "kafka/kafka_topic.h"
#include "service/health.h"
#include "service/monotime.h"
#include "service/stop.h"
#include "stream/outbox.h"

#define POLL_MS            100
#define CALL_TIMEOUT_MS    10000
#define DESTROY_TIMEOUT_MS 10000

struct progress {
	int64_t *position; /* per partition: the next offset */
	int64_t moved_us;
	bool done;
};

static bool is_read(const struct topic_reading *reading, const struct progress *progress)
{
	for (int32_t p = 0; p < reading->partition_count; p++)
		if (progress->position[p] < reading->to[p])
			return false;
	return true;
}

/* librdkafka retries all errors except these two. If it does not succeed, the silence ends the
 * reading. */
static bool is_retriable(const struct topic_reading *reading, const rd_kafka_message_t *message,
                         struct err *err)
{
	if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
		return err_set(err, ERR_RETRY,
		               "reading %s/%" PRId32
		               ": retention has just removed records that were to be read",
		               reading->topic, message->partition);
	return kafka_err_class(message->err) != ERR_OPERATOR ||
	       err_set(err, ERR_OPERATOR, "reading %s/%" PRId32 ": %s", reading->topic,
	               message->partition, kafka_err_text(message->err));
}

static bool take_message(const struct topic_reading *reading, const rd_kafka_message_t *message,
                         struct progress *progress, struct err *err)
{
	int64_t next = message->offset + !message->err;
	struct header headers[KAFKA_HEADERS_MAX];
	struct input_record record;
	bool ok = true;

	if (message->err && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
		return is_retriable(reading, message, err);
	if (!message->err && message->offset < reading->to[message->partition]) {
		record = kafka_record(message, headers);
		ok = reading->take(reading->context, &record, &progress->done, err);
	}
	if (next > progress->position[message->partition]) {
		progress->position[message->partition] = next;
		progress->moved_us = monotonic_us(); /* read after `take`, which may wait */
	}
	return ok;
}

static bool not_reached(const struct topic_reading *reading, const struct progress *progress,
                        struct err *err)
{
	int32_t p = 0;

	while (progress->position[p] >= reading->to[p])
		p++;
	return err_set(err, ERR_RETRY,
	               "reading %s/%" PRId32 ": no record for %d s at offset %" PRId64
	               "; expected records up to offset %" PRId64,
	               reading->topic, p, reading->silence_ms / 1000, progress->position[p],
	               reading->to[p]);
}

static bool poll_records(rd_kafka_t *reader, const struct topic_reading *reading,
                         struct progress *progress, struct err *err)
{
	bool ok = true;

	while (ok && !progress->done && !is_read(reading, progress)) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, POLL_MS);

		health_alive();
		if (service_stopping())
			ok = err_set(err, ERR_RETRY, "reading %s: stopped by a signal",
			             reading->topic);
		else if (message)
			ok = take_message(reading, message, progress, err);
		else if (monotonic_us() - progress->moved_us > reading->silence_ms * INT64_C(1000))
			ok = not_reached(reading, progress, err);
		if (message)
			rd_kafka_message_destroy(message);
	}
	return ok;
}

static rd_kafka_t *reader_new(const struct kafka_config *config, const char *isolation,
                              struct err *err)
{
	/* librdkafka requires a group.id, although this client joins no group. Statistics are
	 * off: they are for long-lived clients. */
	const char *const extra[] = {
		"group.id", "reader", "isolation.level", isolation, "statistics.interval.ms",
		"0",        NULL};
	rd_kafka_conf_t *conf = kafka_conf_new(config, KAFKA_CONSUMER, "reader", extra, err);

	return conf ? kafka_client_new(conf, KAFKA_CONSUMER, err) : NULL;
}

bool topic_read(const struct kafka_config *config, const struct topic_reading *reading,
                struct err *err)
{
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new(reading->partition_count);
	struct progress progress = {xrealloc(NULL,
	                                     (size_t)reading->partition_count * sizeof(int64_t)),
	                            monotonic_us(), false};
	rd_kafka_t *reader = NULL;
	rd_kafka_resp_err_t code;
	bool ok;

	for (int32_t p = 0; p < reading->partition_count; p++) {
		progress.position[p] = reading->from[p];
		if (reading->from[p] < reading->to[p])
			rd_kafka_topic_partition_list_add(list, reading->topic, p)->offset =
				reading->from[p];
	}
	ok = list->cnt == 0 || (reader = reader_new(config, "read_committed", err));
	if (reader) {
		code = rd_kafka_assign(reader, list);
		ok = code ? err_set(err, ERR_FATAL, "cannot assign partitions: %s",
		                    kafka_err_text(code))
		          : poll_records(reader, reading, &progress, err);
		ok = kafka_destroy_within(reader, DESTROY_TIMEOUT_MS, err) && ok;
		malloc_trim(0);
	}
	rd_kafka_topic_partition_list_destroy(list);
	free(progress.position);
	return ok;
}

bool topic_read_all(const struct kafka_config *config, rd_kafka_t *client,
                    const struct topic_reading *reading, struct err *err)
{
	struct topic_reading all = *reading;
	int64_t *from, *to;
	bool ok = true;

	if (!all.partition_count &&
	    !kafka_partition_count(client, all.topic, CALL_TIMEOUT_MS, &all.partition_count, err))
		return false;
	from = xrealloc(NULL, (size_t)all.partition_count * 2 * sizeof(*from));
	all.from = from;
	all.to = to = from + all.partition_count;
	for (int32_t p = 0; ok && p < all.partition_count; p++)
		ok = kafka_offset_range(client, all.topic, p, CALL_TIMEOUT_MS, &from[p], &to[p],
		                        err);
	for (int32_t p = 0; ok && all.deleted && p < all.partition_count; p++)
		*all.deleted |= from[p] > 0;
	ok = ok && topic_read(config, &all, err);
	free(from);
	return ok;
}

bool topic_range_with_open(const struct kafka_config *config, const char *topic, int32_t partition,
                           int timeout_ms, int64_t *low, int64_t *end, struct err *err)
{
	rd_kafka_t *client = reader_new(config, "read_uncommitted", err);
	bool ok = client && kafka_offset_range(client, topic, partition, timeout_ms, low, end, err);

	return (!client || kafka_destroy_within(client, DESTROY_TIMEOUT_MS, err)) && ok;
}
