/* The decoder asks the registry once per id. */
#include "kafka/counts_topic.h"

#include "base/span.h"
#include "event/reason.h"
#include "kafka/topic_reader.h"
#include "stream/record.h"
#include "stream/unreadable_counts.h"
#include "wire/frame.h"
#include "wire/schema_loss.h"
#include "wire/topics.h"

#define CALL_TIMEOUT_MS 10000
#define SILENCE_MS      20000

struct reading {
	const struct counts_topic *topic;
	const char *name;
	struct unreadable_counts unread;
	counts_take_fn *take;
	void *context;
};

static bool decode_frame(const struct counts_topic *topic, struct span value, struct span *body,
                         enum reason *reason, struct err *err)
{
	int32_t id;

	*reason = REASON_NONE;
	if (topic->own_id && frame_parse(value, &id, body) == FRAME_ID && id == topic->own_id)
		return true;
	return frame_decode(topic->decoder, value, body, reason, NULL, 0, err);
}

static bool take_record(void *context, const struct input_record *record, bool *done,
                        struct err *err)
{
	struct reading *reading = context;
	struct span body = SPAN_NULL;
	struct framed_record place =
		framed_record_of(reading->name, record->partition, record->offset, record->value);
	struct counts_record counts;
	enum reason reason;
	int64_t unknown_dead;

	(void)done;
	if (!decode_frame(reading->topic, record->value, &body, &reason, err))
		return false;
	unreadable_counts_add(&reading->unread, reading->topic->kafka->topic_prefix, record->key,
	                      &place, reason);
	if (reason == REASON_NONE && reading->take &&
	    counts_decode(body, &counts, &unknown_dead, NULL))
		reading->take(reading->context, &counts);
	return true;
}

static bool read_with_open(const struct counts_topic *topic, struct topic_reading *all,
                           struct err *err)
{
	int64_t from, to;

	all->from = &from;
	all->to = &to;
	return topic_range_with_open(topic->kafka, all->topic, 0, CALL_TIMEOUT_MS, &from, &to,
	                             err) &&
	       topic_read(topic->kafka, all, err);
}

bool counts_topic_read(const struct counts_topic *topic, counts_take_fn *take, void *context,
                       struct err *err)
{
	char name[TOPIC_NAME_MAX + 1];
	struct reading reading = {.topic = topic, .name = name, .take = take, .context = context};
	struct topic_reading all = {.topic = name,
	                            .partition_count = 1,
	                            .silence_ms = SILENCE_MS,
	                            .take = take_record,
	                            .context = &reading};

	if (!topic_name(topic->kafka->topic_prefix, TOPIC_COUNTS, name, sizeof(name)))
		return err_set(err, ERR_FATAL, "the topic prefix \"%.100s\" is too long",
		               topic->kafka->topic_prefix);
	return (topic->with_open ? read_with_open(topic, &all, err)
	                         : topic_read_all(topic->kafka, topic->client, &all, err)) &&
	       unreadable_counts_check(&reading.unread, name, err);
}
