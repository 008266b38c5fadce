/* The codec of BronzeEvent. Fields are in the order of schemas/bronze_events.avsc. One pass; only
 * the growth of the output buffer allocates.
 *
 * The decoder refuses values that the encoder does not write. A field out of range comes from a
 * foreign or faulty writer, as bronze-sink writes valid events only. */
#include "wire/records_bronze.h"

#include "wire/avro_io.h"
#include "wire/frame.h"

/* 16 fields of at most a branch and a long each, the text of the id, and the price; without the
 * other texts. */
#define BRONZE_FIXED_MAX_BYTES \
	(FRAME_BYTES + 2 * 16 * AVRO_LONG_MAX_BYTES + 37 + AVRO_DECIMAL_MAX_BYTES)
#define EVENT_ID_TEXT_BYTES 36

struct clock_event bronze_clock_event(const struct bronze_event *bronze, int64_t bronze_time_ms)
{
	int64_t time_ms = bronze->lineage.raw_time_ms;

	if (time_ms < 0)
		time_ms = 0;
	if (time_ms > bronze_time_ms)
		time_ms = bronze_time_ms;
	return (struct clock_event){bronze->event.event_time_us, bronze->event.user_id,
	                            time_ms * 1000, bronze->lineage.source_clock_us};
}

static char *put_event_id(char *at, const uint8_t id[EVENT_ID_BYTES])
{
	char text[EVENT_ID_TEXT_BYTES + 1];

	event_id_format(id, text);
	return avro_put_text(at, (struct span){text, EVENT_ID_TEXT_BYTES});
}

void bronze_encode(struct buffer *out, int32_t schema_id, const struct bronze_event *bronze)
{
	const struct event *event = &bronze->event;
	const struct lineage *lineage = &bronze->lineage;
	char *at;

	buffer_reserve(out, BRONZE_FIXED_MAX_BYTES + event->category_code.len + event->brand.len +
	                            event->user_session.len + lineage->source_file.len);
	at = avro_put_frame(out->at + out->len, schema_id);
	at = put_event_id(at, bronze->event_id);
	at = avro_put_long(at, event->event_time_us);
	at = avro_put_long(at, (int64_t)event->type);
	at = avro_put_long(at, event->product_id);
	at = avro_put_optional_long(at, event->category_id != 0, event->category_id);
	at = avro_put_optional_text(at, event->category_code);
	at = avro_put_optional_text(at, event->brand);
	at = avro_put_long(at, event->price_cents >= 0);
	if (event->price_cents >= 0)
		at = avro_put_decimal(at, event->price_cents);
	at = avro_put_long(at, event->user_id);
	at = avro_put_optional_text(at, event->user_session);
	at = avro_put_optional_text(at, lineage->source_file);
	at = avro_put_optional_long(at, lineage->source_row != 0, lineage->source_row);
	at = avro_put_long(at, lineage->raw_partition);
	at = avro_put_long(at, lineage->raw_offset);
	at = avro_put_long(at, lineage->raw_time_ms);
	at = avro_put_optional_long(at, lineage->source_clock_us != CLOCK_NONE,
	                            lineage->source_clock_us);
	out->len = (size_t)(at - out->at);
}

static void take_event_id(struct avro_in *in, uint8_t id[EVENT_ID_BYTES])
{
	struct span text = avro_take_text(in, EVENT_ID_TEXT_BYTES, "event_id");

	if (!in->why && !event_id_parse(text, id))
		avro_fail(in, "event_id");
}

bool bronze_decode(struct span body, struct bronze_event *bronze, const char **why)
{
	struct avro_in in = avro_in_of(body);
	struct event *event = &bronze->event;
	struct lineage *lineage = &bronze->lineage;

	event->unreadable = 0; /* only bronze-sink counts it */
	take_event_id(&in, bronze->event_id);
	event->unreadable = 0; /* bronze-sink has counted them */
	event->event_time_us = avro_take_time_us(&in, "event_time");
	event->type = (enum event_type)avro_take_long(&in, 0, EVENT_TYPE_COUNT - 1, "event_type");
	event->product_id = avro_take_long(&in, 1, INT64_MAX, "product_id");
	event->category_id = avro_take_present(&in, "category_id")
	                             ? avro_take_long(&in, 1, INT64_MAX, "category_id")
	                             : 0;
	event->category_code = avro_take_optional_text(&in, EVENT_TEXT_MAX, "category_code");
	event->brand = avro_take_optional_text(&in, EVENT_TEXT_MAX, "brand");
	event->price_cents = avro_take_present(&in, "price")
	                             ? avro_take_decimal(&in, AVRO_MONEY_MAX, "price")
	                             : -1;
	event->user_id = avro_take_user_id(&in);
	event->user_session = avro_take_optional_text(&in, EVENT_TEXT_MAX, "user_session");
	lineage->source_file = avro_take_optional_text(&in, AVRO_TEXT_MAX, "source_file");
	lineage->source_row = avro_take_present(&in, "source_row")
	                              ? avro_take_long(&in, 1, INT64_MAX, "source_row")
	                              : 0;
	lineage->raw_partition = (int32_t)avro_take_long(&in, 0, INT32_MAX, "raw_partition");
	lineage->raw_offset = avro_take_count(&in, "raw_offset");
	lineage->raw_time_ms = avro_take_long(&in, INT64_MIN, INT64_MAX, "raw_time");
	lineage->source_clock_us = avro_take_present(&in, "source_clock")
	                                   ? avro_take_time_us(&in, "source_clock")
	                                   : CLOCK_NONE;
	return avro_in_finish(&in, why);
}
