/* Records to rows: which row of a key is kept, which records are rejected, and what their dead
 * letters contain. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/span.h"
#include "event/clock.h"
#include "event/reason.h"
#include "event/window.h"
#include "load_batch.h"
#include "redrive_rules.h"
#include "row_buffers.h"
#include "stream/dead_letter.h"
#include "stream/outbox.h"
#include "stream/outputs.h"
#include "stream/record.h"
#include "targets.h"
#include "wire/frame.h"
#include "wire/records_aggregate.h"
#include "wire/records_bronze.h"
#include "wire/records_counts.h"
#include "wire/records_visit.h"
#include "wire/topics.h"

static int released;

/* In these tests a message is the buffer of the record's value. */
static void release(void *message)
{
	free(message);
	released++;
}

static struct input_record framed(const struct buffer *value, int64_t offset)
{
	return (struct input_record){.topic = SPAN("t"),
	                             .offset = offset,
	                             .partition = 1,
	                             .timestamp_ms = 1000,
	                             .key = SPAN("k"),
	                             .value = {value->at, value->len},
	                             .body = {value->at + FRAME_BYTES, value->len - FRAME_BYTES}};
}

static enum load_result add_aggregate(struct load_batch *batch, const char *group, int64_t revision,
                                      bool final)
{
	struct aggregate aggregate = {.rollup = SPAN("1m:all"),
	                              .group_value = span_of(group),
	                              .window_end_us = 60000000,
	                              .revision = revision,
	                              .final = final};
	struct buffer value = {0};
	struct input_record record;

	aggregate_encode(&value, 1, &aggregate);
	record = framed(&value, batch->source_count);
	return load_batch_add(batch, TOPIC_AGGREGATED_EVENTS, &record, value.at);
}

static enum load_result add_visit(struct load_batch *batch, const char *session, int64_t revision,
                                  bool deleted)
{
	struct visit visit = {.user_session = span_of(session),
	                      .start_us = 5,
	                      .end_us = 2005,
	                      .user_id = 1,
	                      .revision = revision,
	                      .deleted = deleted,
	                      .view_to_cart_ms = -1,
	                      .view_to_purchase_ms = -1,
	                      .drop_off_stage = SPAN("none")};
	struct buffer value = {0};
	struct input_record record;

	visit_encode(&value, 1, &visit);
	record = framed(&value, batch->source_count);
	return load_batch_add(batch, TOPIC_SESSION_FUNNELS, &record, value.at);
}

/* The last 8 bytes of an aggregate's or a visit's row are its revision. */
static int64_t revision_of(const struct load_batch *batch, uint32_t number)
{
	const struct load_row *row = &batch->rows.at[number];
	const unsigned char *end =
		(const unsigned char *)batch->rows.bytes[row->target].at + row->at + row->len;
	uint64_t value = 0;

	for (int i = -8; i < 0; i++)
		value = value << 8 | end[i];
	return (int64_t)value;
}

static const struct load_row *only_live(const struct load_batch *batch, enum target target,
                                        int64_t *revision)
{
	const struct load_row *live = NULL;

	for (uint32_t i = 0; i < batch->rows.count; i++)
		if (batch->rows.at[i].live && batch->rows.at[i].target == target) {
			cr_assert_null(live, "two live rows have the same key");
			live = &batch->rows.at[i];
			*revision = revision_of(batch, i);
		}
	return live;
}

Test(loader_batch, the_newest_revision_of_an_aggregate_counts_whatever_the_order)
{
	static const struct {
		const char *label;
		struct {
			int64_t revision;
			bool final;
		} in[3];
		int64_t want;
		uint32_t want_row;
	} table[] = {
		{"ascending", {{1, false}, {2, false}, {3, false}}, 3, 2},
		{"descending", {{3, false}, {2, false}, {1, false}}, 3, 0},
		{"newest in the middle", {{1, false}, {9, false}, {2, true}}, 9, 1},
		{"final beats its own revision", {{4, false}, {4, true}, {4, false}}, 4, 1},
		{"a newer one beats final", {{4, true}, {5, false}, {4, true}}, 5, 1},
		{"equal ones: the first", {{4, false}, {4, false}, {4, false}}, 4, 0},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct load_batch batch = {.release = release};
		int64_t revision = -1;
		const struct load_row *live;

		for (int n = 0; n < 3; n++)
			cr_assert_eq(add_aggregate(&batch, "all", table[i].in[n].revision,
			                           table[i].in[n].final),
			             LOAD_ROW);
		live = only_live(&batch, TARGET_AGGREGATES, &revision);
		cr_assert_not_null(live, "%s", table[i].label);
		cr_expect_eq(live - batch.rows.at, table[i].want_row, "%s", table[i].label);
		cr_expect_eq(revision, table[i].want, "%s", table[i].label);
		cr_expect_eq(batch.rows.live[TARGET_AGGREGATES], 1);
		load_batch_free(&batch);
	}
}

Test(loader_batch, the_last_record_of_a_visit_counts_even_with_an_older_revision)
{
	struct load_batch batch = {.release = release};
	int64_t revision = 0;

	add_visit(&batch, "s", 7, false);
	add_visit(&batch, "s", 5, false);
	cr_expect_not_null(only_live(&batch, TARGET_VISITS, &revision));
	cr_expect_eq(revision, 5);
	add_visit(&batch, "s", 8, true);
	cr_expect_null(only_live(&batch, TARGET_VISITS, &revision), "removed");
	cr_expect_eq(batch.rows.live[TARGET_VISIT_REMOVALS], 1);
	add_visit(&batch, "s", 6, false);
	cr_expect_not_null(only_live(&batch, TARGET_VISITS, &revision), "inserted again");
	cr_expect_eq(revision, 6);
	cr_expect_eq(batch.rows.live[TARGET_VISIT_REMOVALS], 0);
	load_batch_free(&batch);
}

Test(loader_batch, sessions_with_the_same_id_are_different_visits)
{
	/* The id of the third is the text of the fourth. */
	static const char *const sessions[] = {"72d76fde-8bb3-4e00-8c23-a032dfed738c",
	                                       "72D76FDE-8bb3-4e00-8c23-a032dfed738c", "user:1",
	                                       "bdb1dd10-5679-979c-a82b-28edd1c8ccd2"};
	enum { COUNT = sizeof(sessions) / sizeof(sessions[0]) };
	struct load_batch batch = {.release = release};

	for (int i = 0; i < COUNT; i++)
		add_visit(&batch, sessions[i], i, false);
	cr_expect_eq(batch.rows.live[TARGET_VISITS], COUNT);
	for (int i = 0; i < COUNT; i++) {
		add_visit(&batch, sessions[i], 9, true);
		cr_expect_eq(batch.rows.live[TARGET_VISITS], COUNT - 1 - i, "%s", sessions[i]);
		cr_expect_eq(batch.rows.live[TARGET_VISIT_REMOVALS], 1 + i, "%s", sessions[i]);
	}
	load_batch_free(&batch);
}

Test(loader_batch, a_visit_with_a_value_above_its_column_is_rejected)
{
	static const int64_t day_us = INT64_C(86400000000);
	static const struct {
		const char *label;
		int64_t events, products, duration_us;
		int32_t furthest_stage;
		bool deleted, want;
	} table[] = {
		{"the largest counts", INT32_MAX, INT32_MAX, day_us, INT16_MAX, false, true},
		{"an event more", INT64_C(1) + INT32_MAX, 1, day_us, 1, false, false},
		{"a product more", 1, INT64_C(1) + INT32_MAX, day_us, 1, false, false},
		{"a stage more", 1, 1, day_us, INT16_MAX + 1, false, false},
		{"the longest", 1, 1, (INT64_C(1) << 50) - 1, 1, false, true},
		{"longer", 1, 1, INT64_C(1) << 50, 1, false, false},
		{"a removal has none of them", INT64_MAX, INT64_MAX, day_us, INT32_MAX, true, true},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		for (int type = 0; type < EVENT_TYPE_COUNT; type++) {
			struct load_batch batch = {.release = release};
			struct visit visit = {.user_session = SPAN("s"),
			                      .user_id = 1,
			                      .end_us = table[i].duration_us,
			                      .products = table[i].products,
			                      .view_to_cart_ms = -1,
			                      .view_to_purchase_ms = -1,
			                      .furthest_stage = table[i].furthest_stage,
			                      .deleted = table[i].deleted};
			struct buffer value = {0};
			struct input_record record;

			visit.events[type] = table[i].events;
			visit_encode(&value, 1, &visit);
			record = framed(&value, 0);
			cr_expect_eq(load_batch_add(&batch, TOPIC_SESSION_FUNNELS, &record,
			                            value.at),
			             table[i].want ? LOAD_ROW : LOAD_REJECTED, "%s, type %d",
			             table[i].label, type);
			cr_expect_eq(batch.rejects[REASON_MALFORMED_AVRO], !table[i].want, "%s",
			             table[i].label);
			load_batch_free(&batch);
		}
	}
}

Test(loader_batch, rows_of_other_keys_stay_and_a_clear_empties_the_batch)
{
	struct load_batch batch = {.release = release};
	int64_t revision = 0;

	released = 0;
	for (int round = 0; round < 3; round++) {
		for (int n = 0; n < 3000; n++) {
			char group[16];

			snprintf(group, sizeof(group), "g%d", n);
			add_aggregate(&batch, group, 9 - round, false);
			add_visit(&batch, group, 1, false);
		}
		cr_expect_eq(batch.rows.live[TARGET_AGGREGATES], 3000);
		cr_expect_eq(batch.rows.live[TARGET_VISITS], 3000);
		load_batch_clear(&batch);
		cr_expect_eq(released, 6000 * (round + 1));
	}
	add_aggregate(&batch, "g1", 1, false);
	cr_expect_not_null(only_live(&batch, TARGET_AGGREGATES, &revision));
	cr_expect_eq(revision, 1, "the batch before the clear does not count");
	load_batch_free(&batch);
}

static bool contains(const struct buffer *bytes, const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i + len <= bytes->len; i++)
		if (memcmp(bytes->at + i, text, len) == 0)
			return true;
	return false;
}

static void fill(struct load_batch *batch, int aggregates, int visits)
{
	char name[16];

	for (int i = 0; i < aggregates; i++) {
		snprintf(name, sizeof(name), "%d", i);
		add_aggregate(batch, name, 1, false);
	}
	for (int i = 0; i < visits; i++) {
		snprintf(name, sizeof(name), "%d", i);
		add_visit(batch, name, 1, false);
	}
}

Test(loader_batch, a_clear_returns_the_memory_of_a_target_that_the_batch_did_not_need)
{
	struct load_batch batch = {.release = release};
	const struct buffer *bytes = batch.rows.bytes;

	fill(&batch, 20000, 0);
	load_batch_clear(&batch);
	cr_expect_gt(bytes[TARGET_AGGREGATES].cap, 2000000, "the next batch may need it too");
	fill(&batch, 10, 20000);
	load_batch_clear(&batch);
	cr_expect_eq(bytes[TARGET_AGGREGATES].cap, 0);
	cr_expect_gt(bytes[TARGET_VISITS].cap, 1000000);
	fill(&batch, 10, 0);
	load_batch_clear(&batch);
	cr_expect_eq(bytes[TARGET_VISITS].cap, 0);
	cr_expect_gt(bytes[TARGET_AGGREGATES].cap, 0, "a small buffer stays");
	load_batch_free(&batch);
}

Test(loader_batch, records_that_cannot_be_rows_become_dead_letters_of_the_loader)
{
	static const struct {
		const char *label;
		enum topic_id topic;
		struct input_record record;
		const char *reason;
	} table[] = {
		{"null value", TOPIC_BRONZE_EVENTS, {.topic = {"t", 1}}, "null_value"},
		{"null value with headers other than control",
	         TOPIC_COUNTS,
	         {.topic = {"t", 1}},
	         "null_value"},
		{"refused frame",
	         TOPIC_BRONZE_EVENTS,
	         {.topic = {"t", 1}, .value = {"x", 1}, .refused = REASON_WRONG_SCHEMA},
	         "wrong_schema"},
		{"body cut off",
	         TOPIC_BRONZE_EVENTS,
	         {.topic = {"t", 1}, .value = {"\0\0\0\0\1\2", 6}, .body = {"\2", 1}},
	         "malformed_avro"},
		{"body of nothing",
	         TOPIC_SESSION_FUNNELS,
	         {.topic = {"t", 1}, .value = {"\0\0\0\0\1", 5}, .body = {"", 0}},
	         "malformed_avro"},
		{"dead letter without headers",
	         TOPIC_DEAD_LETTER,
	         {.topic = {"t", 1}, .value = {"x", 1}},
	         "invalid_headers"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct load_batch batch = {.release = release};

		cr_expect_eq(load_batch_add(&batch, table[i].topic, &table[i].record, NULL),
		             LOAD_REJECTED, "%s", table[i].label);
		cr_expect_eq(batch.rows.count, 1, "%s", table[i].label);
		cr_expect_eq(batch.rows.live[TARGET_DEAD_LETTERS], 1, "%s", table[i].label);
		cr_expect(contains(&batch.rows.bytes[TARGET_DEAD_LETTERS], table[i].reason), "%s",
		          table[i].label);
		cr_expect(contains(&batch.rows.bytes[TARGET_DEAD_LETTERS], "loader"), "%s",
		          table[i].label);
		load_batch_free(&batch);
	}
}

Test(loader_batch, a_control_is_not_an_event_and_has_a_row_if_it_names_its_segment)
{
	const struct {
		const char *label;
		struct header headers[4];
		size_t count;
		uint32_t rows;
	} table[] = {
		{"no segment", {{SPAN("control"), SPAN("end")}}, 1, 0},
		{"a segment",
	         {{SPAN("control"), SPAN("end")}, {SPAN("segment"), SPAN("oct-7")}},
	         2,
	         1},
		{"all",
	         {{SPAN("control"), SPAN("end")},
	          {SPAN("segment"), SPAN("oct-7")},
	          {SPAN("rows"), SPAN("12")},
	          {SPAN("raw_offset"), SPAN("99")}},
	         4,
	         1},
		{"invalid numbers",
	         {{SPAN("control"), SPAN("begin")},
	          {SPAN("segment"), SPAN("oct-7")},
	          {SPAN("rows"), SPAN("-1")},
	          {SPAN("raw_offset"), SPAN("x")}},
	         4,
	         1},
		{"a segment with broken UTF-8",
	         {{SPAN("control"), SPAN("end")}, {SPAN("segment"), {"\xff", 1}}},
	         2,
	         0},
		{"a NUL", {{SPAN("control"), SPAN("end")}, {SPAN("segment"), {"a\0b", 3}}}, 2, 0},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct load_batch batch = {.release = release};
		struct input_record record = {.topic = SPAN("t"),
		                              .headers = table[i].headers,
		                              .header_count = table[i].count};

		cr_expect_eq(load_batch_add(&batch, TOPIC_BRONZE_EVENTS, &record, NULL),
		             LOAD_CONTROL, "%s", table[i].label);
		cr_expect_eq(batch.rows.count, table[i].rows, "%s", table[i].label);
		cr_expect_eq(batch.rows.live[TARGET_CONTROLS], table[i].rows, "%s", table[i].label);
		cr_expect_eq(batch.rows.live[TARGET_EVENTS], 0);
		cr_expect_eq(batch.rows.live[TARGET_DEAD_LETTERS], 0);
		load_batch_free(&batch);
	}
}

Test(loader_batch, a_rejected_row_is_dead_lettered_with_its_bytes_then_without_then_not_at_all)
{
	struct load_batch batch = {.release = release};

	add_aggregate(&batch, "all", 1, false);
	cr_expect(load_batch_reject_row(&batch, 0, "SQLSTATE 22003"));
	cr_expect_eq(batch.rows.live[TARGET_AGGREGATES], 0);
	cr_expect_eq(batch.rows.live[TARGET_DEAD_LETTERS], 1);
	cr_expect(contains(&batch.rows.bytes[TARGET_DEAD_LETTERS], "rejected_by_database"));
	cr_expect(contains(&batch.rows.bytes[TARGET_DEAD_LETTERS], "SQLSTATE 22003"));
	cr_expect_eq(batch.rejects[REASON_REJECTED_BY_DATABASE], 1);
	cr_expect(load_batch_reject_row(&batch, 1, "again"));
	cr_expect_eq(batch.rows.live[TARGET_DEAD_LETTERS], 1);
	cr_expect_lt(batch.rows.at[2].len, batch.rows.at[1].len, "without bytes and headers");
	cr_expect_eq(batch.rejects[REASON_REJECTED_BY_DATABASE], 1, "one record, one reject");
	cr_expect_not(load_batch_reject_row(&batch, 2, "and again"));
	load_batch_free(&batch);
}

Test(loader_batch, a_raw_time_outside_of_timestamptz_is_rejected)
{
	static const struct {
		int64_t time_ms;
		enum load_result want;
	} rows[] = {
		{INT64_C(1569888000123), LOAD_ROW},
		{0, LOAD_ROW},
		{INT64_C(253402300799999), LOAD_ROW}, /* the end of the year 9999 */
		{INT64_C(253402300800000), LOAD_REJECTED},
		{INT64_MAX, LOAD_REJECTED},
		{INT64_MIN, LOAD_REJECTED},
		{INT64_C(4611686018427387904),
	         LOAD_REJECTED}, /* 2^62: times 1,000 it overflows to 0 */
	};
	struct load_batch batch = {.release = release};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bronze_event bronze = {.event = {.event_time_us = 1,
		                                        .product_id = 1,
		                                        .user_id = 1,
		                                        .price_cents = -1},
		                              .lineage = {.raw_time_ms = rows[i].time_ms,
		                                          .source_clock_us = CLOCK_NONE}};
		struct buffer value = {0};
		struct input_record record;

		bronze_encode(&value, 1, &bronze);
		record = framed(&value, (int64_t)i);
		cr_expect_eq(load_batch_add(&batch, TOPIC_BRONZE_EVENTS, &record, value.at),
		             rows[i].want, "%lld", (long long)rows[i].time_ms);
	}
	load_batch_free(&batch);
}

Test(loader_batch, broken_texts_of_a_dead_letter_are_escaped_not_lost)
{
	const struct header headers[] = {
		{SPAN("__connect.errors.connector.name"), SPAN("bronze-sink")},
		{SPAN("__connect.errors.exception.class.name"), SPAN("invalid_price")},
		{SPAN("__connect.errors.exception.message"), SPAN("a\xff\0z")},
		{SPAN("__connect.errors.topic"), SPAN("raw")},
		{SPAN("__connect.errors.partition"), SPAN("3")},
		{SPAN("__connect.errors.offset"), SPAN("77")},
		{SPAN("q\"\\\x01"), {NULL, 0}},
	};
	struct input_record record = {.topic = SPAN("t"),
	                              .headers = headers,
	                              .header_count = 7,
	                              .key = SPAN("k\0k")};
	struct load_batch batch = {.release = release};

	cr_expect_eq(load_batch_add(&batch, TOPIC_DEAD_LETTER, &record, NULL), LOAD_ROW,
	             "by reference: without a value");
	cr_expect(contains(&batch.rows.bytes[TARGET_DEAD_LETTERS], "a\\xff\\x00z"));
	cr_expect(contains(&batch.rows.bytes[TARGET_DEAD_LETTERS], "\"a\\\\xff\\\\x00z\""));
	cr_expect(contains(&batch.rows.bytes[TARGET_DEAD_LETTERS], "\"q\\\"\\\\\\u0001\":null"));
	load_batch_free(&batch);
}

Test(loader_batch, a_number_in_a_header_is_1_to_23_digits_within_its_range)
{
	static const struct {
		const char *partition, *offset;
		enum load_result want;
	} rows[] = {
		{"0", "0", LOAD_ROW},
		{"007", "0077", LOAD_ROW},
		{"2147483647", "9223372036854775807", LOAD_ROW},
		{"00000000000000000000003", "00009223372036854775807", LOAD_ROW},
		{"000000000000000000000003", "0", LOAD_REJECTED},
		{"0", "000009223372036854775807", LOAD_REJECTED},
		{"2147483648", "0", LOAD_REJECTED},
		{"0", "9223372036854775808", LOAD_REJECTED},
		{"0", "18446744073709551617", LOAD_REJECTED},
		{"", "0", LOAD_REJECTED},
		{"-1", "0", LOAD_REJECTED},
		{"-0", "0", LOAD_REJECTED},
		{"+1", "0", LOAD_REJECTED},
		{" 1", "0", LOAD_REJECTED},
		{"1 ", "0", LOAD_REJECTED},
		{"1x", "0", LOAD_REJECTED},
		{"0x1", "0", LOAD_REJECTED},
		{"0", "1.0", LOAD_REJECTED},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct header headers[] = {
			{SPAN("__connect.errors.connector.name"), SPAN("bronze-sink")},
			{SPAN("__connect.errors.exception.class.name"), SPAN("invalid_price")},
			{SPAN("__connect.errors.topic"), SPAN("raw")},
			{SPAN("__connect.errors.partition"), span_of(rows[i].partition)},
			{SPAN("__connect.errors.offset"), span_of(rows[i].offset)},
		};
		struct input_record record = {.topic = SPAN("t"),
		                              .headers = headers,
		                              .header_count = 5};
		struct load_batch batch = {.release = release};

		cr_expect_eq(load_batch_add(&batch, TOPIC_DEAD_LETTER, &record, NULL), rows[i].want,
		             "partition '%s', offset '%s'", rows[i].partition, rows[i].offset);
		load_batch_free(&batch);
	}
}

Test(loader_batch, the_marker_of_a_redriven_dead_letter_names_its_row_and_adds_no_dead_letter)
{
	static const struct header own[] = {{{"redriven", 8}, {"9/9", 3}}};
	const struct header *headers;
	struct load_batch batch = {.release = release};
	struct input_record refused = {.topic = SPAN("raw_topic"),
	                               .partition = 3,
	                               .offset = 77,
	                               .key = SPAN("k"),
	                               .value = SPAN("{}"),
	                               .headers = own,
	                               .header_count = 1};
	struct output_context terms = {.service = "bronze-sink",
	                               .partition_count = {[TOPIC_DEAD_LETTER] = 4}};
	struct redrive_decision decision = {.dead_letter = {.own_headers = 1}};
	struct outbox box = {0}, out = {0};
	struct counts counts = {0};
	struct input_record dead_letter = {.topic = SPAN("dead"), .partition = 3, .offset = 5},
			    marker;

	output_dead_letter(&box, &terms, &refused, REASON_WRONG_PARTITION, "d", false, &counts);
	headers = box.at[0].headers;
	dead_letter.headers = headers;
	dead_letter.header_count = box.at[0].header_count;
	dead_letter.value = box.at[0].value;
	cr_expect_eq(load_batch_add(&batch, TOPIC_DEAD_LETTER, &dead_letter, NULL), LOAD_ROW);
	cr_expect_eq(batch.rows.live[TARGET_DEAD_LETTERS], 1,
	             "a header of the refused record itself does not make a marker");
	cr_expect_eq(batch.rows.live[TARGET_REDRIVEN], 0);
	redrive_emit(&out, &decision, &dead_letter);
	marker = (struct input_record){.topic = SPAN("dead"),
	                               .partition = 3,
	                               .offset = 6,
	                               .timestamp_ms = 1000,
	                               .headers = out.at[1].headers,
	                               .header_count = out.at[1].header_count};
	cr_expect_eq(load_batch_add(&batch, TOPIC_DEAD_LETTER, &marker, NULL), LOAD_ROW);
	cr_expect_eq(batch.rows.live[TARGET_DEAD_LETTERS], 1);
	cr_expect_eq(batch.rows.live[TARGET_REDRIVEN], 1);
	cr_expect(contains(&batch.rows.bytes[TARGET_REDRIVEN], "bronze-sink"));
	cr_expect(contains(&batch.rows.bytes[TARGET_REDRIVEN], "wrong_partition"));
	cr_expect(contains(&batch.rows.bytes[TARGET_REDRIVEN], "raw_topic"));
	load_batch_free(&batch);
	outbox_free(&box);
	outbox_free(&out);
}
