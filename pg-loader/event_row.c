/* Sums are made of the rows that are sent, and not of their records: the body of a record may be
 * gone, because the decoder converts bodies of other schema versions into a buffer of its own. The
 * bytes are ours, so they are not checked again. */
#include "event_row.h"

#include "base/timetext.h"
#include "copy_binary.h"

#define STAGED_FIELDS 18 /* of a staged row */

static uint32_t take2(const char **at)
{
	const unsigned char *byte = (const unsigned char *)*at;

	*at += 2;
	return (uint32_t)(byte[0] << 8 | byte[1]);
}

static uint32_t take4(const char **at)
{
	const unsigned char *byte = (const unsigned char *)*at;

	*at += 4;
	return (uint32_t)byte[0] << 24 | (uint32_t)byte[1] << 16 | (uint32_t)byte[2] << 8 | byte[3];
}

static struct span take_field(const char **at)
{
	uint32_t len = take4(at);
	struct span field = {*at, len};

	if (len == UINT32_MAX)
		return SPAN_NULL;
	*at += len;
	return field;
}

static int64_t take_int8(const char **at)
{
	uint64_t high;

	*at += 4; /* the length */
	high = take4(at);
	return (int64_t)(high << 32 | take4(at));
}

static int64_t take_time_us(const char **at)
{
	return (int64_t)((uint64_t)take_int8(at) + (uint64_t)(COPY_EPOCH_DAYS * US_PER_DAY));
}

/* See copy_binary.c: digits in base 10,000; that of weight -1 is the decimals. */
static int64_t take_cents(const char **at)
{
	struct span field = take_field(at);
	const char *digit = field.at;
	int64_t units = 0;
	int count, weight;

	if (!field.at)
		return -1;
	count = (int)take2(&digit);
	weight = (int16_t)take2(&digit);
	digit += 4;
	for (; weight >= 0; weight--)
		units = units * 10000 + (count-- > 0 ? take2(&digit) : 0);
	return units * 100 + (count > 0 ? take2(&digit) / 100 : 0);
}

void event_row_read(struct span row, struct bronze_event *bronze)
{
	struct event *event = &bronze->event;
	const char *at = row.at + 2;

	*bronze = (struct bronze_event){0};
	memcpy(bronze->event_id, take_field(&at).at, EVENT_ID_BYTES);
	event->event_time_us = take_time_us(&at);
	take_field(&at); /* event_date */
	event_type_parse(take_field(&at), &event->type);
	event->product_id = take_int8(&at);
	take_field(&at); /* category_id */
	event->category_code = take_field(&at);
	event->brand = take_field(&at);
	event->price_cents = take_cents(&at);
	event->user_id = take_int8(&at);
	event->user_session = take_field(&at);
	take_field(&at); /* source_file */
	take_field(&at); /* source_row */
	at += 4;
	bronze->lineage.raw_partition = (int32_t)take4(&at);
	bronze->lineage.raw_offset = take_int8(&at);
}

void event_row_stage(struct buffer *out, struct span row, int32_t bronze_partition,
                     int64_t bronze_offset)
{
	char *at;

	buffer_reserve(out, row.len + 2 * COPY_FIELD_MAX);
	at = copy_row_begin(out->at + out->len, STAGED_FIELDS);
	memcpy(at, row.at + 2, row.len - 2);
	at = copy_int4(at + row.len - 2, bronze_partition);
	at = copy_int8(at, bronze_offset);
	out->len = (size_t)(at - out->at);
}
