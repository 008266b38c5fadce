/* Dead letters have the header names of Kafka Connect with values as text, so that tools for Kafka
 * Connect can read them. exception.class.name is the reason code. exception.message has the reason
 * in words and the value that was found. The stack trace is empty. */
#include "stream/dead_letter.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"
#include "base/timetext.h"
#include "wire/topics.h"

#define KEPT_HEADERS_MAX 32
/* The limit of the topic and of our producer (topics.c), less the headers added here. An input
 * record can be larger than that: the broker checks the size of the compressed batch. */
#define KEPT_BYTES_MAX (8 * 1024 * 1024 - 64 * 1024)

/* The headers that output_dead_letter adds, in its order. */
static const char *const letter_headers[DEAD_LETTER_HEADERS] = {
	"__connect.errors.topic",
	"__connect.errors.partition",
	"__connect.errors.offset",
	"__connect.errors.connector.name",
	"__connect.errors.task.id",
	"__connect.errors.stage",
	"__connect.errors.class.name",
	"__connect.errors.exception.class.name",
	DEAD_LETTER_HEADER_DETAIL,
	"__connect.errors.exception.stacktrace",
	"source_time",
};
enum {
	LETTER_TOPIC = 0,
	LETTER_PARTITION = 1,
	LETTER_OFFSET = 2,
	LETTER_SERVICE = 3,
	LETTER_REASON = 7
};

static size_t original_headers(const struct input_record *record, struct header *headers)
{
	struct header_list all = record_headers(record);
	size_t count = all.count < KEPT_HEADERS_MAX ? all.count : KEPT_HEADERS_MAX;

	for (size_t i = 0; i < count; i++)
		headers[i] = all.at[i];
	return count;
}

/* Leaves out the value, then the headers, then the key, until the rest fits. Returns the number of
 * bytes left out. */
static size_t fit(struct span *key, struct span *value, const struct header *headers,
                  size_t *header_count)
{
	size_t header_bytes = 0, left_out = 0;

	for (size_t i = 0; i < *header_count; i++)
		header_bytes += headers[i].name.len + headers[i].value.len;
	if (key->len + value->len + header_bytes > KEPT_BYTES_MAX) {
		left_out += value->len;
		*value = SPAN_NULL;
	}
	if (key->len + header_bytes > KEPT_BYTES_MAX) {
		left_out += header_bytes;
		*header_count = 0;
	}
	if (key->len > KEPT_BYTES_MAX) {
		left_out += key->len;
		*key = SPAN_NULL;
	}
	return left_out;
}

void output_dead_letter(struct outbox *out, const struct output_context *context,
                        const struct input_record *record, enum reason reason, const char *detail,
                        bool by_reference, struct counts *counts)
{
	struct header headers[KEPT_HEADERS_MAX + DEAD_LETTER_HEADERS];
	struct span key = record->key, value = by_reference ? SPAN_NULL : record->value;
	char partition[16], offset[24], time[32], message[512], cut[64] = "";
	size_t n, left_out;

	counts->dead[reason]++;
	if (!out)
		return;
	n = original_headers(record, headers);
	left_out = fit(&key, &value, headers, &n);
	if (left_out)
		snprintf(cut, sizeof(cut), "; %zu bytes left out", left_out);
	snprintf(partition, sizeof(partition), "%" PRId32, record->partition);
	snprintf(offset, sizeof(offset), "%" PRId64, record->offset);
	snprintf(message, sizeof(message), "%s%s%.300s%s", reason_help(reason),
	         detail && *detail ? ": " : "", detail ? detail : "", cut);
	time_format_iso(record->timestamp_ms * 1000, time);
	headers[n++] = (struct header){SPAN("__connect.errors.topic"), record->topic};
	headers[n++] = (struct header){SPAN("__connect.errors.partition"), span_of(partition)};
	headers[n++] = (struct header){SPAN("__connect.errors.offset"), span_of(offset)};
	headers[n++] =
		(struct header){SPAN("__connect.errors.connector.name"), span_of(context->service)};
	headers[n++] = (struct header){SPAN("__connect.errors.task.id"), span_of(partition)};
	headers[n++] = (struct header){SPAN("__connect.errors.stage"), SPAN("VALUE_CONVERTER")};
	headers[n++] =
		(struct header){SPAN("__connect.errors.class.name"), span_of(context->service)};
	headers[n++] = (struct header){SPAN("__connect.errors.exception.class.name"),
	                               span_of(reason_name(reason))};
	headers[n++] =
		(struct header){SPAN("__connect.errors.exception.message"), span_of(message)};
	headers[n++] = (struct header){SPAN("__connect.errors.exception.stacktrace"), SPAN("")};
	headers[n++] = (struct header){SPAN("source_time"), span_of(time)};
	outbox_add(out, TOPIC_DEAD_LETTER,
	           record->partition % context->partition_count[TOPIC_DEAD_LETTER], key, value,
	           headers, n);
}

bool dead_letter_read(const struct input_record *record, struct dead_letter *letter)
{
	struct header_list headers = record_headers(record);
	const struct header *added;
	int64_t partition;

	if (headers.count < DEAD_LETTER_HEADERS)
		return false;
	added = headers.at + (headers.count - DEAD_LETTER_HEADERS);
	for (int i = 0; i < DEAD_LETTER_HEADERS; i++)
		if (!span_is(added[i].name, letter_headers[i]))
			return false;
	*letter = (struct dead_letter){.service = added[LETTER_SERVICE].value,
	                               .reason = added[LETTER_REASON].value,
	                               .source_topic = added[LETTER_TOPIC].value,
	                               .own_headers = headers.count - DEAD_LETTER_HEADERS};
	if (!number_parse_span(added[LETTER_PARTITION].value, INT32_MAX, &partition) ||
	    !number_parse_span(added[LETTER_OFFSET].value, INT64_MAX, &letter->source_offset))
		return false;
	letter->source_partition = (int32_t)partition;
	return letter->service.len && letter->reason.len && letter->source_topic.len;
}

/* "<partition>/<offset>" */
static bool location_read(struct span text, int32_t *partition, int64_t *offset)
{
	const char *slash = text.at ? memchr(text.at, '/', text.len) : NULL;
	int64_t number;

	if (!slash ||
	    !number_parse_span((struct span){text.at, (size_t)(slash - text.at)}, INT32_MAX,
	                       &number) ||
	    !number_parse_span((struct span){slash + 1, text.len - (size_t)(slash + 1 - text.at)},
	                       INT64_MAX, offset))
		return false;
	*partition = (int32_t)number;
	return true;
}

bool redrive_marker_read(const struct input_record *record, int32_t *partition, int64_t *offset)
{
	struct header_list headers = record_headers(record);
	const struct header *last = headers.count ? &headers.at[headers.count - 1] : NULL;

	return last && span_is(last->name, REDRIVE_HEADER_MARKER) &&
	       location_read(last->value, partition, offset);
}
