/* A source row as a record of the raw topic. Pure.
 *
 * key: user_session, or "user:<user_id>" where that is empty. value: the JSON object. A row that could not be split has no
 * key and its raw bytes as value; its partition is the row's number modulo the count. */
#ifndef FUNNEL_MESSAGE_H
#define FUNNEL_MESSAGE_H

#include "base/span.h"
#include "csv_reader.h"
#include "row.h"

#define MESSAGE_VALUE_MAX \
	(5 + 6 * CSV_LINE_MAX + 1024) /* framing; every byte escaped as \u00xx; field names */

struct message {
	struct span key;   /* at == NULL: none; in key_bytes */
	struct span value; /* in value_bytes */
	struct span line;  /* the row as it came, where it was to be kept; in line_bytes */
	int32_t partition;
	int64_t event_time_us; /* ROW_TIME_NONE */
	struct row_position position;
	const char *source_file;
	char error[64]; /* "", or the header source_error */
	char key_bytes[CSV_LINE_MAX + 8];
	char line_bytes[CSV_LINE_MAX];
	char value_bytes[MESSAGE_VALUE_MAX];
};

struct message_form {
	int32_t partition_count;
	int32_t schema_id; /* above 0: values are framed with it, as Confluent's JSON Schema serializer does */
	bool keep_line;
};

void message_make(struct message *message, const struct row *row, const struct message_form *form);

#endif
