/* The checks of raw records: each kind of bad input by its reason, time, duplicates, controls; and
 * that no record is lost. */
#include "base/err.h"
#include "base/span.h"
#include "base/timetext.h"
#include "bronze_fold.h"
#include "event/clock.h"
#include "event/event.h"
#include "event/event_fields.h"
#include "event/event_id.h"
#include "event/event_rules.h"
#include "event/reason.h"
#include "fold_kit.h"
#include "stream/fold.h"
#include "stream/outbox.h"
#include "stream/record.h"
#include "unit/fold_kit.h"
#include "wire/partitioner.h"
#include "wire/records_bronze.h"
#include "wire/records_counts.h"
#include "wire/topics.h"

#define PARTITIONS 4
#define NOW_US     (KIT_DAY0_US + 100 * US_PER_DAY) /* time of the records */

struct bench {
	struct bronze_fold_config config;
	void *fold;
	struct counts counts;
	struct outbox box;
	int64_t offset;
	int64_t record_us;
	int32_t partition;
};

static void bench_init(struct bench *bench, bool by_source)
{
	*bench = (struct bench){.config = {kit_context(), PARTITIONS, 7 * US_PER_DAY, by_source},
	                        .record_us = NOW_US};
	bench->fold = bronze_fold_ops.new(&bench->config, 0);
}

static void bench_free(struct bench *bench)
{
	bronze_fold_ops.free(bench->fold);
	outbox_free(&bench->box);
}

static int64_t total_dead(const struct counts *counts)
{
	int64_t total = 0;

	for (int r = 0; r < REASON_COUNT; r++)
		total += counts->dead[r];
	return total;
}

/* Applies one record. After that, the box has the outputs of this record only. */
static int64_t bench_apply(struct bench *bench, struct input_record record)
{
	outbox_clear(&bench->box);
	record.topic = SPAN("raw");
	record.offset = bench->offset++;
	record.timestamp_ms = bench->record_us / 1000;
	record.partition = bench->partition;
	if (!record.body.at)
		record.body = record.value;
	return bronze_fold_ops.apply(bench->fold, &record, &bench->counts, &bench->box);
}

/* The reason for which one record is refused; NONE: it is accepted. */
static enum reason reason_of(struct bench *bench, struct input_record record)
{
	struct counts before = bench->counts;
	enum reason reason = REASON_NONE;

	bench_apply(bench, record);
	cr_assert_eq(bench->counts.records_in, before.records_in + 1);
	cr_assert_eq(bench->counts.records_in, bench->counts.records_out +
	                                               bench->counts.duplicates +
	                                               total_dead(&bench->counts));
	for (int r = 0; r < REASON_COUNT; r++)
		if (bench->counts.dead[r] != before.dead[r])
			reason = (enum reason)r;
	if (bench->counts.duplicates == before.duplicates)
		cr_assert_eq(bench->box.count, 1);
	if (reason != REASON_NONE) {
		cr_assert_eq(bench->box.at[0].topic, TOPIC_DEAD_LETTER);
		cr_assert(span_is(kit_header(&bench->box.at[0],
		                             "__connect.errors.exception.class.name"),
		                  reason_name(reason)));
	}
	return reason;
}

/* A session key that belongs to partition 0. */
static const char *home_session(int number)
{
	static char text[24];

	do
		snprintf(text, sizeof(text), "s-%d", number++);
	while (partition_of(span_of(text), PARTITIONS) != 0);
	return text;
}

static struct span json_text(const char *session, int64_t user, int64_t product, const char *type,
                             int64_t time_us, const char *price)
{
	static char text[1024];
	char time[32];
	int len;

	time_format_plain(time_us, time);
	len = snprintf(
		text, sizeof(text),
		"{\"event_time\":\"%s UTC\",\"event_type\":\"%s\",\"product_id\":%" PRId64
		",\"category_id\":2053013555631882655,\"category_code\":\"toys\",\"brand\":null,"
		"\"price\":%s,\"user_id\":%" PRId64 ",\"user_session\":\"%s\"}",
		time, type, product, price, user, session);
	return (struct span){text, (size_t)len};
}

static struct input_record view_at(int session, int64_t user, int64_t time_us)
{
	return (struct input_record){
		.value = json_text(home_session(session), user, 1, "view", time_us, "1.50")};
}

static void set_clock(struct bench *bench, int64_t now_us)
{
	cr_assert_eq(reason_of(bench, view_at(9000, 1, now_us)), REASON_NONE);
	cr_assert_eq(reason_of(bench, view_at(9100, 2, now_us)), REASON_NONE);
}

/* ---- the value */

Test(bronze_fold, bad_value_goes_to_the_dead_letter_with_its_reason)
{
#define HEAD                                                                   \
	"{\"event_time\":\"2019-10-01 00:00:00 UTC\",\"event_type\":\"view\"," \
	"\"product_id\":1,\"user_id\":1,\"price\":1,"
	static const struct {
		const char *value;
		enum reason want;
	} rows[] = {
		{"", REASON_MALFORMED_JSON},
		{"not json", REASON_MALFORMED_JSON},
		{"[1]", REASON_MALFORMED_JSON},
		{"{\"event_time\":\"\xff\"}", REASON_INVALID_UTF8},
		{"{}", REASON_MISSING_EVENT_TIME},
		{"{\"event_time\":\"soon\"}", REASON_INVALID_EVENT_TIME},
		{"{\"event_time\":\"1999-12-31 23:59:59 UTC\"}", REASON_INVALID_EVENT_TIME},
		{"{\"event_time\":\"2019-10-01 00:00:00 UTC\"}", REASON_MISSING_EVENT_TYPE},
		{"{\"event_time\":\"2019-10-01 00:00:00 UTC\",\"event_type\":\"buy\"}",
	         REASON_UNKNOWN_EVENT_TYPE},
		{"{\"event_time\":\"2019-10-01 00:00:00 UTC\",\"event_type\":\"view\"}",
	         REASON_MISSING_PRODUCT_ID},
		{"{\"event_time\":\"2019-10-01 00:00:00 UTC\","
	         "\"event_type\":\"view\",\"product_id\":-1}",
	         REASON_INVALID_PRODUCT_ID},
		{"{\"event_time\":\"2019-10-01 00:00:00 UTC\","
	         "\"event_type\":\"view\",\"product_id\":1}",
	         REASON_MISSING_USER_ID},
		{"{\"event_time\":\"2019-10-01 00:00:00 UTC\","
	         "\"event_type\":\"view\",\"product_id\":1,\"user_id\":0}",
	         REASON_INVALID_USER_ID},
		{"{\"event_time\":\"2019-10-01 00:00:00 UTC\","
	         "\"event_type\":\"purchase\",\"product_id\":1,\"user_id\":1}",
	         REASON_MISSING_PRICE},
		{"{\"event_time\":\"2019-10-01 00:00:00 UTC\","
	         "\"event_type\":\"view\",\"product_id\":1,\"user_id\":1,\"price\":-1}",
	         REASON_INVALID_PRICE},
		{HEAD "\"user_session\":\"user:5\"}", REASON_INVALID_USER_SESSION},
		{HEAD "\"user_session\":\"a\\u0000b\"}", REASON_NUL_CHARACTER},
	};
	struct bench bench;

	bench_init(&bench, false);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum reason got =
			reason_of(&bench, (struct input_record){.value = span_of(rows[i].value)});

		cr_assert_eq(got, rows[i].want, "'%s': %s", rows[i].value, reason_name(got));
		cr_assert(span_is(bench.box.at[0].value, rows[i].value), "the unchanged bytes");
	}
	bench_free(&bench);
}

/* The detail after the help of the reason. */
static void expect_detail(const struct bench *bench, enum reason reason, const char *want)
{
	struct span message = kit_header(&bench->box.at[0], "__connect.errors.exception.message");
	size_t help = strlen(reason_help(reason)) + 2;

	cr_assert_gt(message.len, help);
	cr_expect(span_is((struct span){message.at + help, message.len - help}, want), "got %.*s",
	          (int)(message.len - help), message.at + help);
}

Test(bronze_fold, an_optional_field_that_cannot_be_read_costs_no_event)
{
	static const char *const rows[] = {
		HEAD "\"category_id\":\"2.05301E+18\",\"user_session\":\"%s\"}",
		HEAD "\"category_code\":5,\"user_session\":\"%s\"}",
		HEAD "\"brand\":\"a\\u0000b\",\"user_session\":\"%s\"}",
		HEAD "\"category_id\":NaN,\"brand\":\"nan\",\"user_session\":\"%s\"}",
	};
	struct bench bench;

	bench_init(&bench, false);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bronze_event bronze;
		char value[512];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(value, sizeof(value), rows[i], home_session((int)i * 100));
#pragma GCC diagnostic pop
		cr_assert_eq(reason_of(&bench, (struct input_record){.value = span_of(value)}),
		             REASON_NONE, "%s", value);
		cr_assert(bronze_decode(kit_body(&bench.box.at[0]), &bronze, NULL));
		cr_expect(bronze.event.category_id == 0 && !bronze.event.category_code.at &&
		          !bronze.event.brand.at);
	}
	bench_free(&bench);
}

Test(bronze_fold, a_type_that_the_mapping_maps_to_nothing_is_refused_by_its_header)
{
	struct header unmapped = {SPAN("unmapped_event_type"), SPAN("page_view")};
	struct input_record record = {.value = SPAN("{\"event_type\":\"page_view\"}"),
	                              .headers = &unmapped,
	                              .header_count = 1};
	struct bench bench;

	bench_init(&bench, false);
	cr_assert_eq(reason_of(&bench, record), REASON_UNMAPPED_EVENT_TYPE);
	expect_detail(&bench, REASON_UNMAPPED_EVENT_TYPE, "event_type is 'page_view'");
	unmapped.value = SPAN("a\nb\xff");
	cr_assert_eq(reason_of(&bench, record), REASON_UNMAPPED_EVENT_TYPE);
	expect_detail(&bench, REASON_UNMAPPED_EVENT_TYPE, "event_type is 'a?b?'");
	record.header_count = 0;
	cr_assert_eq(reason_of(&bench, record), REASON_MISSING_EVENT_TIME);
	bench_free(&bench);
}

Test(bronze_fold, settings_decide_what_is_valid)
{
	struct event_rules_config config = {"user_session", "view", "none", "1.50", "2", "-"};
	struct event_rules rules;
	struct bench bench;
	struct err err;
	char home[24];

	cr_assert(event_rules_read(&config, &rules, &err));
	bench_init(&bench, false);
	bronze_fold_ops.free(bench.fold);
	bench.config.rules = &rules;
	bench.fold = bronze_fold_ops.new(&bench.config, 0);
	snprintf(home, sizeof(home), "%s", home_session(1));
	cr_expect_eq(reason_of(&bench,
	                       (struct input_record){.value = json_text(home, 1, 1, "view",
	                                                                KIT_DAY0_US, "1.50")}),
	             REASON_NONE);
	cr_expect_eq(reason_of(&bench,
	                       (struct input_record){.value = json_text(home, 1, 1, "cart",
	                                                                KIT_DAY0_US, "1.50")}),
	             REASON_EVENT_TYPE_NOT_ALLOWED);
	cr_expect_eq(reason_of(&bench,
	                       (struct input_record){.value = json_text(home, 1, 1, "view",
	                                                                KIT_DAY0_US, "1.49")}),
	             REASON_PRICE_OUT_OF_BOUNDS);
	expect_detail(&bench, REASON_PRICE_OUT_OF_BOUNDS, "price is 1.49: expected 1.50 to 2.00");
	cr_expect_eq(reason_of(&bench,
	                       (struct input_record){
				       .value = json_text("-", 1, 1, "view", KIT_DAY0_US, "1.50")}),
	             REASON_MISSING_USER_SESSION);
	bench_free(&bench);
}

Test(bronze_fold, refusals_of_the_frame_and_of_the_source_come_first)
{
	static const struct header source_error[] = {{{"source_error", 12}, {"7 columns", 9}}};
	struct bench bench;

	bench_init(&bench, false);
	cr_assert_eq(reason_of(&bench, (struct input_record){.value = SPAN_NULL}),
	             REASON_NULL_VALUE);
	cr_assert_eq(reason_of(&bench, (struct input_record){.value = SPAN("\1x"),
	                                                     .refused = REASON_UNKNOWN_MAGIC_BYTE,
	                                                     .detail = "0x01"}),
	             REASON_UNKNOWN_MAGIC_BYTE);
	cr_assert_eq(reason_of(&bench, (struct input_record){.value = SPAN("a,b"),
	                                                     .headers = source_error,
	                                                     .header_count = 1}),
	             REASON_MALFORMED_SOURCE_ROW);
	cr_assert(memcmp(kit_header(&bench.box.at[0], "__connect.errors.exception.message").at +
	                         strlen(reason_help(REASON_MALFORMED_SOURCE_ROW)),
	                 ": 7 columns", 11) == 0);
	bench_free(&bench);
}

Test(bronze_fold, key_of_another_partition_is_refused)
{
	struct bench bench;
	struct input_record record;

	bench_init(&bench, false);
	bench.partition = 1;
	record = view_at(1, 1, KIT_DAY0_US);
	cr_assert_eq(reason_of(&bench, record), REASON_WRONG_PARTITION);
	bench.partition = 0;
	cr_assert_eq(reason_of(&bench, record), REASON_NONE);
	bench_free(&bench);
}

Test(bronze_fold, the_detail_of_wrong_partition_says_which_key_to_use)
{
	static const struct {
		const char *session, *key, *want;
	} table[] = {
		{"nan", "nan",
	         "the key is the null word 'nan': use user:<user_id> as the key of an event without "
	         "a session"},
		{"nan", "user:7", "use the partitioner murmur2, as Java clients do"},
		{"abc", "abc", "use the partitioner murmur2, as Java clients do"},
		{"abc", "nan", "use the user_session as the key, or user:<user_id> without one"},
		{"abc", NULL, "use the user_session as the key, or user:<user_id> without one"},
	};
	struct bench bench;

	bench_init(&bench, false);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct span key = strcmp(table[i].session, "nan") == 0 ? SPAN("user:7")
		                                                       : span_of(table[i].session);
		int32_t home = partition_of(key, PARTITIONS);
		char want[200];

		bench.partition = (home + 1) % PARTITIONS;
		cr_assert_eq(reason_of(&bench,
		                       (struct input_record){.value = json_text(table[i].session, 7,
		                                                                1, "view",
		                                                                KIT_DAY0_US, "1"),
		                                             .key = span_of(table[i].key)}),
		             REASON_WRONG_PARTITION);
		snprintf(want, sizeof(want), "key belongs to partition %" PRId32 " of %d: %s", home,
		         PARTITIONS, table[i].want);
		expect_detail(&bench, REASON_WRONG_PARTITION, want);
	}
	bench_free(&bench);
}

/* ---- time */

#define FAR_US (KIT_DAY0_US + 31 * US_PER_DAY + US_PER_SECOND)

Test(bronze_fold, event_too_far_ahead_is_refused_and_moves_nothing_for_others)
{
	struct bench bench;

	bench_init(&bench, false);
	set_clock(&bench, KIT_DAY0_US);
	cr_assert_eq(reason_of(&bench, view_at(1, 3, FAR_US)), REASON_FUTURE_EVENT_TIME);
	cr_assert_not_null(bench.box.at[0].value.at);
	cr_assert_eq(reason_of(&bench, view_at(1, 3, FAR_US)), REASON_FUTURE_EVENT_TIME,
	             "one user does not confirm itself");
	cr_assert_eq(reason_of(&bench, view_at(1, 4, KIT_DAY0_US)), REASON_NONE);
	cr_assert_eq(reason_of(&bench, view_at(1, 5, FAR_US)), REASON_FUTURE_EVENT_TIME,
	             "an event between them: two devices do not confirm each other");
	cr_assert_eq(reason_of(&bench, view_at(1, 6, FAR_US)), REASON_NONE,
	             "after a pause, the next user does");
	cr_assert_eq(reason_of(&bench, view_at(2, 7, NOW_US + 6 * US_PER_MINUTE)),
	             REASON_FUTURE_EVENT_TIME, "after the record's own time");
	bench_free(&bench);
}

static struct header announced[2];

/* The row with a header source_clock; time_us CLOCK_NONE: an empty one. */
static struct input_record announcing(struct input_record record, int64_t time_us)
{
	static char text[32];
	size_t len = time_us == CLOCK_NONE ? 0 : time_format_iso(time_us, text);

	announced[0] = (struct header){SPAN("source_clock"), {text, len}};
	record.headers = announced;
	record.header_count = 1;
	return record;
}

Test(bronze_fold, announced_time_moves_the_clock_before_the_row_is_checked)
{
	struct bench bench;
	struct bronze_event bronze;
	int64_t time_us = KIT_DAY0_US;

	bench_init(&bench, false);
	for (int row = 0; row < 12; row++, time_us += 8 * US_PER_DAY)
		cr_assert_eq(reason_of(&bench, announcing(view_at(row, 7, time_us), CLOCK_NONE)),
		             REASON_NONE, "row %d of one user, a row every 8 days", row);
	time_us -= 8 * US_PER_DAY;
	cr_assert(bronze_decode(kit_body(&bench.box.at[0]), &bronze, NULL));
	cr_assert_eq(bronze.lineage.source_clock_us, time_us);
	cr_assert_eq(reason_of(&bench,
	                       announcing(view_at(50, 8, time_us - 7 * US_PER_DAY - 1), time_us)),
	             REASON_TOO_LATE_TO_DEDUPLICATE, "as on one partition");
	cr_assert_eq(reason_of(&bench, announcing((struct input_record){.value = SPAN("{")},
	                                          time_us + US_PER_DAY)),
	             REASON_MALFORMED_JSON);
	cr_assert_eq(reason_of(&bench, view_at(51, 9, time_us - 6 * US_PER_DAY - 1)),
	             REASON_TOO_LATE_TO_DEDUPLICATE, "a refused row announces, too");
	bench_free(&bench);
}

Test(bronze_fold, announced_time_is_cut_to_the_record_and_an_unreadable_one_counts_as_none)
{
	struct bench bench;
	struct bronze_event bronze;

	bench_init(&bench, false);
	cr_assert_eq(reason_of(&bench,
	                       announcing(view_at(1, 1, KIT_DAY0_US), NOW_US + 900 * US_PER_DAY)),
	             REASON_TOO_LATE_TO_DEDUPLICATE);
	cr_assert_eq(reason_of(&bench, announcing(view_at(1, 1, NOW_US), NOW_US)), REASON_NONE);
	announced[0].value = SPAN("soon");
	cr_assert_eq(reason_of(&bench, (struct input_record){.value = view_at(2, 2, NOW_US).value,
	                                                     .headers = announced,
	                                                     .header_count = 1}),
	             REASON_NONE);
	cr_assert(bronze_decode(kit_body(&bench.box.at[0]), &bronze, NULL));
	cr_assert_eq(bronze.lineage.source_clock_us, CLOCK_NONE);
	bench_free(&bench);
}

Test(bronze_fold, row_that_its_source_refutes_or_that_is_far_after_an_announced_time_is_refused)
{
	struct bench bench;
	struct input_record record;

	bench_init(&bench, false);
	record = announcing(view_at(1, 1, KIT_DAY0_US + 2 * US_PER_DAY), KIT_DAY0_US);
	cr_assert_eq(reason_of(&bench, record), REASON_NONE, "the last row of its source");
	record = announcing(view_at(2, 2, KIT_DAY0_US + 2 * US_PER_DAY), KIT_DAY0_US);
	announced[1] = (struct header){SPAN("time_refuted"), SPAN("1")};
	record.header_count = 2;
	cr_assert_eq(reason_of(&bench, record), REASON_FUTURE_EVENT_TIME);
	cr_assert_eq(reason_of(&bench, announcing(view_at(3, 3, FAR_US), KIT_DAY0_US)),
	             REASON_FUTURE_EVENT_TIME);
	cr_assert_eq(reason_of(&bench, announcing(view_at(4, 4, FAR_US), KIT_DAY0_US)),
	             REASON_FUTURE_EVENT_TIME, "announced: users do not confirm each other");
	bench_free(&bench);
}

Test(bronze_fold, event_older_than_the_horizon_is_refused_without_its_bytes)
{
	struct bench bench;

	bench_init(&bench, false);
	set_clock(&bench, KIT_DAY0_US);
	cr_assert_eq(reason_of(&bench, view_at(1, 3, KIT_DAY0_US - 7 * US_PER_DAY)), REASON_NONE,
	             "the horizon itself is still known");
	cr_assert_eq(reason_of(&bench, view_at(1, 3, KIT_DAY0_US - 7 * US_PER_DAY - 1)),
	             REASON_TOO_LATE_TO_DEDUPLICATE);
	cr_assert_null(bench.box.at[0].value.at);
	bench_free(&bench);
}

/* ---- duplicates */

Test(bronze_fold, event_is_accepted_once_and_written_in_standard_form)
{
	struct bench bench;
	struct bronze_event bronze;
	uint8_t id[EVENT_ID_BYTES];
	struct header headers[] = {{SPAN("source_file"), SPAN("oct.csv")},
	                           {SPAN("source_row"), SPAN("77")}};
	struct input_record record = {.value = json_text(home_session(1), 5, 6, "purchase",
	                                                 KIT_DAY0_US, "12.3"),
	                              .headers = headers,
	                              .header_count = 2};

	bench_init(&bench, false);
	bench.offset = 500;
	cr_assert_eq(bench_apply(&bench, record), KIT_DAY0_US,
	             "its event time is what a restore needs");
	cr_assert_eq(bench.box.count, 1);
	cr_assert_eq(bench.box.at[0].topic, TOPIC_BRONZE_EVENTS);
	cr_assert_eq(bench.box.at[0].partition, 0);
	cr_assert(span_is(bench.box.at[0].key, home_session(1)));
	cr_assert(bronze_decode(kit_body(&bench.box.at[0]), &bronze, NULL));
	event_id_content(&bronze.event, id);
	cr_assert_arr_eq(bronze.event_id, id, EVENT_ID_BYTES);
	cr_assert(bronze.event.price_cents == 1230 && bronze.event.user_id == 5 &&
	          bronze.event.product_id == 6 && bronze.event.type == EVENT_PURCHASE);
	cr_assert(span_is(bronze.lineage.source_file, "oct.csv") &&
	          bronze.lineage.source_row == 77);
	cr_assert(bronze.lineage.raw_offset == 500 && bronze.lineage.raw_partition == 0 &&
	          bronze.lineage.raw_time_ms == NOW_US / 1000);
	cr_assert_eq(bench_apply(&bench, record), FOLD_NOTHING);
	cr_assert_eq(bench.box.count, 0);
	cr_assert_eq(bench.counts.duplicates, 1);
	bench_free(&bench);
}

Test(bronze_fold, source_row_has_up_to_18_digits_and_anything_else_counts_as_none)
{
	static const struct {
		struct span text;
		int64_t want;
	} rows[] = {{{"0", 1}, 0},
	            {{"77", 2}, 77},
	            {{"007", 3}, 7},
	            {{"999999999999999999", 18}, INT64_C(999999999999999999)},
	            {{"000000000000000001", 18}, 1},
	            {{NULL, 0}, 0},
	            {{"", 0}, 0},
	            {{"1000000000000000000", 19}, 0},
	            {{"0000000000000000001", 19}, 0},
	            {{"18446744073709551617", 20}, 0},
	            {{"-1", 2}, 0},
	            {{"+1", 2}, 0},
	            {{" 1", 2}, 0},
	            {{"1 ", 2}, 0},
	            {{"1x", 2}, 0},
	            {{"0x1", 3}, 0},
	            {{"1.0", 3}, 0},
	            {{"1\0", 2}, 0}};
	struct bench bench;

	bench_init(&bench, false);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct header header = {SPAN("source_row"), rows[i].text};
		struct input_record record = view_at(1, (int64_t)i + 1, KIT_DAY0_US);
		struct bronze_event bronze;

		record.headers = &header, record.header_count = 1;
		bench_apply(&bench, record);
		cr_assert(bronze_decode(kit_body(&bench.box.at[0]), &bronze, NULL));
		cr_expect_eq(bronze.lineage.source_row, rows[i].want, "row %zu: got %" PRId64, i,
		             bronze.lineage.source_row);
	}
	bench_free(&bench);
}

Test(bronze_fold, duplicates_are_found_by_content_or_by_source_as_configured)
{
	struct header first[] = {{SPAN("source_file"), SPAN("oct.csv")},
	                         {SPAN("source_row"), SPAN("1")}};
	struct header second[] = {{SPAN("source_file"), SPAN("oct.csv")},
	                          {SPAN("source_row"), SPAN("2")}};

	for (int by_source = 0; by_source < 2; by_source++) {
		struct bench bench;
		struct input_record record = view_at(1, 1, KIT_DAY0_US);
		struct bronze_event bronze;
		uint8_t id[EVENT_ID_BYTES];

		bench_init(&bench, by_source);
		record.headers = first, record.header_count = 2;
		bench_apply(&bench, record);
		cr_assert(bronze_decode(kit_body(&bench.box.at[0]), &bronze, NULL));
		if (by_source)
			event_id_source(&bronze.lineage, id);
		else
			event_id_content(&bronze.event, id);
		cr_assert_arr_eq(bronze.event_id, id, EVENT_ID_BYTES);
		record.headers = second;
		bench_apply(&bench, record);
		cr_assert_eq(bench.counts.duplicates, by_source ? 0 : 1,
		             "an identical row of its own");
		record.headers = first;
		bench_apply(&bench, record);
		cr_assert_eq(bench.counts.duplicates, by_source ? 1 : 2, "the same row again");
		record.header_count = 0;
		bench_apply(&bench, record);
		bench_apply(&bench, record);
		cr_assert_eq(bench.counts.duplicates, by_source ? 2 : 4,
		             "without a source the content counts");
		bench_free(&bench);
	}
}

/* ---- traces */

#define PARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

Test(bronze_fold, headers_of_a_trace_are_passed_on_to_bronze)
{
	static char long_value[513];
	const struct {
		const char *label;
		struct header headers[3];
		const char *parent, *state; /* NULL: absent */
	} rows[] = {
		{"none", {{SPAN("source_file"), SPAN("a")}}, NULL, NULL},
		{"both",
	         {{SPAN("tracestate"), SPAN("v=1")}, {SPAN("traceparent"), SPAN(PARENT)}},
	         PARENT,
	         "v=1"},
		{"the last of two",
	         {{SPAN("traceparent"), SPAN("x")}, {SPAN("traceparent"), SPAN(PARENT)}},
	         PARENT,
	         NULL},
		{"no parent", {{SPAN("tracestate"), SPAN("v=1")}}, NULL, NULL},
		{"an empty parent", {{SPAN("traceparent"), SPAN("")}}, NULL, NULL},
		{"too long",
	         {{SPAN("traceparent"), SPAN(PARENT)}, {SPAN("tracestate"), {long_value, 513}}},
	         PARENT,
	         NULL},
		{"as long as allowed",
	         {{SPAN("traceparent"), {long_value, 512}}, {SPAN("source_row"), SPAN("1")}},
	         long_value,
	         NULL},
	};
	struct bench bench;

	memset(long_value, 'a', 512);
	bench_init(&bench, false);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct input_record record = view_at(1, 1, KIT_DAY0_US + (int64_t)i);
		struct span parent, state;

		record.headers = rows[i].headers;
		record.header_count = 3;
		cr_assert_eq(reason_of(&bench, record), REASON_NONE, "%s", rows[i].label);
		parent = kit_header(&bench.box.at[0], "traceparent");
		state = kit_header(&bench.box.at[0], "tracestate");
		cr_expect(rows[i].parent ? span_is(parent, rows[i].parent) : !parent.at, "%s",
		          rows[i].label);
		cr_expect(rows[i].state ? span_is(state, rows[i].state) : !state.at, "%s",
		          rows[i].label);
		cr_expect_eq(bench.box.at[0].header_count, !!rows[i].parent + !!rows[i].state, "%s",
		             rows[i].label);
	}
	bench_free(&bench);
}

Test(bronze_fold, headers_of_a_trace_stay_in_the_dead_letter)
{
	const struct header headers[] = {{SPAN("traceparent"), SPAN(PARENT)},
	                                 {SPAN("tracestate"), SPAN("v=1")}};
	struct bench bench;

	bench_init(&bench, false);
	cr_assert_eq(reason_of(&bench, (struct input_record){.value = SPAN("{"),
	                                                     .headers = headers,
	                                                     .header_count = 2}),
	             REASON_MALFORMED_JSON);
	cr_expect(span_is(kit_header(&bench.box.at[0], "traceparent"), PARENT));
	cr_expect(span_is(kit_header(&bench.box.at[0], "tracestate"), "v=1"));
	bench_free(&bench);
}

/* ---- measures */

Test(bronze_fold, measures_show_the_clock_and_the_known_ids)
{
	struct fold_measures empty, measures;
	struct bench bench;

	bench_init(&bench, false);
	bronze_fold_ops.measure(bench.fold, &empty);
	cr_expect(empty.clock_us == INT64_MIN && empty.entries == 0);
	set_clock(&bench, KIT_DAY0_US);
	bench_apply(&bench, view_at(1, 1, KIT_DAY0_US));
	bench_apply(&bench, view_at(1, 1, KIT_DAY0_US)); /* a duplicate */
	bronze_fold_ops.measure(bench.fold, &measures);
	cr_expect_eq(measures.clock_us, KIT_DAY0_US);
	cr_expect_eq(measures.watermark_us, INT64_MIN);
	cr_expect_eq(measures.entries, 3);
	cr_expect_gt(measures.bytes, empty.bytes);
	bench_free(&bench);
}

/* ---- controls */

static struct input_record control_of(const char *kind, int64_t time_us)
{
	static char time[32];
	static struct header headers[3];

	headers[0] = (struct header){SPAN("control"), span_of(kind)};
	headers[1] = (struct header){SPAN("event_time"), {time, time_format_iso(time_us, time)}};
	headers[2] = (struct header){SPAN("segment"), SPAN("7")};
	return (struct input_record){.headers = headers, .header_count = 3};
}

Test(bronze_fold, repeat_with_another_price_is_counted_apart_and_controls_carry_the_count)
{
	static const struct header begin[] = {{{"control", 7}, {"begin", 5}},
	                                      {{"event_time", 10}, {"2019-10-01T00:00:00Z", 20}}};
	static const struct {
		const char *price;
		int64_t records_out, duplicates, other_price;
	} rows[] = {{"5.00", 1, 0, 0}, {"5.00", 1, 1, 0}, {"6.00", 1, 2, 1},
	            {"5.0", 1, 3, 1},  {"null", 1, 4, 2}, {"6.00", 1, 5, 3}};
	struct bench bench;

	bench_init(&bench, false);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bench_apply(&bench,
		            (struct input_record){.value = json_text(home_session(1), 1, 1, "view",
		                                                     KIT_DAY0_US, rows[i].price)});
		cr_assert(bench.counts.records_out == rows[i].records_out &&
		                  bench.counts.duplicates == rows[i].duplicates &&
		                  bench.counts.duplicates_other_price == rows[i].other_price,
		          "row %zu: %" PRId64 ", %" PRId64 ", %" PRId64, i,
		          bench.counts.records_out, bench.counts.duplicates,
		          bench.counts.duplicates_other_price);
	}
	bench_apply(&bench, (struct input_record){.headers = begin, .header_count = 2});
	cr_assert(span_is(kit_header(&bench.box.at[0], "duplicates_other_price"), "3"));
	bench_free(&bench);
}

Test(bronze_fold, optional_field_that_cannot_be_read_is_counted_by_column_once_per_event)
{
	static const char form[] =
		"{\"event_time\":\"2019-10-01 00:00:0%d UTC\",\"event_type\":\"view\","
		"\"product_id\":1,\"category_id\":%s,\"price\":1.5,\"user_id\":1,"
		"\"user_session\":\"%s\"}";
	static const struct {
		const char *category_id;
		int second;
		int64_t unreadable, duplicates;
	} rows[] = {{"2053013555631882655", 1, 0, 0},
	            {"\"2.05301E+18\"", 2, 1, 0},
	            {"\"2.05301E+18\"", 2, 1, 1},
	            {"null", 3, 1, 1},
	            {"\"n/a!\"", 4, 2, 1}};
	struct bench bench;

	bench_init(&bench, false);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char value[512];
		int len = snprintf(value, sizeof(value), form, rows[i].second, rows[i].category_id,
		                   home_session(1));

		cr_assert_eq(reason_of(&bench,
		                       (struct input_record){.value = {value, (size_t)len}}),
		             REASON_NONE);
		for (int field = 0; field < EVENT_FIELD_COUNT; field++)
			cr_assert_eq(bench.counts.unreadable[field],
			             field == FIELD_CATEGORY_ID ? rows[i].unreadable : 0,
			             "row %zu, %s", i, event_field_names[field]);
		cr_assert_eq(bench.counts.duplicates, rows[i].duplicates, "row %zu", i);
	}
	bench_free(&bench);
}

Test(bronze_fold, control_moves_the_clock_is_forwarded_and_is_not_a_row)
{
	static const char *const kinds[] = {"begin", "jump", "end"};
	struct bench bench;

	bench_init(&bench, false);
	for (size_t i = 0; i < 3; i++) {
		bench_apply(&bench, control_of(kinds[i], KIT_DAY0_US));
		cr_assert_eq(bench.box.count, 1);
		cr_assert(bench.box.at[0].topic == TOPIC_BRONZE_EVENTS &&
		          bench.box.at[0].partition == 0);
		cr_assert_null(bench.box.at[0].value.at);
		cr_assert(span_is(kit_header(&bench.box.at[0], "control"), kinds[i]));
		cr_assert(span_is(kit_header(&bench.box.at[0], "segment"), "7"));
		cr_assert_not_null(kit_header(&bench.box.at[0], "raw_offset").at,
		                   "readers get its offset");
		cr_assert(span_is(kit_header(&bench.box.at[0], "event_time"),
		                  "2019-10-01T00:00:00Z"));
	}
	cr_assert_eq(bench.counts.records_in, 0);
	cr_assert_eq(reason_of(&bench, view_at(1, 1, KIT_DAY0_US - 8 * US_PER_DAY)),
	             REASON_TOO_LATE_TO_DEDUPLICATE);
	cr_assert_eq(reason_of(&bench, view_at(1, 1, FAR_US)), REASON_FUTURE_EVENT_TIME);
	bench_free(&bench);
}

Test(bronze_fold, control_ahead_of_its_record_gets_the_time_of_the_record_also_in_bronze)
{
	struct bench bench;
	char want[32];

	bench_init(&bench, false);
	bench.record_us = KIT_DAY0_US;
	bench_apply(&bench, control_of("jump", KIT_DAY0_US + 400 * US_PER_DAY));
	time_format_iso(KIT_DAY0_US, want);
	cr_assert(span_is(kit_header(&bench.box.at[0], "event_time"), want),
	          "the session half must not see another time than bronze-sink");
	cr_assert_eq(reason_of(&bench, view_at(1, 1, KIT_DAY0_US)), REASON_NONE,
	             "the clock stands at the record's time");
	bench_free(&bench);
}

Test(bronze_fold, control_that_cannot_be_read_is_a_dead_letter)
{
	static const struct header bad[] = {{{"control", 7}, {"begin", 5}},
	                                    {{"event_time", 10}, {"soon", 4}}};
	struct bench bench;

	bench_init(&bench, false);
	cr_assert_eq(reason_of(&bench, (struct input_record){.headers = bad, .header_count = 2}),
	             REASON_INVALID_CONTROL);
	bench_free(&bench);
}

/* The copy of a control is larger than the control, so it could be too large where the control was
 * not. */
Test(bronze_fold, control_with_headers_too_large_for_one_is_a_dead_letter)
{
	static char large[65536];
	struct header headers[] = {{SPAN("control"), SPAN("end")},
	                           {SPAN("segment"), {large, 60000}},
	                           {SPAN("more"), {large, 1000}}};
	struct bench bench;

	bench_init(&bench, false);
	bench_apply(&bench, (struct input_record){.headers = headers, .header_count = 3});
	cr_assert_eq(bench.counts.records_in, 0);
	headers[2].value.len = sizeof(large);
	cr_assert_eq(reason_of(&bench,
	                       (struct input_record){.headers = headers, .header_count = 3}),
	             REASON_INVALID_CONTROL);
	bench_free(&bench);
}

Test(bronze_fold, control_with_a_value_does_not_lose_a_row)
{
	struct bench bench;
	struct input_record record = control_of("jump", KIT_DAY0_US);

	bench_init(&bench, false);
	record.value = json_text(home_session(1), 5, 6, "view", KIT_DAY0_US, "12.3");
	cr_assert_eq(reason_of(&bench, record), REASON_INVALID_CONTROL);
	cr_assert(span_equal(bench.box.at[0].value, record.value));
	bench_free(&bench);
}

Test(bronze_fold, duplicate_is_recognised_up_to_the_horizon_itself)
{
	for (int64_t into_hour_us = 0; into_hour_us < US_PER_HOUR;
	     into_hour_us += 59 * US_PER_MINUTE) {
		int64_t time_us = KIT_DAY0_US + into_hour_us;
		struct bench bench;

		bench_init(&bench, false);
		cr_assert_eq(reason_of(&bench, view_at(1, 1, time_us)), REASON_NONE);
		/* one event each hour, so that old ids are forgotten on the way */
		for (int64_t hour = 1; hour <= 7 * 24; hour++) {
			bench_apply(&bench, control_of("jump", time_us + hour * US_PER_HOUR));
			cr_assert_eq(reason_of(&bench, view_at(2, 2, time_us + hour * US_PER_HOUR)),
			             REASON_NONE);
		}
		cr_assert_eq(reason_of(&bench, view_at(1, 1, time_us)), REASON_NONE);
		cr_assert_eq(bench.counts.duplicates, 1,
		             "the repeat 7 days later was taken as new");
		bench_free(&bench);
	}
}

/* ---- records whose earlier result is known, because the rules have changed */

static void apply_accepted(struct bench *bench, struct input_record record)
{
	record.earlier = EARLIER_ACCEPTED;
	bench_apply(bench, record);
}

static void apply_refused(struct bench *bench, struct input_record record, enum reason reason)
{
	record.earlier = EARLIER_REFUSED;
	record.earlier_reason = reason;
	cr_assert_eq(bench_apply(bench, record), FOLD_NOTHING);
}

Test(bronze_fold, record_that_was_refused_does_not_count_as_seen)
{
	struct bench bench;

	bench_init(&bench, false);
	apply_refused(&bench, view_at(1, 1, KIT_DAY0_US), REASON_INVALID_PRICE);
	cr_assert_eq(bench.counts.dead[REASON_INVALID_PRICE], 1);
	cr_assert_eq(reason_of(&bench, view_at(1, 1, KIT_DAY0_US)), REASON_NONE);
	cr_assert_eq(bench.counts.records_out, 1);
	cr_assert_eq(bench.counts.duplicates, 0);
	bench_free(&bench);
}

Test(bronze_fold, record_that_was_refused_and_cannot_be_read_now_counts_as_unreadable)
{
	struct bench bench;

	bench_init(&bench, false);
	apply_refused(&bench,
	              (struct input_record){.value = SPAN("x"),
	                                    .refused = REASON_UNKNOWN_SCHEMA_ID},
	              REASON_INVALID_PRICE);
	cr_assert_eq(bench.counts.dead[REASON_UNKNOWN_SCHEMA_ID], 1);
	cr_assert_eq(total_dead(&bench.counts), 1);
	bench_free(&bench);
}

Test(bronze_fold, control_that_was_refused_does_not_move_the_clock)
{
	struct bench bench;

	bench_init(&bench, false);
	set_clock(&bench, KIT_DAY0_US);
	apply_refused(&bench, control_of("jump", KIT_DAY0_US + 30 * US_PER_DAY),
	              REASON_INVALID_CONTROL);
	cr_assert_eq(bench.counts.dead[REASON_INVALID_CONTROL], 1);
	cr_assert_eq(reason_of(&bench, view_at(1, 3, KIT_DAY0_US)), REASON_NONE,
	             "the clock has moved");
	bench_free(&bench);
}

Test(bronze_fold, record_that_was_accepted_counts_as_seen_whatever_the_rules)
{
	static const struct header refuted[] = {
		{{CLOCK_HEADER_SOURCE, sizeof(CLOCK_HEADER_SOURCE) - 1}, {"", 0}},
		{{CLOCK_HEADER_REFUTED, sizeof(CLOCK_HEADER_REFUTED) - 1}, {"", 0}}};
	struct input_record again;
	struct bench bench;
	int session = 1;

	bench_init(&bench, false);
	set_clock(&bench, KIT_DAY0_US);
	again = view_at(1, 3, KIT_DAY0_US + US_PER_HOUR);
	again.headers = refuted, again.header_count = 2;
	cr_assert_eq(reason_of(&bench, again), REASON_FUTURE_EVENT_TIME);
	apply_accepted(&bench, again);
	again.header_count = 1;
	cr_assert_eq(reason_of(&bench, again), REASON_NONE);
	cr_assert_eq(bench.counts.duplicates, 1, "it was a duplicate");

	while (partition_of(span_of(home_session(session)), 3) == 0)
		session++;
	again = view_at(session, 4, KIT_DAY0_US + US_PER_HOUR);
	bench.config.partition_count = 3;
	cr_assert_eq(reason_of(&bench, again), REASON_WRONG_PARTITION);
	apply_accepted(&bench, again);
	bench.config.partition_count = PARTITIONS;
	cr_assert_eq(reason_of(&bench, again), REASON_NONE);
	cr_assert_eq(bench.counts.duplicates, 2, "it was a duplicate");
	bench_free(&bench);
}

/* ---- nothing is lost, nothing is counted twice */

static struct input_record random_record(struct rng *rng, int64_t *front_us)
{
	static char text[1024];
	struct input_record record;

	*front_us += rng_below(rng, 4 * US_PER_MINUTE);
	switch (rng_below(rng, 12)) {
	case 0: return (struct input_record){.value = SPAN("{\"broken\"")};
	case 1: return (struct input_record){.value = SPAN_NULL};
	case 2: record = view_at((int)rng_below(rng, 50), 1, *front_us + 40 * US_PER_DAY); break;
	case 3: record = view_at((int)rng_below(rng, 50), 1, *front_us - 9 * US_PER_DAY); break;
	case 4:
		record = (struct input_record){
			.value = json_text(rng_chance(rng, 2) ? "elsewhere-1" : "elsewhere-4", 3, 1,
		                           "view", *front_us, "1")};
		break;
	default:
		record = view_at((int)rng_below(rng, 3), rng_between(rng, 1, 3),
		                 (*front_us - rng_below(rng, 4 * US_PER_HOUR)) /
		                         (10 * US_PER_MINUTE) * 10 * US_PER_MINUTE);
	}
	memcpy(text, record.value.at, record.value.len);
	record.value.at = text;
	return record;
}

Test(bronze_fold, rows_in_are_bronze_and_duplicates_and_dead_letters_for_random_input)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct rng rng = {seed};
		struct bench bench;
		int64_t front_us = KIT_DAY0_US, bronze = 0, dead = 0;

		bench_init(&bench, false);
		bench_apply(&bench, control_of("begin", front_us));
		for (int i = 0; i < 1500; i++) {
			bench_apply(&bench, random_record(&rng, &front_us));
			for (size_t o = 0; o < bench.box.count; o++) {
				bronze += bench.box.at[o].topic == TOPIC_BRONZE_EVENTS;
				dead += bench.box.at[o].topic == TOPIC_DEAD_LETTER;
			}
		}
		cr_assert_eq(bench.counts.records_in, 1500);
		cr_assert_eq(bench.counts.records_out, bronze, "seed %" PRIu64, seed);
		cr_assert_eq(total_dead(&bench.counts), dead, "seed %" PRIu64, seed);
		cr_assert_eq(bench.counts.records_in, bronze + bench.counts.duplicates + dead,
		             "seed %" PRIu64, seed);
		cr_assert(bench.counts.duplicates > 10 &&
		                  bench.counts.dead[REASON_FUTURE_EVENT_TIME] &&
		                  bench.counts.dead[REASON_TOO_LATE_TO_DEDUPLICATE] &&
		                  bench.counts.dead[REASON_WRONG_PARTITION],
		          "seed %" PRIu64 ": %" PRId64 " duplicates, %" PRId64 " future, %" PRId64
		          " too late, %" PRId64 " elsewhere",
		          seed, bench.counts.duplicates,
		          bench.counts.dead[REASON_FUTURE_EVENT_TIME],
		          bench.counts.dead[REASON_TOO_LATE_TO_DEDUPLICATE],
		          bench.counts.dead[REASON_WRONG_PARTITION]);
		bench_free(&bench);
	}
}

Test(bronze_fold, replaying_any_prefix_twice_equals_once)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct rng rng = {seed + 300};
		struct bench bench;
		struct kit_log log = {0};
		int64_t front_us = KIT_DAY0_US, accepted = 0;
		size_t prefix = (size_t)rng_between(&rng, 1, 300);

		bench_init(&bench, false);
		for (size_t i = 0; i < prefix; i++) { /* within the horizon */
			struct input_record record =
				view_at((int)rng_below(&rng, 20), rng_between(&rng, 1, 5),
			                front_us += rng_below(&rng, 30 * US_PER_MINUTE));

			kit_log_add(&log, (int64_t)i, NOW_US / 1000, record.key, record.value, NULL,
			            0);
		}
		for (int pass = 0; pass < 2; pass++) {
			for (size_t i = 0; i < prefix; i++) {
				bench_apply(&bench, kit_log_record(&log, i));
				cr_assert(pass == 0 || bench.box.count == 0,
				          "seed %" PRIu64 ": record %zu came out twice", seed, i);
			}
			if (pass == 0)
				accepted = bench.counts.records_out;
		}
		cr_assert_eq(bench.counts.records_out, accepted, "seed %" PRIu64, seed);
		cr_assert_eq(bench.counts.duplicates, 2 * (int64_t)prefix - accepted,
		             "seed %" PRIu64, seed);
		bench_free(&bench);
		kit_log_free(&log);
	}
}
