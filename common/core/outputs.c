/* Dead letters carry the header names of Kafka Connect, values as text, so that tools made
 * for those work here too: exception.class.name is the reason code, exception.message says
 * what was found. There is no stack to trace. */
#include "outputs.h"

#include <inttypes.h>
#include <stdio.h>

#include "partitioner.h"
#include "timetext.h"

#define KEPT_HEADERS_MAX 32
/* What the topic and our producer take (topics.c), less what is added here. A record may well be larger: packed, it came
 * in a batch that was small. */
#define KEPT_BYTES_MAX (8 * 1024 * 1024 - 64 * 1024)

void output_keyed(struct outbox *out, const struct output_terms *terms, enum topic_id topic, struct span partition_key, struct span key,
                  struct span value)
{
	outbox_add(out, topic, partition_of(partition_key, terms->partition_count[topic]), key, value, NULL, 0);
}

static size_t original_headers(const struct input_record *record, struct header *headers)
{
	size_t count = record->header_count < KEPT_HEADERS_MAX ? record->header_count : KEPT_HEADERS_MAX;

	for (size_t i = 0; i < count; i++)
		headers[i] = record->headers[i];
	return count;
}

/* Leaves out the value, then the headers, then the key, until the rest fits; gives the bytes left out. */
static size_t fit(struct span *key, struct span *value, const struct header *headers, size_t *header_count)
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

void output_dead_letter(struct outbox *out, const struct output_terms *terms, const struct input_record *record, enum reason reason,
                        const char *detail, bool by_reference, struct counts *counts)
{
	struct header headers[KEPT_HEADERS_MAX + 11];
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
	snprintf(message, sizeof(message), "%s%s%.300s%s", reason_help(reason), detail && *detail ? ": " : "", detail ? detail : "", cut);
	time_format_iso(record->timestamp_ms * 1000, time);
	headers[n++] = (struct header){SPAN("__connect.errors.topic"), record->topic};
	headers[n++] = (struct header){SPAN("__connect.errors.partition"), span_of(partition)};
	headers[n++] = (struct header){SPAN("__connect.errors.offset"), span_of(offset)};
	headers[n++] = (struct header){SPAN("__connect.errors.connector.name"), span_of(terms->service)};
	headers[n++] = (struct header){SPAN("__connect.errors.task.id"), span_of(partition)};
	headers[n++] = (struct header){SPAN("__connect.errors.stage"), SPAN("VALUE_CONVERTER")};
	headers[n++] = (struct header){SPAN("__connect.errors.class.name"), span_of(terms->service)};
	headers[n++] = (struct header){SPAN("__connect.errors.exception.class.name"), span_of(reason_name(reason))};
	headers[n++] = (struct header){SPAN("__connect.errors.exception.message"), span_of(message)};
	headers[n++] = (struct header){SPAN("__connect.errors.exception.stacktrace"), SPAN("")};
	headers[n++] = (struct header){SPAN("source_time"), span_of(time)};
	outbox_add(out, TOPIC_DEAD_LETTER, record->partition % terms->partition_count[TOPIC_DEAD_LETTER], key, value, headers, n);
}

void output_counts(struct outbox *out, const struct output_terms *terms, struct span topic, int32_t partition, const struct counts *counts,
                   int64_t revision)
{
	struct counts_record record = {span_of(terms->service), topic, partition, *counts, revision};
	struct buffer value = {0};
	char key[RECORD_KEY_MAX];
	int len = snprintf(key, sizeof(key), "%s|%.*s|%" PRId32, terms->service, (int)topic.len, topic.at, partition);

	counts_encode(&value, terms->schema_id[SCHEMA_COUNTS], &record);
	output_keyed(out, terms, TOPIC_COUNTS, (struct span){key, (size_t)len}, (struct span){key, (size_t)len},
	             (struct span){value.at, value.len});
	buffer_free(&value);
}

struct control control_read(const struct input_record *record)
{
	struct span kind = record_header(record, "control");
	struct control control = {CONTROL_INVALID, 0};

	if (!kind.at)
		return (struct control){CONTROL_NONE, 0};
	if (span_is(kind, "end"))
		control.kind = CONTROL_END;
	else if (time_parse(record_header(record, "event_time"), &control.event_time_us))
		control.kind = span_is(kind, "begin") ? CONTROL_BEGIN : span_is(kind, "jump") ? CONTROL_JUMP : CONTROL_INVALID;
	return control;
}
