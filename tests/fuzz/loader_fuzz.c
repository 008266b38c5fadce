/* Records of any bytes, in the topics that pg-loader reads. Each becomes a row in COPY's binary
 * format that PostgreSQL accepts: with the right number of fields, each in the form and range of
 * its type. So the bytes of a record can only be values, and PostgreSQL refuses none of these
 * rows. The same is true of the sums of events. */
#include <jansson.h>

#include "base/span.h"
#include "base/utf8.h"
#include "copy_binary.h"
#include "event/reason.h"
#include "event_row.h"
#include "event_sums.h"
#include "fuzz.h"
#include "fuzz/fuzz.h"
#include "load_batch.h"
#include "row_buffers.h"
#include "stream/outbox.h"
#include "stream/record.h"
#include "targets.h"
#include "wire/topics.h"

#define RECORDS_MAX 8
#define HEADERS_MAX 12

/* The columns of each target: u uuid, t timestamptz, d date, x text, 8 4 2 integers, n numeric, b
 * bool, c "char", y bytea, j jsonb, a text[]. */
#define EVENT "tdx88xxn8xx848t"
static const char *const columns[TARGET_COUNT] = {
	[TARGET_EVENTS] = "44uut888tdcc8xn",    [TARGET_AGGREGATES] = "xttx88888n8888888888b8",
	[TARGET_VISIT_REMOVALS] = "tucx",       [TARGET_VISITS] = "44tucxt8444444n2x88bbb8",
	[TARGET_LATE_EVENTS] = "ua" EVENT "48", [TARGET_COUNTS] = "xx488888j8tj8x",
	[TARGET_DEAD_LETTERS] = "xxxx48yyjt",   [TARGET_CONTROLS] = "x4x8848t8",
};

/* ---- reading rows back */

static int64_t take_integer(struct span *row, size_t bytes)
{
	uint64_t value = 0;

	fuzz_check(row->len >= bytes);
	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | (unsigned char)row->at[i];
	*row = (struct span){row->at + bytes, row->len - bytes};
	return (int64_t)(value << (64 - 8 * bytes)) >> (64 - 8 * bytes);
}

static void check_text(struct span text)
{
	fuzz_check(utf8_valid_length(text) == text.len &&
	           (text.len == 0 || !memchr(text.at, '\0', text.len)));
}

static void check_numeric(struct span field)
{
	int64_t count = take_integer(&field, 2), weight = take_integer(&field, 2),
		sign = take_integer(&field, 2), scale = take_integer(&field, 2);

	fuzz_check(count >= 0 && (sign == 0 || sign == 0x4000) && scale == 2 && weight >= -1 &&
	           weight < 6);
	for (; count > 0; count--) {
		int64_t digit = take_integer(&field, 2);

		fuzz_check(digit >= 0 && digit <= 9999);
	}
	fuzz_check(field.len == 0);
}

static void check_jsonb(struct span field)
{
	json_error_t error;
	json_t *json;

	fuzz_check(take_integer(&field, 1) == 1);
	check_text(field);
	json = json_loadb(field.at, field.len, 0, &error);
	fuzz_check(json_is_object(json));
	json_decref(json);
}

static void check_array(struct span field)
{
	int64_t dimensions = take_integer(&field, 4), has_null = take_integer(&field, 4),
		type = take_integer(&field, 4), count;

	fuzz_check(dimensions == 1 && has_null == 0 && type == 25);
	count = take_integer(&field, 4);
	fuzz_check(count > 0 && take_integer(&field, 4) == 1);
	for (; count > 0; count--) {
		int64_t len = take_integer(&field, 4);

		fuzz_check(len > 0 && (size_t)len <= field.len);
		check_text((struct span){field.at, (size_t)len});
		field = (struct span){field.at + len, field.len - (size_t)len};
	}
	fuzz_check(field.len == 0);
}

static void check_field(char type, struct span field)
{
	switch (type) {
	case 'u': fuzz_check(field.len == 16); break;
	case '8': fuzz_check(field.len == 8); break;
	case '4':
	case 'd': fuzz_check(field.len == 4); break;
	case '2': fuzz_check(field.len == 2); break;
	case 'c': fuzz_check(field.len == 1); break;
	case 'b': fuzz_check(field.len == 1 && (unsigned char)*field.at <= 1); break;
	case 'x': check_text(field); break;
	case 'y': break;
	case 'n': check_numeric(field); break;
	case 'j': check_jsonb(field); break;
	case 'a': check_array(field); break;
	case 't': { /* the limits of PostgreSQL: 4714 BC to 294276 */
		fuzz_check(field.len == 8);
		int64_t time_us = take_integer(&field, 8);

		fuzz_check(time_us >= INT64_C(-211813488000000000) &&
		           time_us < INT64_C(9223371331200000000));
		break;
	}
	default: fuzz_check(!"a type");
	}
}

/* ---- sums */

static char element_type(int64_t oid)
{
	switch ((enum copy_element)oid) {
	case COPY_INT2: return '2';
	case COPY_INT4: return '4';
	case COPY_INT8: return '8';
	case COPY_NUMERIC: return 'n';
	case COPY_TIMESTAMPTZ: return 't';
	case COPY_TEXT: return 'x';
	case COPY_UUID: return 'u';
	}
	return '?';
}

static void check_elements(struct span field)
{
	int64_t dimensions = take_integer(&field, 4), has_null = take_integer(&field, 4), count;
	char type = element_type(take_integer(&field, 4));

	fuzz_check(dimensions == 0 || dimensions == 1);
	count = dimensions ? take_integer(&field, 4) : 0;
	fuzz_check(dimensions == 0 || (count > 0 && take_integer(&field, 4) == 1));
	for (; count > 0; count--) {
		int64_t len = take_integer(&field, 4);

		if (len == -1) {
			fuzz_check(has_null);
			continue;
		}
		fuzz_check(len >= 0 && (size_t)len <= field.len);
		check_field(type, (struct span){field.at, (size_t)len});
		field = (struct span){field.at + len, field.len - (size_t)len};
	}
	fuzz_check(field.len == 0);
}

static void check_sums(struct span rows, int64_t events)
{
	while (rows.len) {
		int64_t count = take_integer(&rows, 2);

		for (int64_t i = 0; i < count; i++) {
			int64_t len = take_integer(&rows, 4);

			fuzz_check(len >= 0 && (size_t)len <= rows.len);
			if (i >= 2)
				check_elements((struct span){rows.at, (size_t)len});
			else if (i == 1)
				events -= take_integer(&(struct span){rows.at, (size_t)len}, 8);
			rows = (struct span){rows.at + len, rows.len - (size_t)len};
		}
	}
	fuzz_check(events == 0);
}

static void sum_up(const struct load_batch *batch)
{
	struct event_sums *sums = event_sums_new();
	struct buffer out = {0};

	for (uint32_t i = 0; i < batch->rows.count; i++) {
		const struct load_row *row = &batch->rows.at[i];
		struct event_label label;
		struct event_source source;
		struct bronze_event event;
		uint8_t session[SESSION_ID_BYTES];

		if (!row->live || row->target != TARGET_EVENTS)
			continue;
		label = entries_label(&batch->rows.labels, row->label);
		source = entries_source(&batch->rows.origins, row->origin);
		event_row_read((struct span){batch->rows.bytes[TARGET_EVENTS].at + row->at,
		                             row->len},
		               &label, &source, &event, session);
		event_sums_add(sums, &event, session);
	}
	event_sums_write(sums, &out);
	check_sums((struct span){out.at, out.len}, batch->rows.live[TARGET_EVENTS]);
	buffer_free(&out);
	event_sums_free(sums);
}

static void check_row(const struct load_batch *batch, const struct load_row *row)
{
	const char *types = columns[row->target];
	struct span bytes = {batch->rows.bytes[row->target].at + row->at, row->len};

	fuzz_check(row->at + row->len <= batch->rows.bytes[row->target].len);
	fuzz_check(take_integer(&bytes, 2) == (int64_t)strlen(types));
	for (; *types; types++) {
		int64_t len = take_integer(&bytes, 4);

		if (len == -1)
			continue;
		fuzz_check(len >= 0 && (size_t)len <= bytes.len);
		check_field(*types, (struct span){bytes.at, (size_t)len});
		bytes = (struct span){bytes.at + len, bytes.len - (size_t)len};
	}
	fuzz_check(bytes.len == 0);
}

/* ---- records */

static struct span any_header_name(struct fuzz_reader *in)
{
	static const char *const names[] = {"control",
	                                    "segment",
	                                    "rows",
	                                    "raw_offset",
	                                    "late_for",
	                                    "source_partition",
	                                    "source_offset",
	                                    "__connect.errors.topic",
	                                    "__connect.errors.partition",
	                                    "__connect.errors.offset",
	                                    "__connect.errors.connector.name",
	                                    "__connect.errors.exception.class.name",
	                                    "__connect.errors.exception.message"};
	uint8_t name = fuzz_byte(in);

	return name < sizeof(names) / sizeof(names[0]) ? span_of(names[name]) : fuzz_text(in);
}

static struct input_record any_record(struct fuzz_reader *in, struct header headers[HEADERS_MAX],
                                      int64_t offset)
{
	uint8_t form = fuzz_byte(in), header_count = fuzz_byte(in) % (HEADERS_MAX + 1);
	struct input_record record = {.topic = SPAN("topic"),
	                              .offset = offset,
	                              .partition = form & 3,
	                              .detail = "why",
	                              .headers = headers};

	record.timestamp_ms = record_time_clamp_ms(
		form & 4 ? fuzz_int64(in) : 1569888000000); /* as every reader does */
	record.key = form & 8 ? SPAN_NULL : fuzz_text(in);
	for (; record.header_count < header_count; record.header_count++) {
		headers[record.header_count].name = any_header_name(in);
		headers[record.header_count].value =
			form & 16 && record.header_count == 0 ? SPAN_NULL : fuzz_text(in);
	}
	if (form & 32)
		record.refused = (enum reason)(1 + fuzz_byte(in) % (REASON_COUNT - 1));
	record.value = form & 64 ? SPAN_NULL : fuzz_take(in, (size_t)fuzz_byte(in) * 2);
	record.body = record.value;
	return record;
}

static size_t no_headers(void *message, struct header headers[LOAD_HEADERS_MAX])
{
	(void)message;
	(void)headers;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum topic_id topics[] = {
		TOPIC_BRONZE_EVENTS,   TOPIC_LATE_EVENTS,       TOPIC_COUNTS,
		TOPIC_SESSION_FUNNELS, TOPIC_AGGREGATED_EVENTS, TOPIC_DEAD_LETTER};
	struct fuzz_reader in = {(const char *)data, size};
	struct load_batch batch = {.bronze_partition_count = 4, .read_headers = no_headers};
	struct header headers[HEADERS_MAX];
	uint8_t refuse = fuzz_byte(&in);

	for (int64_t offset = 0; in.left && offset < RECORDS_MAX; offset++) {
		enum topic_id topic = topics[fuzz_byte(&in) % 6];
		struct input_record record = any_record(&in, headers, offset);
		int64_t rejects = batch.rejects[REASON_NONE];
		uint32_t rows = batch.rows.count;
		enum load_result result = load_batch_add(&batch, topic, &record, NULL);

		fuzz_check(batch.rejects[REASON_NONE] == rejects);
		fuzz_check(batch.rows.count == rows + 1 ||
		           (result == LOAD_CONTROL && batch.rows.count == rows));
		fuzz_check(result != LOAD_REJECTED ||
		           batch.rows.at[rows].target == TARGET_DEAD_LETTERS);
	}
	for (uint32_t i = 0; i < batch.rows.count; i++)
		check_row(&batch, &batch.rows.at[i]);
	sum_up(&batch);
	if (batch.rows.count &&
	    load_batch_reject_row(&batch, refuse % batch.rows.count, "PostgreSQL's message\n\"'\\"))
		check_row(&batch, &batch.rows.at[batch.rows.count - 1]);
	load_batch_free(&batch);
	return 0;
}
