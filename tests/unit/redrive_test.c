/* Dead letters that go back: reading them, the selection, the classification, and the records that
 * are sent. */
#include "base/err.h"
#include "base/span.h"
#include "base/timetext.h"
#include "event/clock.h"
#include "event/event.h"
#include "event/event_json_library.h"
#include "event/reason.h"
#include "fold_kit.h"
#include "redrive_rules.h"
#include "stream/dead_letter.h"
#include "stream/outbox.h"
#include "stream/record.h"
#include "unit/fold_kit.h"
#include "wire/partitioner.h"
#include "wire/records_counts.h"
#include "wire/topics.h"

#define HORIZON_US (7 * US_PER_DAY)
#define JSON(time, type)                                      \
	"{\"event_time\":\"" time "\",\"event_type\":\"" type \
	"\",\"product_id\":1,\"price\":2.5,\"user_id\":7,\"user_session\":\"session-1\"}"

static const char good[] = JSON("2019-10-01 10:00:00 UTC", "view");

/* A dead letter as a fold writes it, as the reader of the topic gets it. */
struct letter {
	struct outbox box;
	struct input_record record;
};

static struct input_record refused_record(const char *value, const struct header *headers,
                                          size_t header_count)
{
	return (struct input_record){.topic = SPAN("t_raw_events"),
	                             .offset = 40,
	                             .timestamp_ms = KIT_DAY0_US / 1000,
	                             .partition = 2,
	                             .key = SPAN("key"),
	                             .value = value ? span_of(value) : SPAN_NULL,
	                             .headers = headers,
	                             .header_count = header_count};
}

static void letter_init(struct letter *letter, const struct input_record *refused,
                        enum reason reason, bool by_reference)
{
	struct counts counts = {0};

	*letter = (struct letter){0};
	output_dead_letter(&letter->box, kit_context(), refused, reason, "detail", by_reference,
	                   &counts);
	letter->record = (struct input_record){.topic = SPAN("t_dead_letter"),
	                                       .offset = 12,
	                                       .timestamp_ms = KIT_DAY0_US / 1000,
	                                       .partition = 1,
	                                       .key = letter->box.at[0].key,
	                                       .value = letter->box.at[0].value,
	                                       .headers = letter->box.at[0].headers,
	                                       .header_count = letter->box.at[0].header_count};
}

static struct partition_clock clocks[4];

static struct redrive_params params_init(void)
{
	struct redrive_params params = {.selection = {.any_reason = true,
	                                              .since_us = INT64_MIN,
	                                              .until_us = INT64_MAX},
	                                .raw_topic = SPAN("t_raw_events"),
	                                .bronze_topic = SPAN("t_bronze_events"),
	                                .partials_topic = SPAN("t_funnel_partials"),
	                                .raw_partitions = 4,
	                                .clocks = clocks,
	                                .horizon_us = HORIZON_US,
	                                .now_us = KIT_DAY0_US + 400 * US_PER_DAY};

	for (int p = 0; p < 4; p++) {
		clock_init(&clocks[p]);
		clock_announce(&clocks[p], KIT_DAY0_US, KIT_DAY0_US);
	}
	return params;
}

static enum redrive_result classify(const struct redrive_params *params,
                                    struct redrive_ledger *ledger,
                                    const struct input_record *record,
                                    struct redrive_decision *decision)
{
	struct redrive_ledger none = {0};
	struct event_parser *parser = event_parser_new(NULL);

	redrive_classify(params, ledger ? ledger : &none, parser, record, decision);
	event_parser_free(parser);
	return decision->result;
}

Test(redrive, a_dead_letter_says_where_it_came_from_and_which_headers_were_its_own)
{
	const struct header own[] = {{SPAN("source_file"), SPAN("a.csv")},
	                             {SPAN("source_time"), SPAN("mine")},
	                             {SPAN("redriven"), SPAN("0/5")}};
	struct input_record refused = refused_record(good, own, 3);
	struct dead_letter found;
	struct letter letter;
	int32_t partition;
	int64_t offset;

	letter_init(&letter, &refused, REASON_WRONG_PARTITION, false);
	cr_assert(dead_letter_read(&letter.record, &found));
	cr_assert(span_is(found.reason, "wrong_partition"));
	cr_assert(span_is(found.service, "test-service"));
	cr_assert(span_is(found.source_topic, "t_raw_events"));
	cr_assert_eq(found.source_partition, 2);
	cr_assert_eq(found.source_offset, 40);
	cr_assert_eq(found.own_headers, 3);
	cr_assert_not(redrive_marker_read(&letter.record, &partition, &offset),
	              "a writer of raw events can make markers");
	outbox_free(&letter.box);
}

Test(redrive, records_that_are_not_dead_letters_are_unreadable)
{
	struct input_record refused = refused_record(good, NULL, 0), record;
	struct redrive_params params = params_init();
	struct redrive_decision decision;
	struct dead_letter found;
	struct header headers[32];
	struct letter letter;

	letter_init(&letter, &refused, REASON_WRONG_PARTITION, false);
	for (size_t count = 0; count < letter.record.header_count; count++) {
		record = letter.record;
		record.header_count = count;
		cr_assert_not(dead_letter_read(&record, &found), "the first %zu headers are enough",
		              count);
		cr_assert_eq(classify(&params, NULL, &record, &decision), REDRIVE_UNREADABLE);
	}
	for (size_t i = 1; i <= 2; i++) {
		static const char *const bad[] = {"", "-1", "1x", "99999999999999999999",
		                                  "2147483648000000000000"};

		for (size_t b = 0; b < sizeof(bad) / sizeof(bad[0]); b++) {
			memcpy(headers, letter.record.headers,
			       letter.record.header_count * sizeof(*headers));
			headers[i].value = span_of(bad[b]);
			record = letter.record;
			record.headers = headers;
			cr_assert_not(dead_letter_read(&record, &found), "header %zu may be '%s'",
			              i, bad[b]);
		}
	}
	outbox_free(&letter.box);
}

Test(redrive, the_record_is_sent_unchanged_with_a_marker_after_the_dead_letter)
{
	const struct header own[] = {{SPAN("source_file"), SPAN("a.csv")},
	                             {SPAN("redriven_from"), SPAN("0/3")}};
	struct input_record refused = refused_record(good, own, 2), marker;
	struct redrive_params params = params_init();
	struct redrive_decision decision;
	struct dead_letter found;
	struct letter letter;
	struct outbox out = {0};
	int32_t partition;
	int64_t offset;

	letter_init(&letter, &refused, REASON_WRONG_PARTITION, false);
	cr_assert_eq(classify(&params, NULL, &letter.record, &decision), REDRIVE_SEND);
	redrive_emit(&out, &decision, &letter.record);
	cr_assert_eq(out.count, 2);
	cr_assert_eq(out.at[0].topic, TOPIC_RAW_EVENTS);
	cr_assert_eq(out.at[0].partition, partition_of(SPAN("session-1"), 4),
	             "an event goes where its session belongs");
	cr_assert(span_is(out.at[0].key, "key"));
	cr_assert(span_is(out.at[0].value, good));
	cr_assert_eq(out.at[0].header_count, 2, "own headers, and the place it came from");
	cr_assert(span_is(kit_header(&out.at[0], "source_file"), "a.csv"));
	cr_assert(span_is(kit_header(&out.at[0], "redriven_from"), "1/12"));
	cr_assert_eq(out.at[1].topic, TOPIC_DEAD_LETTER);
	cr_assert_eq(out.at[1].partition, 1, "the marker is in the partition of the dead letter");
	cr_assert_null(out.at[1].value.at);
	marker = (struct input_record){.partition = 1,
	                               .offset = 13,
	                               .headers = out.at[1].headers,
	                               .header_count = out.at[1].header_count};
	cr_assert(redrive_marker_read(&marker, &partition, &offset));
	cr_assert_eq(partition, 1);
	cr_assert_eq(offset, 12);
	cr_assert_not(dead_letter_read(&marker, &found), "a marker is not a dead letter");
	cr_assert_eq(classify(&params, NULL, &marker, &decision), REDRIVE_MARKER);
	/* For readers that use names: the marker repeats the headers that name the row of the dead
	 * letter. */
	cr_assert(span_is(record_header(&marker, "__connect.errors.topic"), "t_raw_events"));
	cr_assert(span_is(record_header(&marker, "__connect.errors.offset"), "40"));
	cr_assert(span_is(record_header(&marker, "__connect.errors.exception.class.name"),
	                  "wrong_partition"));
	outbox_free(&out);
	outbox_free(&letter.box);
}

Test(redrive, a_dead_letter_with_a_marker_is_never_sent_again_whatever_is_selected)
{
	struct input_record refused = refused_record(good, NULL, 0);
	struct redrive_params params = params_init();
	struct redrive_ledger ledger = {0};
	struct redrive_decision decision;
	struct letter letter;
	struct rng rng = {5};

	letter_init(&letter, &refused, REASON_WRONG_PARTITION, false);
	for (int i = 0; i < 5000; i++)
		redrive_ledger_add(&ledger, (int32_t)rng_below(&rng, 4),
		                   100 + rng_below(&rng, 1000000));
	cr_assert_eq(classify(&params, &ledger, &letter.record, &decision), REDRIVE_SEND);
	redrive_ledger_add(&ledger, 0, 12);
	cr_assert_eq(classify(&params, &ledger, &letter.record, &decision), REDRIVE_SEND,
	             "that is a dead letter of another partition");
	redrive_ledger_add(&ledger, 1, 12);
	cr_assert_eq(classify(&params, &ledger, &letter.record, &decision), REDRIVE_BEFORE);
	params.send_refused = true;
	cr_assert_eq(classify(&params, &ledger, &letter.record, &decision), REDRIVE_BEFORE);
	redrive_ledger_free(&ledger);
	outbox_free(&letter.box);
}

Test(redrive, dead_letters_that_cannot_come_back_have_their_own_results)
{
	const struct header control[] = {{SPAN("control"), SPAN("dance")}},
			    source_error[] = {{SPAN("source_error"), SPAN("7 columns")}},
			    unmapped[] = {{SPAN("unmapped_event_type"), SPAN("page_view")}};
	const struct {
		const char *label, *topic, *value;
		const struct header *headers;
		enum reason reason;
		bool by_reference;
		enum redrive_result want;
		enum reason refused;
	} rows[] = {
		{"good now", "t_raw_events", good, NULL, REASON_FUTURE_EVENT_TIME, false,
	         REDRIVE_SEND, REASON_NONE},
		{"at the horizon", "t_raw_events", JSON("2019-09-24 00:00:00 UTC", "view"), NULL,
	         REASON_WRONG_PARTITION, false, REDRIVE_SEND, REASON_NONE},
		{"beyond it", "t_raw_events", JSON("2019-09-23 23:59:59 UTC", "view"), NULL,
	         REASON_WRONG_PARTITION, false, REDRIVE_TOO_OLD, REASON_NONE},
		{"by reference", "t_raw_events", good, NULL, REASON_TOO_LATE_TO_DEDUPLICATE, true,
	         REDRIVE_NO_BYTES, REASON_NONE},
		{"never had bytes", "t_raw_events", NULL, NULL, REASON_NULL_VALUE, false,
	         REDRIVE_NO_BYTES, REASON_NONE},
		{"control", "t_raw_events", NULL, control, REASON_INVALID_CONTROL, false,
	         REDRIVE_CONTROL, REASON_NONE},
		{"still bad", "t_raw_events", JSON("2019-10-01 10:00:00 UTC", "stare"), NULL,
	         REASON_UNKNOWN_EVENT_TYPE, false, REDRIVE_REFUSED, REASON_UNKNOWN_EVENT_TYPE},
		{"no JSON", "t_raw_events", "{", NULL, REASON_MALFORMED_JSON, false,
	         REDRIVE_REFUSED, REASON_MALFORMED_JSON},
		{"a source row", "t_raw_events", good, source_error, REASON_MALFORMED_SOURCE_ROW,
	         false, REDRIVE_REFUSED, REASON_MALFORMED_SOURCE_ROW},
		{"an unmapped type", "t_raw_events", good, unmapped, REASON_UNMAPPED_EVENT_TYPE,
	         false, REDRIVE_REFUSED, REASON_UNMAPPED_EVENT_TYPE},
		{"from bronze", "t_bronze_events", "x", NULL, REASON_MALFORMED_AVRO, false,
	         REDRIVE_FROM_BRONZE, REASON_NONE},
		{"from partials", "t_funnel_partials", "x", NULL, REASON_LATE_PARTIAL, false,
	         REDRIVE_FROM_PARTIALS, REASON_NONE},
		{"another set", "u_raw_events", good, NULL, REASON_WRONG_PARTITION, false,
	         REDRIVE_OTHER_SET, REASON_NONE},
	};
	struct redrive_params params = params_init();
	struct redrive_decision decision;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct input_record refused =
			refused_record(rows[i].value, rows[i].headers, rows[i].headers ? 1 : 0);
		struct letter letter;

		refused.topic = span_of(rows[i].topic);
		letter_init(&letter, &refused, rows[i].reason, rows[i].by_reference);
		cr_assert_eq(classify(&params, NULL, &letter.record, &decision), rows[i].want,
		             "%s: %s", rows[i].label, redrive_result_text(decision.result));
		cr_assert_eq(decision.refused, rows[i].refused, "%s", rows[i].label);
		if (rows[i].want == REDRIVE_REFUSED) {
			params.send_refused = true;
			cr_assert_eq(classify(&params, NULL, &letter.record, &decision),
			             REDRIVE_SEND, "%s, with send_refused", rows[i].label);
			cr_assert_eq(decision.target, partition_of(SPAN("key"), 4),
			             "%s: bytes without a session go by their key", rows[i].label);
			params.send_refused = false;
		}
		outbox_free(&letter.box);
	}
}

Test(redrive, an_event_larger_than_any_may_be_is_never_sent)
{
	struct input_record refused = refused_record(good, NULL, 0);
	struct redrive_params params = params_init();
	struct redrive_decision decision;
	char *large = calloc(1, EVENT_VALUE_MAX + 1);
	struct letter letter;

	params.send_refused = true;
	refused.value = (struct span){large, EVENT_VALUE_MAX + 1};
	letter_init(&letter, &refused, REASON_OVERSIZED, false);
	cr_assert_eq(classify(&params, NULL, &letter.record, &decision), REDRIVE_TOO_LARGE);
	outbox_free(&letter.box);
	free(large);
}

Test(redrive, an_unknown_clock_or_horizon_keeps_nothing_back)
{
	struct input_record refused =
		refused_record(JSON("2001-01-01 00:00:00 UTC", "view"), NULL, 0);
	struct redrive_params params = params_init();
	struct redrive_decision decision;
	struct letter letter;

	letter_init(&letter, &refused, REASON_WRONG_PARTITION, false);
	cr_assert_eq(classify(&params, NULL, &letter.record, &decision), REDRIVE_TOO_OLD);
	for (int p = 0; p < 4; p++)
		clock_init(&clocks[p]);
	cr_assert_eq(classify(&params, NULL, &letter.record, &decision), REDRIVE_SEND);
	params = params_init();
	params.horizon_us = 0;
	cr_assert_eq(classify(&params, NULL, &letter.record, &decision), REDRIVE_SEND);
	outbox_free(&letter.box);
}

Test(redrive, an_event_still_ahead_of_the_clock_is_sent_and_reported)
{
	struct input_record refused =
		refused_record(JSON("2019-11-05 00:00:00 UTC", "view"), NULL, 0);
	struct redrive_params params = params_init();
	struct redrive_decision decision;
	struct letter letter;

	letter_init(&letter, &refused, REASON_FUTURE_EVENT_TIME, false);
	cr_assert_eq(classify(&params, NULL, &letter.record, &decision), REDRIVE_SEND);
	cr_assert(decision.ahead);
	for (int p = 0; p < 4; p++)
		clock_announce(&clocks[p], KIT_DAY0_US + 4 * US_PER_DAY, params.now_us);
	cr_assert_eq(classify(&params, NULL, &letter.record, &decision), REDRIVE_SEND);
	cr_assert_not(decision.ahead);
	outbox_free(&letter.box);
}

Test(redrive, framed_json_is_classified_by_its_body)
{
	char framed[sizeof(good) + 5] = "\0\0\0\0\x07";
	struct input_record refused = refused_record(good, NULL, 0);
	struct redrive_params params = params_init();
	struct redrive_decision decision;
	struct letter letter;

	memcpy(framed + 5, good, sizeof(good) - 1);
	refused.value = (struct span){framed, sizeof(good) + 4};
	letter_init(&letter, &refused, REASON_UNKNOWN_SCHEMA_ID, false);
	cr_assert_eq(classify(&params, NULL, &letter.record, &decision), REDRIVE_SEND);
	outbox_free(&letter.box);
	refused.value.len = 3;
	letter_init(&letter, &refused, REASON_UNKNOWN_MAGIC_BYTE, false);
	cr_assert_eq(classify(&params, NULL, &letter.record, &decision), REDRIVE_REFUSED);
	outbox_free(&letter.box);
}

Test(redrive, a_dead_letter_is_selected_by_reason_time_and_place)
{
	static const struct {
		const char *label, *reasons, *source, *letters;
		int64_t since_us, until_us;
		bool want;
	} rows[] = {
		{"everything", "", "", "", INT64_MIN, INT64_MAX, true},
		{"its reason", "invalid_price,wrong_partition", "", "", INT64_MIN, INT64_MAX, true},
		{"another reason", "invalid_price", "", "", INT64_MIN, INT64_MAX, false},
		{"since its time", "", "", "", KIT_DAY0_US, INT64_MAX, true},
		{"since later", "", "", "", KIT_DAY0_US + 1000, INT64_MAX, false},
		{"until its time", "", "", "", INT64_MIN, KIT_DAY0_US, false},
		{"until later", "", "", "", INT64_MIN, KIT_DAY0_US + 1000, true},
		{"its source partition", "", "2", "", INT64_MIN, INT64_MAX, true},
		{"another one", "", "1", "", INT64_MIN, INT64_MAX, false},
		{"its source offset", "", "1:3,2:40", "", INT64_MIN, INT64_MAX, true},
		{"up to before it", "", "2:0-39", "", INT64_MIN, INT64_MAX, false},
		{"from it on", "", "2:40-", "", INT64_MIN, INT64_MAX, true},
		{"from after it", "", "2:41-", "", INT64_MIN, INT64_MAX, false},
		{"its own place", "", "", "1:12", INT64_MIN, INT64_MAX, true},
		{"another place", "", "", "0:12 1:13-99", INT64_MIN, INT64_MAX, false},
		{"all of them must hold", "wrong_partition", "2", "0", INT64_MIN, INT64_MAX, false},
	};
	struct input_record refused = refused_record(good, NULL, 0);
	struct letter letter;

	letter_init(&letter, &refused, REASON_WRONG_PARTITION, false);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct redrive_params params = params_init();
		struct redrive_decision decision;
		struct err err;

		cr_assert(redrive_reasons_parse(rows[i].reasons, &params.selection, &err), "%s",
		          rows[i].label);
		cr_assert(redrive_ranges_parse(rows[i].source, &params.selection.source, &err),
		          "%s", rows[i].label);
		cr_assert(redrive_ranges_parse(rows[i].letters, &params.selection.dead_letters,
		                               &err),
		          "%s", rows[i].label);
		params.selection.since_us = rows[i].since_us;
		params.selection.until_us = rows[i].until_us;
		cr_assert_eq(classify(&params, NULL, &letter.record, &decision),
		             rows[i].want ? REDRIVE_SEND : REDRIVE_NOT_SELECTED, "%s",
		             rows[i].label);
	}
	outbox_free(&letter.box);
}

Test(redrive, an_invalid_selection_is_refused_by_name)
{
	static const char *const bad_ranges[] = {"x",       "1:",         "1:-",
	                                         "1:5-3",   "-1",         "1:2:3",
	                                         "1:2-3-4", "2147483648", "1:99999999999999999999",
	                                         "1:0x5"};
	static const char *const bad_reasons[] = {"invalid_prise", "none", "INVALID_PRICE",
	                                          "invalid_price;wrong_partition"};
	struct redrive_selection selection = {0};
	char many[REDRIVE_RANGES_MAX * 2 + 8] = "";
	struct err err;

	for (size_t i = 0; i < sizeof(bad_ranges) / sizeof(bad_ranges[0]); i++) {
		cr_assert_not(redrive_ranges_parse(bad_ranges[i], &selection.source, &err),
		              "'%s' is taken", bad_ranges[i]);
		cr_assert_eq(err.class, ERR_INPUT);
		cr_assert(strstr(err.message, "expected") && strstr(err.message, bad_ranges[i]),
		          "%s", err.message);
	}
	for (size_t i = 0; i < sizeof(bad_reasons) / sizeof(bad_reasons[0]); i++) {
		cr_assert_not(redrive_reasons_parse(bad_reasons[i], &selection, &err),
		              "'%s' is taken", bad_reasons[i]);
		cr_assert(strstr(err.message, bad_reasons[i]), "%s", err.message);
	}
	for (int i = 0; i < REDRIVE_RANGES_MAX; i++)
		strcat(many, "1,");
	cr_assert(redrive_ranges_parse(many, &selection.source, &err));
	strcat(many, "1");
	cr_assert_not(redrive_ranges_parse(many, &selection.source, &err));
}

Test(redrive, the_horizon_is_the_one_that_bronze_sink_committed)
{
	cr_assert_eq(redrive_horizon("dedup=content,horizon_us=604800000000"), HORIZON_US);
	cr_assert_eq(redrive_horizon("stages=view,cart"), 0);
}
