/* The texts of a dead letter come from outside and must not be lost. Bytes that PostgreSQL would
 * reject in a text (NUL, broken UTF-8) are written as \xHH. */
#include "dead_letter_rows.h"

#include <jansson.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/span.h"
#include "base/utf8.h"
#include "copy_binary.h"
#include "row_fields.h"
#include "stream/dead_letter.h"
#include "targets.h"
#include "wire/topics.h"

/* Appends text as valid UTF-8 without NUL: other bytes become \xHH. */
static void escape(struct buffer *out, struct span text)
{
	while (text.len > 0) {
		const char *nul = memchr(text.at, '\0', text.len);
		struct span head = {text.at, nul ? (size_t)(nul - text.at) : text.len};
		size_t good = utf8_valid_length(head);
		char bad[5];

		buffer_append(out, text.at, good);
		text = (struct span){text.at + good, text.len - good};
		if (text.len == 0)
			break;
		buffer_append(out, bad,
		              (size_t)snprintf(bad, sizeof(bad), "\\x%02x",
		                               (unsigned)(unsigned char)text.at[0]));
		text = (struct span){text.at + 1, text.len - 1};
	}
}

/* A JSON string, or JSON null for a null span; NULL: out of memory. */
static json_t *escaped_json(struct buffer *scratch, struct span text)
{
	size_t start = scratch->len;
	json_t *string;

	if (!text.at)
		return json_null();
	escape(scratch, text);
	string = json_stringn(scratch->at + start, scratch->len - start);
	scratch->len = start;
	return string;
}

static int append_json(const char *text, size_t len, void *out)
{
	buffer_append(out, text, len);
	return 0;
}

/* Appends a JSON object of the headers; of a name that occurs twice, the last value. */
static void headers_json(struct buffer *out, const struct input_record *record)
{
	struct header_list list = record_headers(record);
	json_t *headers = json_object();
	size_t start = out->len;

	for (size_t i = 0; i < list.count; i++) {
		json_t *value = escaped_json(out, list.at[i].value);

		escape(out, list.at[i].name);
		buffer_append(out, "", 1);
		if (json_object_set_new(headers, out->at + start, value) != 0)
			memory_exhausted();
		out->len = start;
	}
	if (!headers || json_dump_callback(headers, append_json, out, JSON_COMPACT) != 0)
		memory_exhausted();
	json_decref(headers);
}

struct dead_letter_row {
	struct span stage, reason, detail, topic; /* any bytes; detail may be null */
	int32_t partition;
	int64_t offset;
	enum reject_form form; /* REJECT_BARE: without bytes and headers */
};

/* Longest stage and reason in bytes: the primary key must fit into an index entry. */
#define STAGE_MAX  100
#define DETAIL_MAX 2000

static struct span cut(struct span text, size_t max)
{
	return (struct span){text.at, text.len < max ? text.len : max};
}

static struct span part(const struct buffer *scratch, size_t from, size_t to)
{
	return (struct span){scratch->at + from, to - from};
}

/* Appends stage, reason and topic one after the other; ends has the end of each. With partition and
 * offset they are the primary key of a row. */
static void escape_names(struct buffer *scratch, const struct dead_letter_row *row, size_t ends[3])
{
	scratch->len = 0;
	escape(scratch, cut(row->stage, STAGE_MAX));
	ends[0] = scratch->len;
	escape(scratch, cut(row->reason, STAGE_MAX));
	ends[1] = scratch->len;
	escape(scratch, cut(row->topic, TOPIC_NAME_MAX));
	ends[2] = scratch->len;
}

static void put_dead_letter(struct row_buffers *rows, const struct dead_letter_row *row,
                            const struct input_record *record, uint32_t source)
{
	struct buffer *scratch = &rows->scratch;
	bool bare = row->form == REJECT_BARE;
	struct span key = bare ? SPAN_NULL : record->key, value = bare ? SPAN_NULL : record->value;
	size_t names[3], detail, headers;
	char *at;

	escape_names(scratch, row, names);
	escape(scratch, cut(row->detail, DETAIL_MAX));
	detail = scratch->len;
	if (!bare)
		headers_json(scratch, record);
	headers = scratch->len;
	at = row_begin(rows, TARGET_DEAD_LETTERS,
	               12 * COPY_FIELD_MAX + scratch->len + key.len + value.len);
	at = copy_row_begin(at, 10);
	at = copy_text(at, part(scratch, 0, names[0]));
	at = copy_text(at, part(scratch, names[0], names[1]));
	at = detail > names[2] ? copy_text(at, part(scratch, names[2], detail)) : copy_null(at);
	at = copy_text(at, part(scratch, names[1], names[2]));
	at = copy_int4(at, row->partition);
	at = copy_int8(at, row->offset);
	at = copy_bytea(at, key);
	at = copy_bytea(at, value);
	at = bare ? copy_null(at) : copy_jsonb(at, part(scratch, detail, headers));
	at = copy_timestamptz(at, record->timestamp_ms * 1000);
	row_end(rows, TARGET_DEAD_LETTERS, at, source, 0, SPAN_NULL, TARGET_DEAD_LETTERS);
}

/* redrive writes a marker for each dead letter that it sends again. The marker repeats the primary
 * key of the dead letter's row. */
static void put_marker(struct row_buffers *rows, const struct dead_letter_row *row,
                       const struct input_record *record, uint32_t source)
{
	struct buffer *scratch = &rows->scratch;
	size_t names[3];
	char *at;

	escape_names(scratch, row, names);
	at = row_begin(rows, TARGET_REDRIVEN, 8 * COPY_FIELD_MAX + scratch->len);
	at = copy_row_begin(at, 6);
	at = copy_text(at, part(scratch, 0, names[0]));
	at = copy_text(at, part(scratch, names[0], names[1]));
	at = copy_text(at, part(scratch, names[1], names[2]));
	at = copy_int4(at, row->partition);
	at = copy_int8(at, row->offset);
	at = copy_timestamptz(at, record->timestamp_ms * 1000);
	row_end(rows, TARGET_REDRIVEN, at, source, 0, SPAN_NULL, TARGET_REDRIVEN);
}

enum reason dead_letter_row_add(struct row_buffers *rows, const struct input_record *record,
                                uint32_t source, char *detail, size_t cap)
{
	struct dead_letter_row row = {
		.stage = record_header(record, "__connect.errors.connector.name"),
		.reason = record_header(record, "__connect.errors.exception.class.name"),
		.detail = record_header(record, "__connect.errors.exception.message"),
		.topic = record_header(record, "__connect.errors.topic"),
	};
	int32_t marked_partition;
	int64_t partition, marked_offset;

	if (row.stage.len == 0 || row.reason.len == 0 || row.topic.len == 0)
		return row_reject(
			REASON_INVALID_HEADERS, detail, cap,
			"__connect.errors.connector.name, .exception.class.name or .topic");
	if (!header_integer(record, "__connect.errors.partition", INT32_MAX, &partition) ||
	    !header_integer(record, "__connect.errors.offset", INT64_MAX, &row.offset))
		return row_reject(REASON_INVALID_HEADERS, detail, cap,
		                  "__connect.errors.partition or .offset");
	row.partition = (int32_t)partition;
	if (redrive_marker_read(record, &marked_partition, &marked_offset))
		put_marker(rows, &row, record, source);
	else
		put_dead_letter(rows, &row, record, source);
	return REASON_NONE;
}

void dead_letter_row_reject(struct row_buffers *rows, const struct input_record *record,
                            uint32_t source, enum reason reason, const char *detail,
                            enum reject_form form)
{
	put_dead_letter(rows,
	                &(struct dead_letter_row){SPAN("loader"), span_of(reason_name(reason)),
	                                          span_of(detail), record->topic, record->partition,
	                                          record->offset, form},
	                record, source);
}
