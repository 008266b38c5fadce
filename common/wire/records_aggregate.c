/* The codecs of FunnelAggregate and FunnelPartial. Fields are in the order of the schemas
 * schemas/aggregated_events.avsc and schemas/funnel_partials.avsc. */
#include "wire/records_aggregate.h"

#include "event/event.h"
#include "wire/avro_io.h"
#include "wire/frame.h"

#define AGGREGATE_FIXED_MAX_BYTES \
	(FRAME_BYTES + 8 * AVRO_LONG_MAX_BYTES + AVRO_MEASURES_MAX_BYTES + 1)

bool watermark_is_possible(int64_t watermark_us)
{
	return watermark_us == INT64_MIN ||
	       (watermark_us >= AVRO_TIME_MIN_US - AVRO_WINDOW_MAX_US &&
	        watermark_us <= AVRO_TIME_MAX_US);
}

static void take_window(struct avro_in *in, int64_t *start_us, int64_t *end_us)
{
	*start_us = avro_take_long(in, AVRO_TIME_MIN_US - AVRO_WINDOW_MAX_US, AVRO_TIME_MAX_US,
	                           "window_start");
	*end_us = avro_take_long(in, *start_us, AVRO_TIME_MAX_US + 1 + AVRO_WINDOW_MAX_US,
	                         "window_end");
}

void aggregate_encode(struct buffer *out, int32_t schema_id, const struct aggregate *aggregate)
{
	char *at;

	buffer_reserve(out, AGGREGATE_FIXED_MAX_BYTES + aggregate->rollup.len +
	                            aggregate->group_value.len);
	at = avro_put_frame(out->at + out->len, schema_id);
	at = avro_put_text(at, aggregate->rollup);
	at = avro_put_long(at, aggregate->window_start_us);
	at = avro_put_long(at, aggregate->window_end_us);
	at = avro_put_text(at, aggregate->group_value);
	at = avro_put_measures(at, &aggregate->measures);
	at = avro_put_bool(at, aggregate->final);
	at = avro_put_long(at, aggregate->revision);
	out->len = (size_t)(at - out->at);
}

bool aggregate_decode(struct span body, struct aggregate *aggregate, const char **why)
{
	struct avro_in in = avro_in_of(body);

	aggregate->rollup = avro_take_text(&in, RECORD_ROLLUP_MAX, "rollup");
	take_window(&in, &aggregate->window_start_us, &aggregate->window_end_us);
	aggregate->group_value = avro_take_text(&in, EVENT_TEXT_MAX, "group_value");
	avro_take_measures(&in, &aggregate->measures);
	aggregate->final = avro_take_bool(&in, "final");
	aggregate->revision = avro_take_long(&in, INT64_MIN, INT64_MAX, "revision");
	return avro_in_finish(&in, why);
}

void partial_encode(struct buffer *out, int32_t schema_id, const struct partial *partial)
{
	char *at;

	buffer_reserve(out,
	               AGGREGATE_FIXED_MAX_BYTES + partial->rollup.len + partial->group_value.len);
	at = avro_put_frame(out->at + out->len, schema_id);
	at = avro_put_text(at, partial->rollup);
	at = avro_put_long(at, partial->window_start_us);
	at = avro_put_long(at, partial->window_end_us);
	at = avro_put_text(at, partial->group_value);
	at = avro_put_long(at, partial->source_partition);
	at = avro_put_long(at, partial->watermark_us);
	at = avro_put_bool(at, partial->idle);
	at = avro_put_measures(at, &partial->measures);
	at = avro_put_long(at, partial->revision);
	out->len = (size_t)(at - out->at);
}

bool partial_decode(struct span body, struct partial *partial, const char **why)
{
	struct avro_in in = avro_in_of(body);

	partial->rollup = avro_take_text(&in, RECORD_ROLLUP_MAX, "rollup");
	take_window(&in, &partial->window_start_us, &partial->window_end_us);
	partial->group_value = avro_take_text(&in, EVENT_TEXT_MAX, "group_value");
	partial->source_partition = (int32_t)avro_take_long(&in, 0, INT32_MAX, "source_partition");
	partial->watermark_us = avro_take_long(&in, INT64_MIN, AVRO_TIME_MAX_US, "watermark");
	if (!watermark_is_possible(partial->watermark_us))
		avro_fail(&in, "watermark");
	partial->idle = avro_take_bool(&in, "idle");
	avro_take_measures(&in, &partial->measures);
	partial->revision = avro_take_long(&in, INT64_MIN, INT64_MAX, "revision");
	return avro_in_finish(&in, why);
}
