/* Reads the last records only. They are enough: a producer announces the event time at the start of
 * each run, and its rows come in the order of their times. */
#include "topic_clock.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/fnv.h"
#include "base/memory.h"
#include "base/span.h"
#include "base/timetext.h"
#include "event/clock.h"
#include "event/event.h"
#include "event/event_fields.h"
#include "event/event_values.h"
#include "kafka/kafka_topic.h"
#include "kafka/topic_reader.h"
#include "service/monotime.h"
#include "stream/control.h"

#define LOOK_RECORDS     32 /* of each partition */
#define PRESENT_AHEAD_US (5 * US_PER_MINUTE)
#define CALL_MS          5000
#define SILENCE_MS       5000

void topic_clock_init(struct topic_clock *clock)
{
	*clock = (struct topic_clock){TOPIC_CLOCK_NONE, TOPIC_CLOCK_NONE, TOPIC_CLOCK_NONE, 0};
}

int64_t topic_clock_newest(const struct topic_clock *clock)
{
	int64_t of_rows_us =
		clock->second_us != TOPIC_CLOCK_NONE ? clock->second_us : clock->first_us;

	return clock->announced_us > of_rows_us ? clock->announced_us : of_rows_us;
}

/* The value without the header of Confluent's wire format. */
static struct span json_of(struct span value)
{
	return value.len > 5 && value.at[0] == 0 ? (struct span){value.at + 5, value.len - 5}
	                                         : value;
}

/* A text or an epoch, as bronze-sink reads it. */
static bool time_of_json(const json_t *value, int64_t *time_us)
{
	if (json_is_integer(value))
		return event_time_of_integer(json_integer_value(value), time_us);
	if (json_is_real(value))
		return event_time_of_real(json_real_value(value), time_us);
	return json_is_string(value) && event_time_read(span_of(json_string_value(value)), time_us);
}

static bool own_time(const struct input_record *record, int64_t *time_us)
{
	struct span json = json_of(record->value);
	json_t *event = json.at ? json_loadb(json.at, json.len, 0, NULL) : NULL;
	const char *name = event_field_names[FIELD_EVENT_TIME];
	bool good = time_of_json(json_object_get(event, name), time_us);

	json_decref(event);
	return good;
}

static void announce(struct topic_clock *clock, int64_t time_us, int64_t latest_us)
{
	if (time_us <= latest_us && time_us > clock->announced_us)
		clock->announced_us = time_us;
}

static void take_time(struct topic_clock *clock, uint64_t key, int64_t time_us)
{
	if (time_us > clock->first_us) {
		if (key != clock->first_key || clock->first_us == TOPIC_CLOCK_NONE)
			clock->second_us = clock->first_us;
		clock->first_us = time_us;
		clock->first_key = key;
	} else if (key != clock->first_key && time_us > clock->second_us) {
		clock->second_us = time_us;
	}
}

void topic_clock_take(struct topic_clock *clock, const struct input_record *record,
                      int64_t latest_us)
{
	struct control control = control_read(record);
	struct span source_clock = record_header(record, CLOCK_HEADER_SOURCE);
	int64_t time_us;

	if (control.kind == CONTROL_BEGIN || control.kind == CONTROL_JUMP)
		announce(clock, control.event_time_us, latest_us);
	if (control.kind != CONTROL_NONE)
		return;
	if (!(source_clock.len > 0 ? time_parse(source_clock, &time_us)
	                           : own_time(record, &time_us)))
		return;
	if (source_clock.at)
		announce(clock, time_us, latest_us);
	else if (time_us <= latest_us)
		take_time(clock, fnv1a(FNV1A_START, record->key.at, record->key.len), time_us);
}

/* ---- reading */

struct look {
	struct topic_clock *clocks; /* of each partition */
	int64_t latest_us;
};

static bool take(void *context, const struct input_record *record, bool *done, struct err *err)
{
	struct look *look = context;

	(void)done;
	(void)err;
	topic_clock_take(&look->clocks[record->partition], record, look->latest_us);
	return true;
}

static bool read_last(const struct kafka_config *config, rd_kafka_t *client, const char *topic,
                      int32_t partition_count, struct look *look, struct err *err)
{
	int64_t *from = xzalloc((size_t)partition_count * 2, sizeof(*from));
	struct topic_reading last = {.topic = topic,
	                             .partition_count = partition_count,
	                             .from = from,
	                             .to = from + partition_count,
	                             .silence_ms = SILENCE_MS,
	                             .take = take,
	                             .context = look};
	bool good = true;

	for (int32_t p = 0; good && p < partition_count; p++) {
		int64_t *to = &from[partition_count + p];

		topic_clock_init(&look->clocks[p]);
		good = kafka_offset_range(client, topic, p, CALL_MS, &from[p], to, err);
		if (good && *to - from[p] > LOOK_RECORDS)
			from[p] = *to - LOOK_RECORDS;
	}
	good = good && topic_read(config, &last, err);
	free(from);
	return good;
}

bool topic_clock_read(const struct kafka_config *config, rd_kafka_t *client, const char *topic,
                      int32_t partition_count, int64_t *newest_us, struct err *err)
{
	struct look look = {xzalloc((size_t)partition_count, sizeof(*look.clocks)),
	                    wallclock_us() + PRESENT_AHEAD_US};
	bool good = read_last(config, client, topic, partition_count, &look, err);

	*newest_us = TOPIC_CLOCK_NONE;
	for (int32_t p = 0; good && p < partition_count; p++)
		if (topic_clock_newest(&look.clocks[p]) > *newest_us)
			*newest_us = topic_clock_newest(&look.clocks[p]);
	free(look.clocks);
	return good;
}
