/* The bytes of a row are gone when the next row is read, so all that the message needs is copied. A
 * message is large and mostly unused: it is allocated once, and unused pages cost nothing.
 *
 * The key of a row without a session is the user id in its standard form, because bronze-sink
 * computes the key again from the parsed number. The value keeps what the source has. */
#include "message.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/timetext.h"
#include "event/clock.h"
#include "event/event_fields.h"
#include "event/event_json_write.h"
#include "wire/partitioner.h"

#define USER_ID_ROOM 21 /* "-9223372036854775808" */

static size_t write_user(struct span user, char *out)
{
	int64_t id;

	if (event_integer_read(user, &id))
		return (size_t)snprintf(out, USER_ID_ROOM, "%" PRId64, id);
	if (user.len > 0)
		memcpy(out, user.at, user.len);
	return user.len;
}

static struct span make_key(char *out, const struct row *row, const struct null_words *null_words)
{
	struct span user = row->fields[FIELD_USER_ID], session = row->fields[FIELD_USER_SESSION];

	if (session.len > 0 && !(null_words && null_words_has(null_words, session))) {
		memcpy(out, session.at, session.len);
		return (struct span){out, session.len};
	}
	memcpy(out, "user:", 5);
	return (struct span){out, 5 + write_user(user, out + 5)};
}

static struct span make_value(char *out, const struct row *row, int32_t schema_id)
{
	size_t frame = 0;

	if (row->error[0]) {
		memcpy(out, row->raw.at, row->raw.len);
		return (struct span){out, row->raw.len};
	}
	if (schema_id > 0) { /* 0 | schema id, big-endian | JSON */
		out[0] = 0;
		for (int i = 0; i < 4; i++)
			out[1 + i] =
				(char)(unsigned char)((uint32_t)schema_id >> (24 - 8 * i) & 255);
		frame = 5;
	}
	return (struct span){out, frame + event_write_json_extras(row->fields, row->extras,
	                                                          row->extra_count, out + frame,
	                                                          MESSAGE_VALUE_MAX - frame)};
}

static void keep_unmapped_type(struct message *message, const struct row *row)
{
	struct span type = row->fields[FIELD_EVENT_TYPE];

	message->unmapped_type = SPAN_NULL;
	if (row->error[0] || !row->unmapped_type)
		return;
	type.len = type.len < sizeof(message->type_bytes) ? type.len : sizeof(message->type_bytes);
	memcpy(message->type_bytes, type.at, type.len);
	message->unmapped_type = (struct span){message->type_bytes, type.len};
}

void message_make(struct message *message, const struct row *row, const struct message_form *form)
{
	message->position = row->position;
	message->source_file = row->source_file;
	message->event_time_us = row->event_time_us;
	message->value = make_value(message->value_bytes, row, form->schema_id);
	message->error[0] = '\0';
	keep_unmapped_type(message, row);
	if (row->error[0]) {
		memcpy(message->error, row->error, sizeof(message->error));
		message->key = SPAN_NULL;
		message->partition = (int32_t)(row->position.row % form->partition_count);
	} else {
		message->key = make_key(message->key_bytes, row, form->null_words);
		message->partition = partition_of(message->key, form->partition_count);
	}
	if (form->keep_line) {
		memcpy(message->line_bytes, row->raw.at, row->raw.len);
		message->line = (struct span){message->line_bytes, row->raw.len};
	}
}

static size_t decimal(int64_t number, char out[24])
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	memcpy(out, digits + at, sizeof(digits) - at);
	return sizeof(digits) - at;
}

static void add_header(struct message_headers *headers, struct span name, struct span value)
{
	headers->at[headers->count++] = (struct header){name, value};
}

/* The header source_clock is empty if the clock is the row's own time. */
static void add_clock(struct message_headers *headers, const struct message *message)
{
	struct span text = SPAN("");

	if (message->source_clock_us != message->event_time_us)
		text = (struct span){headers->clock,
		                     time_format_iso(message->source_clock_us, headers->clock)};
	add_header(headers, SPAN(CLOCK_HEADER_SOURCE), text);
}

void message_headers_make(struct message_headers *headers, const struct message *message)
{
	headers->count = 0;
	add_header(headers, SPAN("source_file"), span_of(message->source_file));
	add_header(headers, SPAN("source_row"),
	           (struct span){headers->row, decimal(message->position.row, headers->row)});
	if (message->source_clock_us != CLOCK_NONE)
		add_clock(headers, message);
	if (message->time_refuted)
		add_header(headers, SPAN(CLOCK_HEADER_REFUTED), SPAN("true"));
	if (message->unmapped_type.at)
		add_header(headers, SPAN("unmapped_event_type"), message->unmapped_type);
	if (message->error[0])
		add_header(headers, SPAN("source_error"), span_of(message->error));
}
