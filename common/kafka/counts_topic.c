/* The opener asks the registry once per id (registry.h). Limit: records of an open transaction are
 * not read. */
#include "kafka/counts_topic.h"

#include "base/span.h"
#include "event/reason.h"
#include "kafka/kafka_topic.h"
#include "kafka/topic_reader.h"
#include "stream/counts_unread.h"
#include "wire/frame.h"
#include "wire/schema_loss.h"
#include "wire/topics.h"

#define CALL_TIMEOUT_MS 10000
#define QUIET_MS 20000

struct reading {
	const struct counts_topic *topic;
	const char *name;
	struct counts_unread unread;
	counts_take_fn *take;
	void *context;
};

static bool open_frame(const struct counts_topic *topic, struct span value, struct span *body,
                       enum reason *reason, struct err *err)
{
	int32_t id;

	*reason = REASON_NONE;
	if (topic->own_id && frame_open(value, &id, body) == FRAME_ID && id == topic->own_id)
		return true;
	return frame_opener_open(topic->opener, value, body, reason, NULL, 0, err);
}

static bool take_message(void *context, const rd_kafka_message_t *message, bool *enough,
                         struct err *err)
{
	struct reading *reading = context;
	struct span key = {message->key, message->key_len}, value = {message->payload, message->len},
				body = SPAN_NULL;
	struct schema_place place =
		schema_place_of(reading->name, message->partition, message->offset, value);
	struct counts_record record;
	enum reason reason;
	int64_t unknown_dead;

	(void)enough;
	if (!open_frame(reading->topic, value, &body, &reason, err))
		return false;
	counts_unread_note(&reading->unread, reading->topic->kafka->topic_prefix, key, &place, reason);
	if (reason == REASON_NONE && reading->take && counts_decode(body, &record, &unknown_dead, NULL))
		reading->take(reading->context, &record);
	return true;
}

bool counts_topic_read(const struct counts_topic *topic, counts_take_fn *take, void *context,
                       struct err *err)
{
	char name[TOPIC_NAME_MAX + 1];
	struct reading reading = {.topic = topic, .name = name, .take = take, .context = context};
	int64_t from[1], to[1];

	if (!topic_name(topic->kafka->topic_prefix, TOPIC_COUNTS, name, sizeof(name)))
		return err_set(err, ERR_FATAL, "the topic prefix is too long");
	return kafka_bounds(topic->client, name, 0, CALL_TIMEOUT_MS, &from[0], &to[0], err) &&
	       topic_read(topic->kafka,
	                  &(struct topic_reading){name, 1, from, to, QUIET_MS, take_message, &reading},
	                  err) &&
	       counts_unread_none(&reading.unread, name, err);
}
