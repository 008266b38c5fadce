/* Dead letters, counts and controls, in the form that other tools read. */
#include "base/span.h"
#include "event/event_fields.h"
#include "event/reason.h"
#include "fold_kit.h"
#include "stream/control.h"
#include "stream/dead_letter.h"
#include "stream/outbox.h"
#include "stream/outputs.h"
#include "stream/record.h"
#include "unit/fold_kit.h"
#include "wire/records_counts.h"
#include "wire/topics.h"

static const struct header original[] = {{{"source_file", 11}, {"a.csv", 5}},
                                         {{"control", 7}, {"end", 3}}};

static struct input_record some_record(void)
{
	return (struct input_record){.topic = SPAN("raw"),
	                             .offset = 1234567890123,
	                             .timestamp_ms = KIT_DAY0_US / 1000,
	                             .partition = 2,
	                             .key = SPAN("key"),
	                             .value = SPAN("{bytes}"),
	                             .headers = original,
	                             .header_count = 2};
}

Test(outputs, dead_letter_keeps_bytes_and_headers_and_has_the_reason_in_connects_headers)
{
	static const struct {
		const char *name, *want;
	} rows[] = {
		{"source_file", "a.csv"},
		{"__connect.errors.topic", "raw"},
		{"__connect.errors.partition", "2"},
		{"__connect.errors.offset", "1234567890123"},
		{"__connect.errors.connector.name", "test-service"},
		{"__connect.errors.exception.class.name", "invalid_price"},
		{"__connect.errors.exception.message",
	         "negative, not a number, or more than two decimals: -1"},
		{"source_time", "2019-10-01T00:00:00Z"},
	};
	struct outbox box = {0};
	struct counts counts = {0};
	struct input_record record = some_record();

	output_dead_letter(&box, kit_context(), &record, REASON_INVALID_PRICE, "-1", false,
	                   &counts);
	cr_assert_eq(box.count, 1);
	cr_assert_eq(box.at[0].topic, TOPIC_DEAD_LETTER);
	cr_assert_eq(box.at[0].partition, 0, "there is one partition of them here");
	cr_assert(span_is(box.at[0].key, "key"));
	cr_assert(span_is(box.at[0].value, "{bytes}"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct span got = kit_header(&box.at[0], rows[i].name);

		cr_assert(span_is(got, rows[i].want), "%s: '%.*s'", rows[i].name, (int)got.len,
		          got.at ? got.at : "");
	}
	cr_assert_eq(counts.dead[REASON_INVALID_PRICE], 1);
	outbox_free(&box);
}

Test(outputs, dead_letter_by_reference_has_no_bytes)
{
	struct outbox box = {0};
	struct counts counts = {0};
	struct input_record record = some_record();

	output_dead_letter(&box, kit_context(), &record, REASON_TOO_LATE_TO_DEDUPLICATE, NULL, true,
	                   &counts);
	cr_assert_null(box.at[0].value.at);
	cr_assert(span_is(box.at[0].key, "key"));
	cr_assert(span_is(kit_header(&box.at[0], "__connect.errors.exception.message"),
	                  reason_help(REASON_TOO_LATE_TO_DEDUPLICATE)));
	outbox_free(&box);
}

Test(outputs, dead_letter_of_a_restore_is_counted_and_not_sent)
{
	struct counts counts = {0};
	struct input_record record = some_record();

	output_dead_letter(NULL, kit_context(), &record, REASON_MALFORMED_JSON, NULL, false,
	                   &counts);
	cr_assert_eq(counts.dead[REASON_MALFORMED_JSON], 1);
}

Test(outputs, dead_letter_takes_any_number_of_headers_and_any_detail)
{
	struct header headers[100];
	struct outbox box = {0};
	struct counts counts = {0};
	struct input_record record = some_record();
	char detail[4096];

	for (int i = 0; i < 100; i++)
		headers[i] = (struct header){SPAN("h"), SPAN_NULL};
	memset(detail, 'x', sizeof(detail));
	detail[sizeof(detail) - 1] = '\0';
	record.headers = headers;
	record.header_count = 100;
	output_dead_letter(&box, kit_context(), &record, REASON_MALFORMED_JSON, detail, false,
	                   &counts);
	cr_assert(span_is(kit_header(&box.at[0], "__connect.errors.exception.class.name"),
	                  "malformed_json"));
	outbox_free(&box);
}

/* As the intake gives it: the headers are still in the message of the client library. */
static size_t read_original(const void *message, struct header *room)
{
	memcpy(room, message, sizeof(original));
	return sizeof(original) / sizeof(original[0]);
}

Test(outputs, dead_letter_of_a_record_with_unread_headers_has_them)
{
	struct header room[2];
	struct outbox box = {0}, unread_box = {0};
	struct counts counts = {0};
	struct input_record record = some_record(), unread = record;

	unread.headers = NULL;
	unread.header_count = 0;
	unread.read_headers = read_original;
	unread.message = original;
	unread.header_room = room;
	cr_assert(span_is(record_header(&unread, "source_file"), "a.csv"));
	output_dead_letter(&box, kit_context(), &record, REASON_INVALID_PRICE, "", false, &counts);
	output_dead_letter(&unread_box, kit_context(), &unread, REASON_INVALID_PRICE, "", false,
	                   &counts);
	cr_assert_eq(unread_box.at[0].header_count, box.at[0].header_count);
	for (size_t i = 0; i < box.at[0].header_count; i++) {
		const struct header *want = &box.at[0].headers[i];
		const struct header *got = &unread_box.at[0].headers[i];

		cr_assert(span_equal(got->name, want->name) && span_equal(got->value, want->value),
		          "header %zu is %s", i, got->name.at);
	}
	outbox_free(&box);
	outbox_free(&unread_box);
}

/* A compressed record may be larger than the limit of a dead letter: 8 MiB, see topics.c. */
Test(outputs, dead_letter_of_a_record_that_is_too_large_has_the_number_of_bytes_left_out)
{
	static char huge[9 * 1024 * 1024];
	static const struct span big = {huge, sizeof(huge)}, half = {huge, sizeof(huge) / 2};
	const struct header big_header[] = {{{"source_file", 11}, {"a.csv", 5}}, {SPAN("h"), big}};
	const struct {
		const char *label;
		struct input_record record;
		bool value, headers, key;
		const char *left_out;
	} rows[] = {
		{"fits",
	         {.key = SPAN("key"), .value = SPAN("v"), .headers = original, .header_count = 2},
	         true,
	         true,
	         true,
	         NULL},
		{"value",
	         {.key = SPAN("key"), .value = big, .headers = original, .header_count = 2},
	         false,
	         true,
	         true,
	         "9437184 bytes left out"},
		{"header",
	         {.key = SPAN("key"), .value = SPAN("v"), .headers = big_header, .header_count = 2},
	         false,
	         false,
	         true,
	         " bytes left out"},
		{"key",
	         {.key = big, .value = SPAN("v"), .headers = original, .header_count = 2},
	         false,
	         false,
	         false,
	         " bytes left out"},
		{"key and value together",
	         {.key = half, .value = half},
	         false,
	         true,
	         true,
	         " bytes left out"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct outbox box = {0};
		struct counts counts = {0};
		struct span message;
		char text[512];

		output_dead_letter(&box, kit_context(), &rows[i].record, REASON_OVERSIZED, "why",
		                   false, &counts);
		message = kit_header(&box.at[0], "__connect.errors.exception.message");
		snprintf(text, sizeof(text), "%.*s", (int)message.len, message.at);
		cr_assert_leq(box.bytes, 8 * 1024 * 1024 - 32 * 1024, "%s", rows[i].label);
		cr_assert_eq(box.at[0].value.at != NULL, rows[i].value, "%s", rows[i].label);
		cr_assert_eq(box.at[0].key.at != NULL, rows[i].key, "%s", rows[i].label);
		cr_assert(!rows[i].headers || rows[i].record.header_count == 0 ||
		                  kit_header(&box.at[0], "source_file").at,
		          "%s", rows[i].label);
		cr_assert_eq(strstr(text, "left out") != NULL, rows[i].left_out != NULL, "%s: %s",
		             rows[i].label, text);
		cr_assert(!rows[i].left_out || strstr(text, rows[i].left_out), "%s: %s",
		          rows[i].label, text);
		cr_assert(strstr(text, "why"), "%s: %s", rows[i].label, text);
		cr_assert_eq(counts.dead[REASON_OVERSIZED], 1);
		outbox_free(&box);
	}
}

Test(outputs, counts_are_keyed_by_service_topic_and_partition)
{
	struct outbox box = {0};
	struct counts counts = {.records_in = 10, .records_out = 7, .duplicates = 1, .late = 3};
	struct counts_record again;
	int64_t unknown;

	counts.dead[REASON_OVERSIZED] = 2;
	counts.unreadable[FIELD_BRAND] = 4;
	counts.duplicates_other_price = 1;
	output_counts(&box, kit_context(), SPAN("raw"), 3, &counts, 99);
	cr_assert(span_is(box.at[0].key, "test-service|raw|3"));
	cr_assert_eq(box.at[0].topic, TOPIC_COUNTS);
	cr_assert(counts_decode(kit_body(&box.at[0]), &again, &unknown, NULL));
	cr_assert(again.partition == 3 && again.revision == 99 && unknown == 0);
	cr_assert_arr_eq(&again.counts, &counts, sizeof(counts));
	cr_assert_null(again.stages.at);
	outbox_free(&box);
}

Test(outputs, counts_have_the_stages_that_the_service_counts)
{
	struct outbox box = {0};
	struct output_context context = *kit_context();
	struct counts counts = {0};
	struct counts_record again;
	int64_t unknown;

	context.stages = "view,cart,checkout";
	output_counts(&box, &context, SPAN("bronze"), 0, &counts, 1);
	cr_assert(counts_decode(kit_body(&box.at[0]), &again, &unknown, NULL));
	cr_assert(span_is(again.stages, "view,cart,checkout"));
	outbox_free(&box);
}

Test(outputs, control_is_read_from_headers)
{
	static const struct {
		const char *kind, *time;
		enum control_kind want;
	} rows[] = {
		{NULL, NULL, CONTROL_NONE},
		{NULL, "2019-10-01T00:00:00Z", CONTROL_NONE},
		{"begin", "2019-10-01T00:00:00Z", CONTROL_BEGIN},
		{"jump", "2019-10-01T00:00:00Z", CONTROL_JUMP},
		{"end", NULL, CONTROL_END},
		{"begin", NULL, CONTROL_INVALID},
		{"jump", "yesterday", CONTROL_INVALID},
		{"pause", "2019-10-01T00:00:00Z", CONTROL_INVALID},
		{"", NULL, CONTROL_INVALID},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct header headers[2];
		struct input_record record = {.headers = headers};
		struct control control;

		if (rows[i].kind)
			headers[record.header_count++] =
				(struct header){SPAN("control"), span_of(rows[i].kind)};
		if (rows[i].time)
			headers[record.header_count++] =
				(struct header){SPAN("event_time"), span_of(rows[i].time)};
		control = control_read(&record);
		cr_assert_eq(control.kind, rows[i].want, "row %zu", i);
		if (control.kind == CONTROL_BEGIN || control.kind == CONTROL_JUMP)
			cr_assert_eq(control.event_time_us, KIT_DAY0_US);
	}
}

Test(outputs, topics_have_their_names)
{
	cr_assert_str_eq(topic_of(TOPIC_BRONZE_EVENTS)->suffix, "bronze_events");
	cr_assert_str_eq(topic_of(TOPIC_DEAD_LETTER)->suffix, "dead_letter");
	cr_assert_str_eq(topic_of(TOPIC_LATE_EVENTS)->suffix, "late_events");
	cr_assert_str_eq(topic_of(TOPIC_COUNTS)->suffix, "counts");
	cr_assert_str_eq(topic_of(TOPIC_SESSION_FUNNELS)->suffix, "session_funnels");
	cr_assert_str_eq(topic_of(TOPIC_FUNNEL_PARTIALS)->suffix, "funnel_partials");
	cr_assert_str_eq(topic_of(TOPIC_AGGREGATED_EVENTS)->suffix, "aggregated_events");
	cr_assert_str_eq(topic_of(TOPIC_PRODUCER_STATE)->suffix, "producer_state");
}
