/* The lines that funnel-tail prints: each topic, controls, tombstones, hostile bytes, filters. */
#include <criterion/criterion.h>
#include <jansson.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "base/timetext.h"
#include "event/clock.h"
#include "stream/dead_letter.h"
#include "stream/outbox.h"
#include "stream/record.h"
#include "tail_filter.h"
#include "tail_record.h"
#include "unit/fold_kit.h"
#include "wire/frame.h"
#include "wire/schemas.h"

#define TIME_MS INT64_C(1764421200123) /* 2025-11-29T13:00:00.123Z */

static struct buffer line;

static struct input_record record_of(struct span value, const struct header *headers, size_t count)
{
	return (struct input_record){.topic = SPAN("t"),
	                             .partition = 3,
	                             .offset = 17,
	                             .timestamp_ms = TIME_MS,
	                             .key = SPAN("key"),
	                             .value = value,
	                             .body = value,
	                             .detail = "",
	                             .headers = headers,
	                             .header_count = count};
}

/* The text of one line without its line end; valid until the next call. */
static const char *print(enum topic_id topic, enum tail_format format,
                         const struct input_record *record)
{
	struct tail_record tail;

	line.len = 0;
	tail_record_read(&tail, topic, record);
	tail_record_write(&tail, format, &line);
	tail_record_end(&tail);
	cr_assert_gt(line.len, 0);
	cr_assert_eq(line.at[line.len - 1], '\n');
	line.at[line.len - 1] = '\0';
	return line.at;
}

/* Parses the JSON form, which must be one line. The caller releases it. */
static json_t *parse(enum topic_id topic, const struct input_record *record)
{
	const char *text = print(topic, TAIL_JSON, record);
	json_error_t error;
	json_t *parsed = json_loads(text, JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, &error);

	cr_assert(parsed, "%s: %s", error.text, text);
	cr_assert_not(strchr(text, '\n'), "%s", text);
	return parsed;
}

/* Encodes into a value with its frame, and sets the record's body as the decoder of frames does. */
static struct input_record framed(const struct buffer *bytes)
{
	struct input_record record = record_of((struct span){bytes->at, bytes->len}, NULL, 0);

	record.body = (struct span){bytes->at + FRAME_BYTES, bytes->len - FRAME_BYTES};
	return record;
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "(none)";
}

/* ---- each topic */

static struct bronze_event bronze_example(void)
{
	return (struct bronze_event){
		.event_id = {0x12, 0x34},
		.event = {.event_time_us = KIT_DAY0_US + 1500000,
	                  .product_id = 7,
	                  .user_id = 9,
	                  .price_cents = 340,
	                  .category_code = SPAN("electronics.smartphone"),
	                  .user_session = SPAN("s-1"),
	                  .type = EVENT_CART},
		.lineage = {.source_file = SPAN("a.csv"),
	                    .source_row = 12,
	                    .raw_offset = 5,
	                    .raw_time_ms = TIME_MS,
	                    .source_clock_us = CLOCK_NONE,
	                    .raw_partition = 3},
	};
}

Test(tail_record, bronze_has_the_fields_of_its_schema)
{
	struct bronze_event bronze = bronze_example();
	struct buffer bytes = {0};
	struct input_record record;

	bronze_encode(&bytes, 1, &bronze);
	record = framed(&bytes);
	cr_expect_str_eq(
		print(TOPIC_BRONZE_EVENTS, TAIL_JSON, &record),
		"{\"topic\":\"t\",\"partition\":3,\"offset\":17,"
		"\"timestamp\":\"2025-11-29T13:00:00.123Z\",\"headers\":[],\"key\":\"key\","
		"\"value\":{\"event_id\":\"12340000-0000-0000-0000-000000000000\","
		"\"event_time\":\"2019-10-01T00:00:01.5Z\",\"event_type\":\"cart\","
		"\"product_id\":7,\"category_id\":null,"
		"\"category_code\":\"electronics.smartphone\",\"brand\":null,\"price\":3.40,"
		"\"user_id\":9,\"user_session\":\"s-1\",\"source_file\":\"a.csv\","
		"\"source_row\":12,\"raw_partition\":3,\"raw_offset\":5,"
		"\"raw_time\":\"2025-11-29T13:00:00.123Z\",\"source_clock\":null}}");
	cr_expect_str_eq(print(TOPIC_LATE_EVENTS, TAIL_PLAIN, &record),
	                 "2025-11-29T13:00:00.123Z 3/17 key=key "
	                 "event_id=12340000-0000-0000-0000-000000000000 "
	                 "event_time=2019-10-01T00:00:01.5Z event_type=cart product_id=7 "
	                 "category_code=electronics.smartphone price=3.40 user_id=9 "
	                 "user_session=s-1 source_file=a.csv source_row=12 raw_partition=3 "
	                 "raw_offset=5 raw_time=2025-11-29T13:00:00.123Z");
	buffer_free(&bytes);
}

Test(tail_record, aggregates_have_exact_revenue)
{
	struct aggregate aggregate = {.rollup = SPAN("1d:brand"),
	                              .group_value = SPAN("acme"),
	                              .window_start_us = KIT_DAY0_US,
	                              .window_end_us = KIT_DAY0_US + US_PER_DAY,
	                              .measures = {.events = {5, 4, 3, 2, 1},
	                                           .revenue_cents = INT64_MAX,
	                                           .sessions = 9,
	                                           .funnel_checkout_sessions = 6},
	                              .revision = 77,
	                              .final = true};
	struct buffer bytes = {0};
	struct input_record record;

	aggregate_encode(&bytes, 1, &aggregate);
	record = framed(&bytes);
	cr_expect(strstr(print(TOPIC_AGGREGATED_EVENTS, TAIL_JSON, &record),
	                 "\"value\":{\"rollup\":\"1d:brand\","
	                 "\"window_start\":\"2019-10-01T00:00:00Z\","
	                 "\"window_end\":\"2019-10-02T00:00:00Z\",\"group_value\":\"acme\","
	                 "\"views\":5,\"carts\":4,\"removes\":3,\"checkouts\":2,\"purchases\":1,"
	                 "\"revenue\":92233720368547758.07,\"sessions\":9,"),
	          "%s", line.at);
	cr_expect(strstr(line.at, "\"funnel_checkout_sessions\":6,"), "%s", line.at);
	cr_expect(strstr(line.at, "\"final\":true,\"revision\":77}}"), "%s", line.at);
	buffer_free(&bytes);
}

Test(tail_record, visits_have_null_where_nothing_happened)
{
	struct visit visit = {.user_session = SPAN("user:4"),
	                      .start_us = KIT_DAY0_US,
	                      .end_us = KIT_DAY0_US,
	                      .user_id = 4,
	                      .events = {1, 0, 0, 0, 0},
	                      .products = 1,
	                      .drop_off_stage = SPAN("view"),
	                      .view_to_cart_ms = -1,
	                      .view_to_purchase_ms = -1,
	                      .furthest_stage = 1,
	                      .view_purchase = VISIT_FLAG_NO,
	                      .view_cart_purchase = VISIT_FLAG_UNKNOWN,
	                      .deleted = true};
	struct buffer bytes = {0};
	struct input_record record;

	visit_encode(&bytes, 1, &visit);
	record = framed(&bytes);
	print(TOPIC_SESSION_FUNNELS, TAIL_JSON, &record);
	cr_expect(strstr(line.at, "\"user_session\":\"user:4\","), "%s", line.at);
	cr_expect(strstr(line.at, "\"first_category\":null,\"last_category\":null,"
	                          "\"furthest_stage\":1,\"drop_off_stage\":\"view\","
	                          "\"view_to_cart_ms\":null,\"view_to_purchase_ms\":null,"
	                          "\"view_purchase\":false,\"view_cart_purchase\":null,"
	                          "\"deleted\":true,\"final\":false,"),
	          "%s", line.at);
	buffer_free(&bytes);
}

Test(tail_record, counts_name_their_reasons)
{
	struct counts_record counts = {.service = SPAN("bronze-sink"),
	                               .topic = SPAN("raw"),
	                               .partition = 2,
	                               .counts = {.records_in = 10, .records_out = 7},
	                               .revision = 9,
	                               .stages = SPAN("view,purchase")};
	struct buffer bytes = {0};
	struct input_record record;

	counts.counts.dead[REASON_INVALID_PRICE] = 2;
	counts.counts.dead[REASON_MALFORMED_JSON] = 1;
	counts.counts.unreadable[5] = 4;
	counts_encode(&bytes, 1, &counts);
	record = framed(&bytes);
	print(TOPIC_COUNTS, TAIL_JSON, &record);
	cr_expect(strstr(line.at, "\"records_in\":10,\"records_out\":7,\"duplicates\":0,\"late\":0,"
	                          "\"dead\":3,\"dead_by_reason\":{\"malformed_json\":1,"
	                          "\"invalid_price\":2},\"revision\":9,"
	                          "\"unreadable_by_field\":{"),
	          "%s", line.at);
	cr_expect(strstr(line.at, "\"stages\":\"view,purchase\""), "%s", line.at);
	print(TOPIC_COUNTS, TAIL_PLAIN, &record);
	cr_expect(strstr(line.at, "dead_by_reason={malformed_json=1 invalid_price=2}"), "%s",
	          line.at);
	buffer_free(&bytes);
}

Test(tail_record, a_raw_value_is_as_it_came)
{
	struct input_record record = record_of(
		SPAN("{ \"price\" : 3.40,\n\t\"big\":12345678901234567890, \"u\":\"\xc2\x85\x7f\"}"),
		NULL, 0);

	cr_expect(strstr(print(TOPIC_RAW_EVENTS, TAIL_JSON, &record),
	                 "\"value\":{ \"price\" : 3.40,  \"big\":12345678901234567890, "
	                 "\"u\":\"\\u0085\\u007f\"}}"),
	          "%s", line.at);
	json_decref(parse(TOPIC_RAW_EVENTS, &record));
	cr_expect(strncmp(print(TOPIC_RAW_EVENTS, TAIL_RAW, &record), record.value.at,
	                  record.value.len) == 0);
}

/* The names of a schema's fields, and those of a printed value, in their order. */
static void expect_fields(enum schema_kind kind, enum topic_id topic, const struct buffer *bytes)
{
	struct input_record record = framed(bytes);
	json_t *schema = json_loads(schema_texts[kind].text, 0, NULL), *field,
	       *parsed = parse(topic, &record), *value = json_object_get(parsed, "value");
	void *at = json_object_iter(value);
	size_t i;

	cr_assert(json_is_object(value), "%s", line.at);
	json_array_foreach(json_object_get(schema, "fields"), i, field)
	{
		cr_assert(at, "%s lacks %s", schema_texts[kind].record_name,
		          text_of(field, "name"));
		cr_expect_str_eq(json_object_iter_key(at), text_of(field, "name"));
		at = json_object_iter_next(value, at);
	}
	cr_expect_null(at);
	json_decref(schema);
	json_decref(parsed);
}

Test(tail_record, every_field_of_a_schema_is_printed_under_its_name_and_in_its_order)
{
	struct bronze_event bronze = bronze_example();
	struct aggregate aggregate = {.rollup = SPAN("1m:all"), .group_value = SPAN("all")};
	struct visit visit = {.user_session = SPAN("s"), .user_id = 1};
	struct counts_record counts = {.service = SPAN("s"), .topic = SPAN("t")};
	struct buffer bytes = {0};

	bronze_encode(&bytes, 1, &bronze);
	expect_fields(SCHEMA_BRONZE, TOPIC_BRONZE_EVENTS, &bytes);
	expect_fields(SCHEMA_LATE, TOPIC_LATE_EVENTS, &bytes);
	bytes.len = 0;
	aggregate_encode(&bytes, 1, &aggregate);
	expect_fields(SCHEMA_AGGREGATE, TOPIC_AGGREGATED_EVENTS, &bytes);
	bytes.len = 0;
	visit_encode(&bytes, 1, &visit);
	expect_fields(SCHEMA_VISIT, TOPIC_SESSION_FUNNELS, &bytes);
	bytes.len = 0;
	counts_encode(&bytes, 1, &counts);
	expect_fields(SCHEMA_COUNTS, TOPIC_COUNTS, &bytes);
	buffer_free(&bytes);
}

/* ---- what is not a row */

Test(tail_record, a_control_is_shown_as_such)
{
	static const struct {
		const char *kind, *time, *want;
	} table[] = {
		{"begin", "2019-10-01T00:00:00Z", "begin"},
		{"jump", "2019-10-01T00:00:00Z", "jump"},
		{"end", "", "end"},
		{"begin", "soon", "invalid"},
		{"halt", "", "invalid"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct header headers[] = {{SPAN("control"), span_of(table[i].kind)},
		                           {SPAN("event_time"), span_of(table[i].time)}};
		struct input_record record = record_of(SPAN_NULL, headers, 2);
		json_t *parsed = parse(TOPIC_BRONZE_EVENTS, &record);

		cr_expect_str_eq(text_of(parsed, "control"), table[i].want);
		cr_expect(json_is_null(json_object_get(parsed, "value")));
		cr_expect_not(json_object_get(parsed, "error"));
		json_decref(parsed);
	}
}

Test(tail_record, no_value_is_a_tombstone_only_in_a_compacted_topic)
{
	struct input_record record = record_of(SPAN_NULL, NULL, 0);
	json_t *parsed = parse(TOPIC_SESSION_FUNNELS, &record);

	cr_expect(json_is_true(json_object_get(parsed, "tombstone")));
	json_decref(parsed);
	parsed = parse(TOPIC_BRONZE_EVENTS, &record);
	cr_expect_not(json_object_get(parsed, "tombstone"));
	cr_expect_str_eq(text_of(parsed, "error"), "null_value");
	json_decref(parsed);
}

Test(tail_record, a_value_that_cannot_be_decoded_is_shown_with_its_bytes)
{
	struct input_record record = record_of(SPAN("\x00\x01\xff\"x"), NULL, 0);
	json_t *parsed;

	record.refused = REASON_UNKNOWN_SCHEMA_ID;
	record.detail = "schema id 9";
	parsed = parse(TOPIC_BRONZE_EVENTS, &record);
	cr_expect_str_eq(text_of(parsed, "error"), "unknown_schema_id: schema id 9");
	cr_expect_str_eq(text_of(parsed, "value_base64"), "AAH/Ing=");
	cr_expect(json_is_null(json_object_get(parsed, "value")));
	json_decref(parsed);
	record.refused = REASON_NONE;
	parsed = parse(TOPIC_AGGREGATED_EVENTS, &record);
	cr_expect(strncmp(text_of(parsed, "error"), "malformed_avro", 14) == 0, "%s",
	          text_of(parsed, "error"));
	json_decref(parsed);
	parsed = parse(TOPIC_RAW_EVENTS, &record);
	cr_expect(strncmp(text_of(parsed, "error"), "malformed_json: ", 16) == 0);
	cr_expect_str_eq(text_of(parsed, "value_base64"), "AAH/Ing=");
	json_decref(parsed);
}

Test(tail_record, base64_pads_to_four)
{
	const struct {
		struct span bytes;
		const char *want;
	} table[] = {{SPAN("\xff"), "/w=="},
	             {SPAN("\xff\xfe"), "//4="},
	             {SPAN("\xff\xfe!"), "//4h"}};

	for (size_t i = 0; i < 3; i++) {
		struct input_record record = record_of(SPAN("{}"), NULL, 0);
		json_t *parsed;

		record.key = table[i].bytes;
		parsed = parse(TOPIC_RAW_EVENTS, &record);
		cr_expect(json_is_null(json_object_get(parsed, "key")));
		cr_expect_str_eq(text_of(parsed, "key_base64"), table[i].want);
		json_decref(parsed);
	}
}

Test(tail_record, headers_keep_their_order_and_repeat)
{
	struct header headers[] = {{SPAN("a"), SPAN("1")},
	                           {SPAN("a"), SPAN_NULL},
	                           {SPAN("b\n"), SPAN("\xff")}};
	struct input_record record = record_of(SPAN("{}"), headers, 3);

	cr_expect(strstr(print(TOPIC_RAW_EVENTS, TAIL_JSON, &record),
	                 "\"headers\":[{\"key\":\"a\",\"value\":\"1\"},"
	                 "{\"key\":\"a\",\"value\":null},"
	                 "{\"key\":\"b\\u000a\",\"value\":null,\"value_base64\":\"/w==\"}]"),
	          "%s", line.at);
	cr_expect(strstr(print(TOPIC_RAW_EVENTS, TAIL_PLAIN, &record),
	                 "headers={a=1 a= \"b\\u000a\"=\"/w==\"}"),
	          "%s", line.at);
}

/* A record in the topic of dead letters, as a fold writes it. */
static struct input_record dead_letter_of(struct outbox *box, struct span value, enum reason reason)
{
	struct input_record refused = record_of(value, NULL, 0), record;
	struct counts counts = {0};

	output_dead_letter(box, kit_context(), &refused, reason, "detail", false, &counts);
	record = record_of(box->at[box->count - 1].value, box->at[box->count - 1].headers,
	                   box->at[box->count - 1].header_count);
	return record;
}

Test(tail_record, a_dead_letter_has_its_reason_and_its_bytes)
{
	struct outbox box = {0};
	struct input_record record =
		dead_letter_of(&box, SPAN("{\"price\":-1}"), REASON_INVALID_PRICE);
	json_t *parsed = parse(TOPIC_DEAD_LETTER, &record);

	cr_expect_str_eq(text_of(parsed, "reason"), "invalid_price");
	cr_expect_str_eq(text_of(parsed, "value"), "{\"price\":-1}");
	cr_expect_not(json_object_get(parsed, "error"));
	json_decref(parsed);
	record = dead_letter_of(&box, SPAN("\xff"), REASON_MALFORMED_JSON);
	parsed = parse(TOPIC_DEAD_LETTER, &record);
	cr_expect_str_eq(text_of(parsed, "value_base64"), "/w==");
	json_decref(parsed);
	record = record_of(SPAN("of another program"), NULL, 0);
	parsed = parse(TOPIC_DEAD_LETTER, &record);
	cr_expect_str_eq(text_of(parsed, "value"), "of another program");
	cr_expect(strncmp(text_of(parsed, "error"), "invalid_headers", 15) == 0);
	json_decref(parsed);
	outbox_free(&box);
}

Test(tail_record, a_marker_names_the_dead_letter_that_was_sent)
{
	struct header headers[] = {{SPAN(REDRIVE_HEADER_MARKER), SPAN("1/44")}};
	struct input_record record = record_of(SPAN_NULL, headers, 1);
	json_t *parsed = parse(TOPIC_DEAD_LETTER, &record);

	cr_expect_str_eq(text_of(parsed, "redriven"), "1/44");
	cr_expect_not(json_object_get(parsed, "error"));
	json_decref(parsed);
}

Test(tail_record, any_bytes_give_one_line_of_json)
{
	static const enum topic_id topics[] = {
		TOPIC_RAW_EVENTS,      TOPIC_BRONZE_EVENTS, TOPIC_AGGREGATED_EVENTS,
		TOPIC_SESSION_FUNNELS, TOPIC_LATE_EVENTS,   TOPIC_DEAD_LETTER,
		TOPIC_COUNTS};
	struct rng rng = {20261129};
	char bytes[64];

	for (int i = 0; i < 20000; i++) {
		size_t len = (size_t)rng_below(&rng, sizeof(bytes));
		struct header headers[] = {{{bytes, len / 2}, {bytes, len}}};
		struct input_record record;

		for (size_t b = 0; b < sizeof(bytes); b++)
			bytes[b] = (char)rng_next(&rng);
		record = record_of((struct span){bytes, len}, headers, 1);
		record.key = (struct span){bytes + len / 2, len / 3};
		json_decref(parse(topics[i % 7], &record));
		cr_assert_not(strchr(print(topics[i % 7], TAIL_PLAIN, &record), '\n'));
	}
}

/* ---- filters */

static bool is_shown(const struct tail_filter *filter, enum topic_id topic,
                     const struct input_record *record)
{
	struct tail_record tail;
	bool shown;

	tail_record_read(&tail, topic, record);
	shown = tail_filter_takes(filter, &tail);
	tail_record_end(&tail);
	return shown;
}

Test(tail_filter, matches_a_raw_event_by_key_type_and_category)
{
	static const struct {
		struct tail_filter filter;
		bool shown;
	} table[] = {
		{{0}, true},
		{{.key = "k*"}, true},
		{{.key = "K*"}, false},
		{{.key = "k?y", .type = "view"}, true},
		{{.type = "[vc]*"}, true},
		{{.type = "cart"}, false},
		{{.category = "electronics.*"}, true},
		{{.category = "*.phone"}, true},
		{{.category = "electronics"}, false},
		{{.category = "unknown"}, false},
	};
	struct input_record record =
		record_of(SPAN("{\"event_type\":\"view\",\"category_code\":\"electronics.phone\"}"),
	                  NULL, 0);

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		cr_expect_eq(is_shown(&table[i].filter, TOPIC_RAW_EVENTS, &record), table[i].shown,
		             "row %zu", i);
	record.key = SPAN_NULL;
	cr_expect_not(is_shown(&(struct tail_filter){.key = "*"}, TOPIC_RAW_EVENTS, &record));
}

Test(tail_filter, a_missing_category_is_unknown)
{
	static const struct tail_filter filter = {.category = "unknown"};
	struct bronze_event bronze = bronze_example();
	struct buffer bytes = {0};
	struct input_record record = record_of(SPAN("{\"category_code\":null}"), NULL, 0);

	cr_expect(is_shown(&filter, TOPIC_RAW_EVENTS, &record));
	bronze.event.category_code = SPAN_NULL;
	bronze_encode(&bytes, 1, &bronze);
	record = framed(&bytes);
	cr_expect(is_shown(&filter, TOPIC_BRONZE_EVENTS, &record));
	buffer_free(&bytes);
}

Test(tail_filter, the_category_of_an_aggregate_is_the_group_of_a_category_rollup)
{
	static const struct {
		const char *rollup, *group, *glob;
		bool shown;
	} table[] = {
		{"1d:category", "electronics.tv", "*.tv", true},
		{"1m:category1", "electronics", "elec*", true},
		{"1d:brand", "electronics", "elec*", false},
		{"1d:all", "all", "*", false},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct tail_filter filter = {.category = table[i].glob};
		struct aggregate aggregate = {.rollup = span_of(table[i].rollup),
		                              .group_value = span_of(table[i].group)};
		struct buffer bytes = {0};
		struct input_record record;

		aggregate_encode(&bytes, 1, &aggregate);
		record = framed(&bytes);
		cr_expect_eq(is_shown(&filter, TOPIC_AGGREGATED_EVENTS, &record), table[i].shown,
		             "row %zu", i);
		filter = (struct tail_filter){.rollup = "1d:*"};
		cr_expect_eq(is_shown(&filter, TOPIC_AGGREGATED_EVENTS, &record),
		             table[i].rollup[1] == 'd');
		buffer_free(&bytes);
	}
}

Test(tail_filter, a_record_that_cannot_be_decoded_is_shown)
{
	struct tail_filter filter = {.category = "x", .type = "y"};
	struct input_record record = record_of(SPAN("{"), NULL, 0);

	cr_expect(is_shown(&filter, TOPIC_RAW_EVENTS, &record));
	filter.key = "other";
	cr_expect_not(is_shown(&filter, TOPIC_RAW_EVENTS, &record));
}

Test(tail_filter, matches_a_dead_letter_by_reason)
{
	struct tail_filter filter = {.reason = "invalid_*"};
	struct outbox box = {0};
	struct input_record record = dead_letter_of(&box, SPAN("x"), REASON_INVALID_PRICE);

	cr_expect(is_shown(&filter, TOPIC_DEAD_LETTER, &record));
	record = dead_letter_of(&box, SPAN("x"), REASON_MALFORMED_JSON);
	cr_expect_not(is_shown(&filter, TOPIC_DEAD_LETTER, &record));
	outbox_free(&box);
}

Test(tail_filter, controls_have_the_type_control)
{
	struct tail_filter filter = {.type = "control"};
	struct header headers[] = {{SPAN("control"), SPAN("end")}};
	struct input_record record = record_of(SPAN_NULL, headers, 1);

	cr_expect(is_shown(&filter, TOPIC_RAW_EVENTS, &record));
	filter.type = "view";
	cr_expect_not(is_shown(&filter, TOPIC_RAW_EVENTS, &record));
}

Test(tail_filter, a_filter_that_does_not_apply_to_the_topic_is_refused)
{
	static const struct {
		struct tail_filter filter;
		enum topic_id topic;
		const char *names; /* "": accepted */
	} table[] = {
		{{.key = "k", .type = "t", .category = "c"}, TOPIC_RAW_EVENTS, ""},
		{{.reason = "r", .category = "c", .type = "t"}, TOPIC_DEAD_LETTER, ""},
		{{.rollup = "r", .category = "c"}, TOPIC_AGGREGATED_EVENTS, ""},
		{{.type = "t"}, TOPIC_SESSION_FUNNELS, "--type"},
		{{.category = "c"}, TOPIC_COUNTS, "--category"},
		{{.reason = "r"}, TOPIC_RAW_EVENTS, "--reason"},
		{{.rollup = "r"}, TOPIC_RAW_EVENTS, "--rollup"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct err err = {.class = ERR_NONE};
		bool ok = tail_filter_check(&table[i].filter, table[i].topic, &err);

		cr_expect_eq(ok, !*table[i].names, "row %zu", i);
		if (!ok) {
			cr_expect_eq(err.class, ERR_INPUT);
			cr_expect(strstr(err.message, table[i].names), "%s", err.message);
		}
	}
}
