/* Topics between two offsets, and what can be seen of bronze-sink's clocks from outside. */
#include <inttypes.h>
#include <stdlib.h>

#include "metrics.h"
#include "redrive_internal.h"
#include "table.h"
#include "task.h"
#include "timetext.h"

#define QUIET_LIMIT_US (120 * US_PER_SECOND) /* a read that gets nothing for so long gives up */
#define TAIL_RECORDS 2000                    /* of a bronze partition, to know its clock */

rd_kafka_t *redrive_client(struct redrive *redrive, enum kafka_role role, const char *const *extra, struct err *err)
{
	rd_kafka_conf_t *conf = kafka_conf_new(&redrive->config->kafka, role, "redrive", extra, err);

	return conf ? kafka_client_new(conf, role, err) : NULL;
}

void redrive_client_close(rd_kafka_t *client)
{
	if (client && rd_kafka_type(client) == RD_KAFKA_CONSUMER)
		rd_kafka_consumer_close(client);
	if (client)
		rd_kafka_destroy(client);
}

bool redrive_bounds(struct redrive *redrive, const char *topic, int32_t partition, int64_t *low, int64_t *high, struct err *err)
{
	rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(redrive->looker, topic, partition, low, high, REDRIVE_CALL_MS);

	return !code || err_set(err, ERR_RETRY, "offsets of %s/%" PRId32 ": %s", topic, partition, rd_kafka_err2str(code));
}

struct reading {
	const char *topic;
	const int64_t *from, *to;
	int64_t *position;
	int32_t partitions;
	bool (*take)(struct redrive *redrive, const struct input_record *record, struct err *err);
};

static bool is_read(const struct reading *reading)
{
	for (int32_t p = 0; p < reading->partitions; p++)
		if (reading->position[p] < reading->to[p])
			return false;
	return true;
}

static bool take_message(struct redrive *redrive, const struct reading *reading, const rd_kafka_message_t *message, struct err *err)
{
	struct header headers[REDRIVE_HEADERS_MAX];
	struct input_record record = {.topic = span_of(reading->topic),
	                              .offset = message->offset,
	                              .timestamp_ms = rd_kafka_message_timestamp(message, NULL),
	                              .partition = message->partition,
	                              .key = {message->key, message->key_len},
	                              .value = {message->payload, message->len},
	                              .headers = headers};
	rd_kafka_headers_t *list;
	const char *name;
	const void *value;
	size_t size;

	if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
		return err_set(err, ERR_RETRY, "%s: retention has just removed what was to be read: run it again", reading->topic);
	if (message->err && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
		return true; /* librdkafka tries again by itself; a long silence ends the read */
	if (message->offset + !message->err > reading->position[message->partition])
		reading->position[message->partition] = message->offset + !message->err;
	if (message->err || message->offset >= reading->to[message->partition])
		return true;
	if (rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR)
		while (record.header_count < REDRIVE_HEADERS_MAX && !rd_kafka_header_get_all(list, record.header_count, &name, &value, &size))
			headers[record.header_count++] = (struct header){span_of(name), {value, size}};
	return reading->take(redrive, &record, err);
}

static bool read_on(struct redrive *redrive, const struct reading *reading, struct err *err)
{
	int64_t quiet_since_us = monotonic_us();
	bool ok = true;

	while (ok && !is_read(reading)) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(redrive->reader, REDRIVE_POLL_MS);

		health_alive();
		if (service_stopping())
			ok = err_set(err, ERR_RETRY, "stopped by a signal; %" PRId64 " were sent, run it again for the rest", redrive->sent);
		else if (message)
			ok = take_message(redrive, reading, message, err);
		else if (monotonic_us() - quiet_since_us > QUIET_LIMIT_US)
			ok = err_set(err, ERR_RETRY, "%s: nothing came for two minutes, and its end is not reached", reading->topic);
		if (message) {
			quiet_since_us = monotonic_us();
			rd_kafka_message_destroy(message);
		}
	}
	return ok;
}

/* Reads a topic between two offsets per partition, and shows every committed record to `take`. Each time with a client of its own: one
 * that is assigned the same partitions again may deliver from a fetch of the time before, and we would take that for the end. */
bool redrive_read(struct redrive *redrive, const char *topic, int32_t partitions, const int64_t *from, const int64_t *to,
                       bool (*take)(struct redrive *, const struct input_record *, struct err *), struct err *err)
{
	struct reading reading = {topic, from, to, xrealloc(NULL, (size_t)partitions * sizeof(int64_t)), partitions, take};
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
	const char *const extra[] = {"group.id", "redrive", NULL}; /* must be there, and is of no use: nothing is joined or committed */
	rd_kafka_resp_err_t code;
	bool ok;

	redrive->reader = redrive_client(redrive, KAFKA_CONSUMER, extra, err);
	for (int32_t p = 0; p < partitions; p++) {
		reading.position[p] = from[p];
		if (from[p] < to[p])
			rd_kafka_topic_partition_list_add(list, topic, p)->offset = from[p];
	}
	code = redrive->reader ? rd_kafka_assign(redrive->reader, list) : RD_KAFKA_RESP_ERR_NO_ERROR;
	ok = code ? err_set(err, ERR_FATAL, "assign: %s", rd_kafka_err2str(code)) : redrive->reader && read_on(redrive, &reading, err);
	redrive_client_close(redrive->reader);
	redrive->reader = NULL;
	rd_kafka_topic_partition_list_destroy(list);
	free(reading.position);
	return ok;
}

/* ---- the clocks */

static bool take_bronze(struct redrive *redrive, const struct input_record *record, struct err *err)
{
	struct partition_clock *clock = &redrive->clocks[record->partition];
	struct control control = control_read(record);
	struct bronze_event bronze;
	enum reason reason = REASON_NONE;
	struct span body;

	if (control.kind == CONTROL_BEGIN || control.kind == CONTROL_JUMP)
		clock_control(clock, control.event_time_us, record->timestamp_ms * 1000);
	if (!record->value.at)
		return true;
	if (!frame_opener_open(redrive->opener, record->value, &body, &reason, NULL, 0, err))
		return false;
	if (reason == REASON_NONE && bronze_decode(body, &bronze, NULL))
		clock_event(clock, bronze.event.event_time_us, bronze.event.user_id);
	return true;
}

/* A clock that knows nothing takes the first event's time, as an empty partition's does; one in the middle of a log must not:
 * 1970 stands for "nothing known" while the tail is read. */
static void clock_before_tail(struct partition_clock *clock, const char *header)
{
	if (!clock_parse(span_of(header), clock))
		clock_init(clock);
	if (clock_now(clock) == CLOCK_NONE)
		clock->control_us = 0;
}

static bool look_at_sink(struct redrive *redrive, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(redrive->raw_partitions);
	rd_kafka_resp_err_t code;

	rd_kafka_topic_partition_list_add_range(list, redrive->raw, 0, redrive->raw_partitions - 1);
	code = rd_kafka_committed(redrive->looker, list, REDRIVE_CALL_MS);
	for (int i = 0; !code && i < list->cnt; i++) {
		char meaning[TASK_MEANING_MAX] = "", header[FOLD_HEADER_MAX] = "";
		struct span metadata = {list->elems[i].metadata, list->elems[i].metadata_size};

		if (metadata.at && task_metadata_look(metadata, meaning, header))
			redrive->terms.horizon_us = redrive_horizon(meaning);
		clock_before_tail(&redrive->clocks[list->elems[i].partition], header);
	}
	rd_kafka_topic_partition_list_destroy(list);
	return !code || err_set(err, ERR_RETRY, "committed offsets of bronze-sink: %s", rd_kafka_err2str(code));
}

bool redrive_read_clocks(struct redrive *redrive, struct err *err)
{
	int64_t *from = xrealloc(NULL, (size_t)redrive->raw_partitions * 2 * sizeof(*from)), *to = from + redrive->raw_partitions;
	bool ok;

	redrive->clocks = xrealloc(NULL, (size_t)redrive->raw_partitions * sizeof(*redrive->clocks));
	redrive->terms.clocks = redrive->clocks;
	ok = look_at_sink(redrive, err);
	for (int32_t p = 0; ok && p < redrive->raw_partitions; p++) {
		ok = redrive_bounds(redrive, redrive->bronze, p, &from[p], &to[p], err);
		if (ok && to[p] - from[p] > TAIL_RECORDS)
			from[p] = to[p] - TAIL_RECORDS;
	}
	ok = ok && redrive_read(redrive, redrive->bronze, redrive->raw_partitions, from, to, take_bronze, err);
	for (int32_t p = 0; ok && p < redrive->raw_partitions; p++)
		if (clock_now(&redrive->clocks[p]) == 0)
			clock_init(&redrive->clocks[p]);
	free(from);
	return ok;
}
