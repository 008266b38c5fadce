/* A source row as a record of the raw topic. Pure.
 *
 * key: user_session, or "user:<user_id>" if that is empty or a null word; the user id in the form
 * that bronze-sink computes. value: the JSON object. A row that could not be split into columns has
 * no key, and its raw bytes are the value; its partition is the row number modulo the partition
 * count. */
#ifndef FUNNEL_MESSAGE_H
#define FUNNEL_MESSAGE_H

#include "base/span.h"
#include "columns.h"
#include "event/event.h"
#include "event/event_values.h"
#include "row.h"
#include "stream/outbox.h"

/* wire format header; every byte escaped as \u00xx; field names; names of further columns */
#define MESSAGE_VALUE_MAX \
	(5 + 6 * CSV_LINE_MAX + 1024 + 6 * 2 * COLUMNS_NAMES_MAX + 8 * ROW_COLUMNS_MAX)

struct message {
	struct span key;   /* at == NULL: none; in key_bytes */
	struct span value; /* in value_bytes */
	struct span line;  /* the row unchanged, if keep_line; in line_bytes */
	int32_t partition;
	int64_t event_time_us; /* or ROW_TIME_NONE */
	/* Set by the feed, for the headers of event/clock.h; CLOCK_NONE: not known. */
	int64_t source_clock_us;
	bool time_refuted;
	struct row_position position;
	const char *source_file;
	char error[64];            /* "", or the value of the header source_error */
	struct span unmapped_type; /* the header unmapped_event_type; at == NULL: none */
	char type_bytes[EVENT_TEXT_MAX];
	char key_bytes[CSV_LINE_MAX + 8];
	char line_bytes[CSV_LINE_MAX];
	char value_bytes[MESSAGE_VALUE_MAX];
};

struct message_form {
	int32_t partition_count;
	/* above 0: values are in the wire format of Confluent's JSON Schema serializer, with it */
	int32_t schema_id;
	bool keep_line;
	const struct null_words *null_words; /* NULL: none */
};

#define MESSAGE_HEADERS_MAX 8

/* The headers of a message. They borrow from the message and from the texts here. */
struct message_headers {
	struct header at[MESSAGE_HEADERS_MAX];
	size_t count;
	char row[24], clock[32];
};
void message_headers_make(struct message_headers *headers, const struct message *message);

void message_make(struct message *message, const struct row *row, const struct message_form *form);

#endif
