/* struct head | text | error | spans
 *
 * The text is the raw row, then the values that lie outside it (unquoted fields, names of columns).
 * A span is two numbers with 7 bits per byte: its length + 1 (0: no value), and its distance from
 * the byte after the separator that follows the span before it. So a field of a plain CSV row takes
 * two bytes. The lowest bit of a distance is its sign. */
#include "packed_row.h"

#include <stdint.h>
#include <string.h>

#include "base/span.h"
#include "event/event.h"

#define NUMBER_MAX 10 /* bytes of the longest number */
#define SPANS_MAX  (EVENT_FIELD_COUNT + 2 * ROW_COLUMNS_MAX)

struct head {
	int64_t event_time_us, row, byte_offset;
	int32_t file;
	uint32_t raw_len, text_len;
	uint8_t error_len, extra_count;
	bool unmapped_type;
};

/* The fields, then name and value of each extra. A row with an error has none. */
struct spans {
	struct span at[SPANS_MAX];
	size_t count;
};

static void spans_of(const struct row *row, struct spans *spans)
{
	spans->count = row->error[0] ? 0 : EVENT_FIELD_COUNT;
	memcpy(spans->at, row->fields, spans->count * sizeof(struct span));
	for (size_t i = 0; i < row->extra_count && spans->count > 0; i++) {
		spans->at[spans->count++] = row->extras[i].name;
		spans->at[spans->count++] = row->extras[i].value;
	}
}

static char *put_number(char *out, uint64_t number)
{
	for (; number >= 128; number >>= 7)
		*out++ = (char)(unsigned char)(number | 128);
	*out++ = (char)(unsigned char)number;
	return out;
}

static const char *take_number(const char *at, uint64_t *number)
{
	*number = 0;
	for (unsigned shift = 0;; shift += 7) {
		unsigned char byte = (unsigned char)*at++;

		*number |= (uint64_t)(byte & 127) << shift;
		if (byte < 128)
			return at;
	}
}

/* Offset of a span in the text. A span outside the raw row is added to the text. */
static size_t place(char *text, size_t *text_len, struct span span, struct span raw)
{
	size_t offset = (uintptr_t)span.at - (uintptr_t)raw.at;

	if (!span.at)
		return 0;
	if (raw.at && offset <= raw.len && span.len <= raw.len - offset)
		return offset;
	offset = *text_len;
	memcpy(text + offset, span.at, span.len);
	*text_len += span.len;
	return offset;
}

static char *put_span(char *out, size_t *expected, struct span span, size_t offset)
{
	int64_t distance = (int64_t)offset - (int64_t)*expected;

	if (!span.at)
		return put_number(out, 0);
	*expected = offset + span.len + 1;
	out = put_number(out, span.len + 1);
	return put_number(out,
	                  distance < 0 ? (uint64_t)-distance << 1 | 1 : (uint64_t)distance << 1);
}

static const char *take_span(const char *at, const char *text, size_t *expected, struct span *span)
{
	uint64_t len, distance;
	size_t offset;

	*span = SPAN_NULL;
	at = take_number(at, &len);
	if (len == 0)
		return at;
	at = take_number(at, &distance);
	offset = (distance & 1) ? *expected - (distance >> 1) : *expected + (distance >> 1);
	*span = (struct span){text + offset, len - 1};
	*expected = offset + span->len + 1;
	return at;
}

size_t packed_row_max(const struct row *row)
{
	size_t bytes = sizeof(struct head) + row->raw.len + sizeof(row->error);

	if (row->error[0])
		return bytes;
	for (size_t i = 0; i < EVENT_FIELD_COUNT; i++)
		bytes += row->fields[i].len + 2 * NUMBER_MAX;
	for (size_t i = 0; i < row->extra_count; i++)
		bytes += row->extras[i].name.len + row->extras[i].value.len + 4 * NUMBER_MAX + 1;
	return bytes;
}

static struct head head_of(const struct row *row, const struct spans *spans, size_t text_len,
                           size_t error_len)
{
	return (struct head){.event_time_us = row->event_time_us,
	                     .row = row->position.row,
	                     .byte_offset = row->position.byte_offset,
	                     .file = row->position.file,
	                     .raw_len = (uint32_t)row->raw.len,
	                     .text_len = (uint32_t)text_len,
	                     .error_len = (uint8_t)error_len,
	                     .extra_count = spans->count > 0 ? (uint8_t)row->extra_count : 0,
	                     .unmapped_type = row->unmapped_type};
}

size_t packed_row_write(const struct row *row, char *out)
{
	size_t offsets[SPANS_MAX], text_len = row->raw.len, error_len = strlen(row->error);
	char *text = out + sizeof(struct head), *end;
	size_t expected = 0;
	struct spans spans;
	struct head head;

	spans_of(row, &spans);
	if (row->raw.len > 0)
		memcpy(text, row->raw.at, row->raw.len);
	for (size_t i = 0; i < spans.count; i++)
		offsets[i] = place(text, &text_len, spans.at[i], row->raw);
	head = head_of(row, &spans, text_len, error_len);
	memcpy(out, &head, sizeof(head));
	end = text + text_len;
	memcpy(end, row->error, error_len);
	end += error_len;
	for (size_t i = 0; i < spans.count; i++)
		end = put_span(end, &expected, spans.at[i], offsets[i]);
	for (size_t i = 0; i < head.extra_count; i++)
		*end++ = row->extras[i].text;
	return (size_t)(end - out);
}

void packed_row_read(const char *bytes, struct row_extra *extras, struct row *row)
{
	const char *text = bytes + sizeof(struct head), *at;
	size_t expected = 0;
	struct head head;

	memcpy(&head, bytes, sizeof(head));
	at = text + head.text_len;
	row->raw = (struct span){text, head.raw_len};
	row->event_time_us = head.event_time_us;
	row->position = (struct row_position){head.file, head.row, head.byte_offset};
	row->source_file = NULL;
	row->unmapped_type = head.unmapped_type;
	row->extras = extras;
	row->extra_count = head.extra_count;
	memcpy(row->error, at, head.error_len);
	row->error[head.error_len] = '\0';
	at += head.error_len;
	for (size_t i = 0; i < EVENT_FIELD_COUNT && head.error_len == 0; i++)
		at = take_span(at, text, &expected, &row->fields[i]);
	for (size_t i = 0; i < head.extra_count; i++) {
		at = take_span(at, text, &expected, &extras[i].name);
		at = take_span(at, text, &expected, &extras[i].value);
	}
	for (size_t i = 0; i < head.extra_count; i++)
		extras[i].text = *at++ != 0;
}
