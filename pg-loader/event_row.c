/* A row:
 *
 *   field count i16 | label_id | source_id | event_id | session_id | event_time | user_id |
 *   product_id | raw_offset | raw_time | event_date | event_type | session_form | source_row |
 *   session_text | price
 *
 * All fields before source_row have one length each and are never null, so they have fixed places.
 * sql/tables/0009_narrow_events.sql says what the fields mean.
 *
 * Sums are made of the rows that are sent, and not of their records: the body of a record may be
 * gone, because the decoder converts bodies of other schema versions into a buffer of its own. The
 * bytes are ours, so they are not checked again. */
#include "event_row.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/timetext.h"
#include "copy_binary.h"
#include "row_fields.h"

#define FIELDS        15
#define STAGED_FIELDS 17

/* Places of values: after the two bytes of the row and the length of each field. */
enum {
	AT_LABEL_ID = 2 + 4,
	AT_SOURCE_ID = AT_LABEL_ID + 4 + 4,
	AT_EVENT_ID = AT_SOURCE_ID + 4 + 4,
	AT_SESSION_ID = AT_EVENT_ID + 16 + 4,
	AT_EVENT_TIME = AT_SESSION_ID + 16 + 4,
	AT_USER_ID = AT_EVENT_TIME + 8 + 4,
	AT_PRODUCT_ID = AT_USER_ID + 8 + 4,
	AT_RAW_OFFSET = AT_PRODUCT_ID + 8 + 4,
	AT_RAW_TIME = AT_RAW_OFFSET + 8 + 4,
	AT_EVENT_DATE = AT_RAW_TIME + 8 + 4,
	AT_EVENT_TYPE = AT_EVENT_DATE + 4 + 4,
	AT_SESSION_FORM = AT_EVENT_TYPE + 1 + 4,
	AT_SOURCE_ROW = AT_SESSION_FORM + 1, /* its length */
};

static const char type_letters[EVENT_TYPE_COUNT] = {
	[EVENT_VIEW] = 'v',     [EVENT_CART] = 'c',     [EVENT_REMOVE_FROM_CART] = 'r',
	[EVENT_CHECKOUT] = 'k', [EVENT_PURCHASE] = 'p',
};

/* ---- writing */

size_t event_row_room(const struct bronze_event *bronze)
{
	return STAGED_FIELDS * COPY_FIELD_MAX + bronze->event.user_session.len;
}

char *event_row_write(char *at, const struct bronze_event *bronze, int64_t day)
{
	const struct event *event = &bronze->event;
	const struct lineage *lineage = &bronze->lineage;
	char key[32];
	struct session_columns session = session_columns_of(event_session_key(event, key));

	if (!event->user_session.at) {
		session.form = SESSION_NONE;
		session.text = SPAN("");
	}
	at = copy_row_begin(at, FIELDS);
	at = copy_int4(at, 0);
	at = copy_int4(at, 0);
	at = copy_uuid(at, bronze->event_id);
	at = copy_uuid(at, session.id);
	at = copy_timestamptz(at, event->event_time_us);
	at = copy_int8(at, event->user_id);
	at = copy_int8(at, event->product_id);
	at = copy_int8(at, lineage->raw_offset);
	at = copy_timestamptz(at, lineage->raw_time_ms * 1000);
	at = copy_date(at, day);
	at = copy_char(at, type_letters[event->type]);
	at = copy_char(at, (char)session.form);
	at = lineage->source_row == 0 ? copy_null(at) : copy_int8(at, lineage->source_row);
	at = copy_text(at, session.text);
	return event->price_cents < 0 ? copy_null(at) : copy_cents(at, event->price_cents);
}

void event_row_set_ids(char *row, int32_t label_id, int32_t source_id)
{
	copy_int4(row + AT_LABEL_ID - 4, label_id);
	copy_int4(row + AT_SOURCE_ID - 4, source_id);
}

/* ---- reading */

static uint32_t read2(const char *at)
{
	const unsigned char *byte = (const unsigned char *)at;

	return (uint32_t)(byte[0] << 8 | byte[1]);
}

static uint32_t read4(const char *at)
{
	return read2(at) << 16 | read2(at + 2);
}

static int64_t read8(const char *at)
{
	return (int64_t)((uint64_t)read4(at) << 32 | read4(at + 4));
}

/* Since 1970; PostgreSQL counts from 2000. */
static int64_t read_time_us(const char *at)
{
	return (int64_t)((uint64_t)read8(at) + (uint64_t)(COPY_EPOCH_DAYS * US_PER_DAY));
}

static const char *past_field(const char *at)
{
	uint32_t len = read4(at);

	return at + 4 + (len == UINT32_MAX ? 0 : len);
}

/* See copy_binary.c: digits in base 10,000; that of weight -1 is the decimals. */
static int64_t read_cents(const char *field)
{
	const char *digit = field + 4 + 8;
	int64_t units = 0;
	int count, weight;

	if (read4(field) == UINT32_MAX)
		return -1;
	count = (int)read2(field + 4);
	weight = (int16_t)read2(field + 6);
	for (; weight >= 0; weight--, digit += 2)
		units = units * 10000 + (count-- > 0 ? read2(digit) : 0);
	return units * 100 + (count > 0 ? read2(digit) / 100 : 0);
}

static enum event_type type_of(char letter)
{
	const char *at = memchr(type_letters, letter, sizeof(type_letters));

	return (enum event_type)(at - type_letters);
}

void event_row_read(struct span row, const struct event_label *label,
                    const struct event_source *source, struct bronze_event *bronze,
                    uint8_t session[SESSION_ID_BYTES])
{
	struct event *event = &bronze->event;
	const char *session_text = past_field(row.at + AT_SOURCE_ROW);

	*bronze = (struct bronze_event){0};
	memcpy(bronze->event_id, row.at + AT_EVENT_ID, EVENT_ID_BYTES);
	memcpy(session, row.at + AT_SESSION_ID, SESSION_ID_BYTES);
	event->event_time_us = read_time_us(row.at + AT_EVENT_TIME);
	event->user_id = read8(row.at + AT_USER_ID);
	event->product_id = read8(row.at + AT_PRODUCT_ID);
	event->type = type_of(row.at[AT_EVENT_TYPE]);
	event->user_session = row.at[AT_SESSION_FORM] == SESSION_NONE ? SPAN_NULL : SPAN("");
	event->price_cents = read_cents(past_field(session_text));
	event->category_code = label->category_code;
	event->brand = label->brand;
	bronze->lineage.raw_partition = source->raw_partition;
	bronze->lineage.raw_offset = read8(row.at + AT_RAW_OFFSET);
}

/* ---- order */

int32_t event_row_day(const char *row)
{
	return (int32_t)read4(row + AT_EVENT_DATE);
}

uint64_t event_row_id_head(const char *row)
{
	return (uint64_t)read8(row + AT_EVENT_ID);
}

/* ---- forgotten users */

int64_t event_row_user(const char *row)
{
	return read8(row + AT_USER_ID);
}

int64_t event_row_raw_time_us(const char *row)
{
	return read_time_us(row + AT_RAW_TIME);
}

int64_t event_row_event_time_us(const char *row)
{
	return read_time_us(row + AT_EVENT_TIME);
}

void event_row_forget(char *row, int64_t pseudonym)
{
	char key[32];
	int len = snprintf(key, sizeof(key), "user:%" PRId64, pseudonym);

	copy_int8(row + AT_USER_ID - 4, pseudonym);
	if (row[AT_SESSION_FORM] == SESSION_NONE)
		copy_uuid(row + AT_SESSION_ID - 4,
		          session_columns_of((struct span){key, (size_t)len}).id);
}

/* ---- staging */

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
