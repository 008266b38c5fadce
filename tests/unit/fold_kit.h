/* Shared by the tests of the folds: a seeded generator, a log of input records, a map of upserted
 * rows, and random clickstreams as bronze events. Each failure message has the seed, so that the
 * failure can be repeated. */
#ifndef FUNNEL_FOLD_KIT_H
#define FUNNEL_FOLD_KIT_H

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/hash.h"
#include "base/interner.h"
#include "base/memory.h"
#include "base/span.h"
#include "base/timetext.h"
#include "event/clock.h"
#include "event/event.h"
#include "event/event_id.h"
#include "stream/outbox.h"
#include "stream/outputs.h"
#include "stream/record.h"
#include "wire/frame.h"
#include "wire/partitioner.h"
#include "wire/records_bronze.h"
#include "wire/topics.h"

#define KIT_DAY0_US INT64_C(1569888000000000) /* 2019-10-01T00:00:00Z */

/* ---- random numbers: splitmix64 */

struct rng {
	uint64_t state;
};

static inline uint64_t rng_next(struct rng *rng)
{
	rng->state += UINT64_C(0x9e3779b97f4a7c15);
	return mix64(rng->state);
}

static inline int64_t rng_below(struct rng *rng, int64_t bound)
{
	return (int64_t)(rng_next(rng) % (uint64_t)bound);
}

static inline int64_t rng_between(struct rng *rng, int64_t low, int64_t high)
{
	return low + rng_below(rng, high - low + 1);
}

static inline bool rng_chance(struct rng *rng, int64_t one_in)
{
	return rng_below(rng, one_in) == 0;
}

/* ---- a log: the records of one partition; offsets may have gaps */

struct kit_log {
	struct outbox bytes;
	int64_t *offsets, *times_ms;
	size_t offset_capacity, time_capacity;
	int32_t partition;
	bool framed; /* values begin with FRAME_BYTES bytes of framing */
};

static inline void kit_log_add(struct kit_log *log, int64_t offset, int64_t time_ms,
                               struct span key, struct span value, const struct header *headers,
                               size_t header_count)
{
	GROW(log->offsets, log->bytes.count, log->offset_capacity);
	GROW(log->times_ms, log->bytes.count, log->time_capacity);
	log->offsets[log->bytes.count] = offset;
	log->times_ms[log->bytes.count] = time_ms;
	outbox_add(&log->bytes, 0, log->partition, key, value, headers, header_count);
}

static inline struct input_record kit_log_record(const struct kit_log *log, size_t i)
{
	const struct output *stored = &log->bytes.at[i];
	struct input_record record = {
		.topic = SPAN("input"),
		.offset = log->offsets[i],
		.timestamp_ms = log->times_ms[i],
		.partition = log->partition,
		.key = stored->key,
		.value = stored->value,
		.body = stored->value,
		.headers = stored->headers,
		.header_count = stored->header_count,
	};

	if (log->framed && record.body.at)
		record.body = (struct span){record.value.at + FRAME_BYTES,
		                            record.value.len - FRAME_BYTES};
	return record;
}

static inline void kit_log_free(struct kit_log *log)
{
	outbox_free(&log->bytes);
	free(log->offsets);
	free(log->times_ms);
	*log = (struct kit_log){0};
}

/* ---- outputs */

static inline struct span kit_body(const struct output *output)
{
	return (struct span){output->value.at + FRAME_BYTES, output->value.len - FRAME_BYTES};
}

static inline struct span kit_header(const struct output *output, const char *name)
{
	for (size_t i = output->header_count; i-- > 0;)
		if (span_is(output->headers[i].name, name))
			return output->headers[i].value;
	return SPAN_NULL;
}

static inline void kit_put(struct buffer *to, struct span bytes)
{
	int64_t len = bytes.at ? (int64_t)bytes.len : -1;

	buffer_append(to, &len, sizeof(len));
	if (bytes.at)
		buffer_append(to, bytes.at, bytes.len);
}

/* Appends all bytes of an output that a consumer can see. */
static inline void kit_serialise(struct buffer *to, const struct output *output)
{
	buffer_append(to, &output->topic, sizeof(output->topic));
	buffer_append(to, &output->partition, sizeof(output->partition));
	kit_put(to, output->key);
	kit_put(to, output->value);
	for (uint16_t i = 0; i < output->header_count; i++) {
		kit_put(to, output->headers[i].name);
		kit_put(to, output->headers[i].value);
	}
}

static inline void kit_copy(struct outbox *to, const struct output *output)
{
	outbox_add(to, output->topic, output->partition, output->key, output->value,
	           output->headers, output->header_count);
}

static inline const struct output_context *kit_context(void)
{
	static const struct output_context context = {"test-service",
	                                              {[TOPIC_BRONZE_EVENTS] = 4,
	                                               [TOPIC_DEAD_LETTER] = 1,
	                                               [TOPIC_LATE_EVENTS] = 4,
	                                               [TOPIC_COUNTS] = 1,
	                                               [TOPIC_SESSION_FUNNELS] = 4,
	                                               [TOPIC_FUNNEL_PARTIALS] = 2,
	                                               [TOPIC_AGGREGATED_EVENTS] = 4,
	                                               [TOPIC_ABANDONED_CARTS] = 4},
	                                              {11, 12, 13, 14, 15, 16, 17},
	                                              NULL};

	return &context;
}

/* ---- a map from keys to small numbers, which index arrays of rows */

static inline uint32_t kit_number(struct interner *keys, struct span key, bool *added)
{
	uint32_t before = keys->count, number = interner_put(keys, key, INT64_MAX, INT64_MIN);

	*added = keys->count != before;
	return number;
}

/* ---- random clickstreams */

#define KIT_SESSIONS 48
#define KIT_USERS    12

static inline struct span kit_session(int number)
{
	static char texts[KIT_SESSIONS * 64][24];
	char *text = texts[number % (KIT_SESSIONS * 64)];

	if (!text[0])
		snprintf(text, sizeof(texts[0]), "session-%d", number);
	return span_of(text);
}

static inline struct span kit_category(struct rng *rng)
{
	static const char *const codes[] = {"electronics.phone", "electronics.audio.headset",
	                                    "toys", "home.garden", "home"};
	int64_t i = rng_below(rng, 6);

	return i == 5 ? SPAN_NULL : span_of(codes[i]);
}

static inline struct span kit_brand(struct rng *rng)
{
	static const char *const names[] = {"acme", "globex", "initech"};
	int64_t i = rng_below(rng, 4);

	return i == 3 ? SPAN_NULL : span_of(names[i]);
}

static inline enum event_type kit_type(struct rng *rng)
{
	static const enum event_type types[] = {EVENT_VIEW,     EVENT_VIEW,
	                                        EVENT_VIEW,     EVENT_VIEW,
	                                        EVENT_CART,     EVENT_CART,
	                                        EVENT_CART,     EVENT_PURCHASE,
	                                        EVENT_PURCHASE, EVENT_REMOVE_FROM_CART,
	                                        EVENT_CHECKOUT};

	return types[rng_below(rng, 11)];
}

static inline struct bronze_event kit_event(struct rng *rng, int64_t time_us, int session)
{
	struct bronze_event bronze = {
		.event = {.event_time_us = time_us,
	                  .product_id = rng_between(rng, 1, 9),
	                  .user_id = 1 + session % KIT_USERS,
	                  .price_cents = rng_between(rng, 0, 99999),
	                  .category_code = kit_category(rng),
	                  .brand = kit_brand(rng),
	                  .user_session = session % 11 == 0 ? SPAN_NULL : kit_session(session),
	                  .type = kit_type(rng)},
		.lineage = {.raw_time_ms = time_us / 1000, .source_clock_us = CLOCK_NONE},
	};

	for (int i = 0; i < EVENT_ID_BYTES; i++)
		bronze.event_id[i] = (uint8_t)rng_below(rng, 256);
	return bronze;
}

static inline void kit_log_event(struct kit_log *log, int64_t offset,
                                 const struct bronze_event *bronze)
{
	struct buffer value = {0};
	char key[32];

	bronze_encode(&value, 11, bronze);
	kit_log_add(log, offset, bronze->event.event_time_us / 1000 + 500,
	            event_session_key(&bronze->event, key), (struct span){value.at, value.len},
	            NULL, 0);
	buffer_free(&value);
}

/* A control that announces an event time. The time of the record itself is one second later. */
static inline void kit_log_control(struct kit_log *log, int64_t offset, const char *kind,
                                   int64_t time_us)
{
	char text[32];
	struct header headers[] = {{SPAN("control"), span_of(kind)},
	                           {SPAN("event_time"), {text, time_format_iso(time_us, text)}}};

	kit_log_add(log, offset, time_us / 1000 + 1000, SPAN_NULL, SPAN_NULL, headers, 2);
}

/* The next event time of a stream. Most are within the disorder of 5 s, some within the grace of 10
 * minutes, and a few are up to 3 hours late. *front_us is the newest time; it moves on by up to
 * step_us. */
static inline int64_t kit_next_time(struct rng *rng, int64_t *front_us, int64_t step_us)
{
	*front_us += rng_below(rng, step_us);
	if (rng_chance(rng, 25))
		return *front_us - rng_below(rng, 3 * US_PER_HOUR);
	if (rng_chance(rng, 8))
		return *front_us - rng_below(rng, 10 * US_PER_MINUTE);
	return *front_us - rng_below(rng, 5 * US_PER_SECOND);
}

/* The partition of a kit session, out of partition_count. */
static inline int32_t kit_home(int session, int32_t partition_count)
{
	struct event event = {.user_id = 1 + session % KIT_USERS,
	                      .user_session = session % 11 == 0 ? SPAN_NULL : kit_session(session)};
	char key[32];

	return partition_of(event_session_key(&event, key), partition_count);
}

#endif
