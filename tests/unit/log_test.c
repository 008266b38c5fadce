/* Log lines: types and escapes in both forms, hostile bytes, cutting, and the limit on bursts. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

#include "service/log.h"
#include "unit/capture.h"

#define CAPTURED(out, ...)                                \
	do {                                              \
		struct capture capture_;                  \
		capture_begin(&capture_, 2);              \
		__VA_ARGS__;                              \
		capture_end(&capture_, out, sizeof(out)); \
	} while (0)

/* The part of a line after the event name, in either form. */
static const char *tail_of(const char *line)
{
	static const char json_head[] = ",\"event\":\"", pair_head[] = " event=";
	const char *json = strstr(line, json_head), *pair = strstr(line, pair_head);

	if (json)
		return json + strlen(json_head) + strcspn(json + strlen(json_head), "\"") + 1;
	return pair ? pair + strlen(pair_head) + strcspn(pair + strlen(pair_head), " \n") : line;
}

/* An event name per row of a table, because the lines of one event are limited. */
static const char *event_of(size_t row)
{
	static char event[16];

	snprintf(event, sizeof(event), "e%zu", row);
	return event;
}

static json_t *parsed(const char *line)
{
	json_error_t error;
	json_t *root = json_loads(line, JSON_REJECT_DUPLICATES, &error);

	cr_assert(root, "%s: %.300s", error.text, line);
	return root;
}

Test(log, a_percentage_is_the_share_of_a_part_and_0_of_nothing)
{
	cr_expect_eq(log_percent("k", 1, 8).value.integer, 12500000);
	cr_expect_eq(log_percent("k", 3, 3).value.integer, 100000000);
	cr_expect_eq(log_percent("k", 1, 0).value.integer, 0);
}

Test(log, the_head_has_the_time_the_level_the_service_the_instance_and_the_event)
{
	char line[1024];
	int year, ms;

	log_init("bronze-sink", "host 1", LOG_INFO, false);
	CAPTURED(line, log_warn("commit", log_int("partition", 3),
	                        log_int("offset", INT64_C(9007199254740993))));
	cr_expect_eq(sscanf(line, "ts=%4d-%*2d-%*2dT%*2d:%*2d:%*2d.%3dZ level=warn ", &year, &ms),
	             2, "%s", line);
	cr_expect(strstr(line, "Z level=warn service=bronze-sink instance=\"host 1\" event=commit "
	                       "partition=3 offset=9007199254740993\n"),
	          "%s", line);
	log_init("bronze-sink", "host 1", LOG_INFO, true);
	CAPTURED(line, log_warn("commit", log_int("partition", 3)));
	cr_expect_eq(sscanf(line,
	                    "{\"ts\":\"%4d-%*2d-%*2dT%*2d:%*2d:%*2d.%3dZ\",\"level\":\"warn\"",
	                    &year, &ms),
	             2, "%s", line);
	cr_expect(
		strstr(line,
	               "Z\",\"level\":\"warn\",\"service\":\"bronze-sink\",\"instance\":\"host 1\","
	               "\"event\":\"commit\",\"partition\":3}\n"),
		"%s", line);
}

Test(log, an_event_needs_no_field)
{
	char line[1024];

	log_init("s", "i", LOG_INFO, false);
	CAPTURED(line, log_info("e"));
	cr_expect_str_eq(tail_of(line), "\n");
	log_init("s", "i", LOG_INFO, true);
	CAPTURED(line, log_info("e"));
	cr_expect_str_eq(tail_of(line), "}\n");
	json_decref(parsed(line));
}

Test(log, each_type_has_one_form_and_fields_keep_their_order)
{
	static const struct {
		const char *label;
		struct log_field field;
		const char *pair, *json;
	} table[] = {
		{"text", {"k", LOG_TEXT, {.text = "word"}}, "k=word", "\"word\""},
		{"text that looks like a number", {"k", LOG_TEXT, {.text = "1"}}, "k=1", "\"1\""},
		{"text that looks like a truth",
	         {"k", LOG_TEXT, {.text = "true"}},
	         "k=true",
	         "\"true\""},
		{"zero", {"k", LOG_INTEGER, {.integer = 0}}, "k=0", "0"},
		{"lowest integer",
	         {"k", LOG_INTEGER, {.integer = INT64_MIN}},
	         "k=-9223372036854775808",
	         "-9223372036854775808"},
		{"highest integer",
	         {"k", LOG_INTEGER, {.integer = INT64_MAX}},
	         "k=9223372036854775807",
	         "9223372036854775807"},
		{"highest unsigned",
	         {"k", LOG_UNSIGNED, {.natural = UINT64_MAX}},
	         "k=18446744073709551615",
	         "18446744073709551615"},
		{"true", {"k", LOG_BOOLEAN, {.truth = true}}, "k=true", "true"},
		{"false", {"k", LOG_BOOLEAN, {.truth = false}}, "k=false", "false"},
		{"seconds", {"k", LOG_SECONDS, {.integer = 12345678}}, "k=12.346", "12.346"},
		{"a percentage", {"k", LOG_PERCENT, {.integer = 12500000}}, "k=12.500", "12.500"},
		{"no seconds", {"k", LOG_SECONDS, {.integer = 0}}, "k=0.000", "0.000"},
		{"longest time",
	         {"k", LOG_SECONDS, {.integer = INT64_MAX}},
	         "k=9223372036854.775",
	         "9223372036854.775"},
		{"before zero", {"k", LOG_SECONDS, {.integer = -500000}}, "k=-0.500", "-0.500"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		char line[1024], want[256];

		log_init("s", "i", LOG_INFO, false);
		CAPTURED(line, log_info(event_of(i), log_str("a", "b"), table[i].field,
		                        log_int("z", -1)));
		snprintf(want, sizeof(want), " a=b %s z=-1\n", table[i].pair);
		cr_expect_str_eq(tail_of(line), want, "%s: %s", table[i].label, line);
		log_init("s", "i", LOG_INFO, true);
		CAPTURED(line, log_info(event_of(i), log_str("a", "b"), table[i].field,
		                        log_int("z", -1)));
		snprintf(want, sizeof(want), ",\"a\":\"b\",\"k\":%s,\"z\":-1}\n", table[i].json);
		cr_expect_str_eq(tail_of(line), want, "%s: %s", table[i].label, line);
	}
}

Test(log, the_functions_make_fields_of_their_types)
{
	char line[1024];

	log_init("s", "i", LOG_INFO, true);
	CAPTURED(line, log_info("e", log_str("s", "x"), log_int("i", -1),
	                        log_uint("u", sizeof(char)), log_bool("b", true),
	                        log_seconds("t", 1500000), log_partition("a_topic", 7)));
	cr_expect_str_eq(tail_of(line), ",\"s\":\"x\",\"i\":-1,\"u\":1,\"b\":true,\"t\":1.500,"
	                                "\"topic\":\"a_topic\",\"partition\":7}\n");
}

Test(log, a_text_that_is_null_is_left_out)
{
	char line[1024];

	for (int json = 0; json < 2; json++) {
		log_init("s", "i", LOG_INFO, json == 1);
		CAPTURED(line, log_info("e", log_str("none", NULL), log_str("empty", ""),
		                        log_str("last", NULL)));
		cr_expect_str_eq(tail_of(line), json ? ",\"empty\":\"\"}\n" : " empty=\"\"\n");
	}
}

Test(log, a_text_is_quoted_where_needed_and_escaped_in_both_forms)
{
	static const struct {
		const char *label, *in, *pair, *json, *back;
	} table[] = {
		{"plain", "word", "word", "\"word\"", "word"},
		{"punctuation", "a/b:c,d;[e]'f'", "a/b:c,d;[e]'f'", "\"a/b:c,d;[e]'f'\"",
	         "a/b:c,d;[e]'f'"},
		{"spaces", "two words", "\"two words\"", "\"two words\"", "two words"},
		{"equals", "a=b", "\"a=b\"", "\"a=b\"", "a=b"},
		{"quotes", "a\"b\\", "\"a\\\"b\\\\\"", "\"a\\\"b\\\\\"", "a\"b\\"},
		{"another line", "x\nlevel=error", "\"x\\nlevel=error\"", "\"x\\nlevel=error\"",
	         "x\nlevel=error"},
		{"control bytes", "\t\r\x01\x1b[31m\x7f", "\"\\t\\u000d\\u0001\\u001b[31m\\u007f\"",
	         "\"\\t\\u000d\\u0001\\u001b[31m\\u007f\"", "\t\r\x01\x1b[31m\x7f"},
		{"empty", "", "\"\"", "\"\"", ""},
		{"utf-8", "caf\xc3\xa9", "caf\xc3\xa9", "\"caf\xc3\xa9\"", "caf\xc3\xa9"},
		{"four bytes", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\"",
	         "\xf0\x9f\x98\x80"},
		{"not utf-8", "\xff\xc3", "\"\\u00ff\\u00c3\"", "\"\\u00ff\\u00c3\"",
	         "\xc3\xbf\xc3\x83"},
		{"not utf-8 between utf-8", "\xc3\xa9\xff\xc3\xa9", "\"\xc3\xa9\\u00ff\xc3\xa9\"",
	         "\"\xc3\xa9\\u00ff\xc3\xa9\"", "\xc3\xa9\xc3\xbf\xc3\xa9"},
		{"cut in a character", "a\xe2\x82", "\"a\\u00e2\\u0082\"", "\"a\\u00e2\\u0082\"",
	         "a\xc3\xa2\xc2\x82"},
		{"overlong", "\xe0\x80\x80", "\"\\u00e0\\u0080\\u0080\"",
	         "\"\\u00e0\\u0080\\u0080\"", "\xc3\xa0\xc2\x80\xc2\x80"},
		{"surrogate", "\xed\xa0\x80", "\"\\u00ed\\u00a0\\u0080\"",
	         "\"\\u00ed\\u00a0\\u0080\"", "\xc3\xad\xc2\xa0\xc2\x80"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		char line[1024], want[256];
		json_t *root;

		log_init("s", "i", LOG_INFO, false);
		CAPTURED(line,
		         log_info(event_of(i), log_str("k", table[i].in), log_int("after", 1)));
		snprintf(want, sizeof(want), " k=%s after=1\n", table[i].pair);
		cr_expect_str_eq(tail_of(line), want, "%s: %s", table[i].label, line);
		log_init("s", "i", LOG_INFO, true);
		CAPTURED(line,
		         log_info(event_of(i), log_str("k", table[i].in), log_int("after", 1)));
		snprintf(want, sizeof(want), ",\"k\":%s,\"after\":1}\n", table[i].json);
		cr_expect_str_eq(tail_of(line), want, "%s: %s", table[i].label, line);
		root = parsed(line);
		cr_expect_str_eq(json_string_value(json_object_get(root, "k")), table[i].back,
		                 "%s: %s", table[i].label, line);
		json_decref(root);
	}
}

Test(log, json_types_do_not_depend_on_the_value)
{
	static const char *const values[] = {"a",    "1", "-2.5", "true", "false",
	                                     "null", "",  "a b",  "0x1f"};

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		char line[2048];
		json_t *root;

		log_init(values[i], values[i], LOG_INFO, true);
		CAPTURED(line, log_info("e", log_str("text", values[i]),
		                        log_seconds("seconds", (int64_t)i * 500000),
		                        log_int("n", (int64_t)i)));
		root = parsed(line);
		cr_expect_str_eq(json_string_value(json_object_get(root, "service")), values[i],
		                 "%s", line);
		cr_expect_str_eq(json_string_value(json_object_get(root, "instance")), values[i],
		                 "%s", line);
		cr_expect_str_eq(json_string_value(json_object_get(root, "text")), values[i], "%s",
		                 line);
		cr_expect(json_is_real(json_object_get(root, "seconds")), "%s", line);
		cr_expect(json_is_integer(json_object_get(root, "n")), "%s", line);
		json_decref(root);
	}
}

Test(log, any_bytes_make_one_line_that_json_readers_take)
{
	unsigned seed = 20260101;

	for (int round = 0; round < 500; round++) {
		char value[64], line[4096];
		json_t *root;

		for (size_t i = 0; i < sizeof(value) - 1; i++) {
			seed = seed * 1103515245 + 12345;
			value[i] = (char)(1 + (seed >> 16) % 255);
		}
		value[sizeof(value) - 1] = '\0';
		log_init(value, value, LOG_INFO, true);
		CAPTURED(line, log_info(event_of((size_t)round % 40), log_str("a", value),
		                        log_int("after", round)));
		root = parsed(line);
		cr_assert_eq(json_integer_value(json_object_get(root, "after")), round,
		             "seed 20260101, round %d: %s", round, line);
		cr_assert_eq(strchr(line, '\n'), line + strlen(line) - 1);
		json_decref(root);
	}
}

Test(log, a_text_that_is_too_long_is_cut_and_the_line_says_so)
{
	static const struct {
		const char *label, *unit;
	} table[] = {{"quotes", "\""},          {"plain", "x"},
	             {"two bytes", "\xc3\xa9"}, {"three bytes", "\xe2\x82\xac"},
	             {"not utf-8", "\xff"},     {"mixed", "a\xe2\x82\xac\n"}};
	static char text[20000], line[20000];

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		size_t unit = strlen(table[i].unit), len = 0;
		json_t *root;

		for (; len + unit < sizeof(text); len += unit)
			memcpy(text + len, table[i].unit, unit);
		text[len] = '\0';
		log_init("s", "i", LOG_INFO, false);
		CAPTURED(line, log_info("e", log_str("detail", text), log_int("after", 1)));
		cr_expect(strlen(line) > 8000 && strlen(line) <= 8192, "%s: %zu bytes",
		          table[i].label, strlen(line));
		cr_expect_str_eq(line + strlen(line) - strlen(" cut=true\n"), " cut=true\n", "%s",
		                 table[i].label);
		log_init("s", "i", LOG_INFO, true);
		CAPTURED(line, log_info("e", log_str("detail", text), log_int("after", 1)));
		cr_expect(strlen(line) > 8000 && strlen(line) <= 8192, "%s: %zu bytes",
		          table[i].label, strlen(line));
		root = parsed(line);
		cr_expect(json_is_true(json_object_get(root, "cut")), "%s", table[i].label);
		json_decref(root);
	}
}

/* Each length cuts the line at another place: within the text, before the next field, or not at
 * all. */
Test(log, a_line_that_ends_at_any_place_near_the_limit_is_valid)
{
	static char text[8400], line[20000];
	int cut = 0, complete = 0;

	for (int len = 7900; len < 8300; len++) {
		json_t *root;

		memset(text, 'x', (size_t)len);
		text[len] = '\0';
		log_init("s", "i", LOG_INFO, true);
		CAPTURED(line, log_info(event_of((size_t)len % 40), log_str("detail", text),
		                        log_int("number", INT64_MIN), log_bool("last", true)));
		cr_assert(strlen(line) <= 8192);
		root = parsed(line);
		if (json_object_get(root, "cut"))
			cut++;
		else
			complete += json_is_true(json_object_get(root, "last"));
		json_decref(root);
	}
	cr_expect_eq(cut + complete, 400);
	cr_expect(cut > 0 && complete > 0);
}

Test(log, levels_above_the_chosen_one_are_silent)
{
	char line[1024];

	log_init("s", "i", LOG_WARN, false);
	CAPTURED(line, log_info("e", log_int("a", 1)); log_debug("e", log_int("a", 2)));
	cr_expect_str_eq(line, "");
	CAPTURED(line, log_error("e", log_int("a", 3)));
	cr_expect_str_eq(tail_of(line), " a=3\n");
}

static unsigned count_lines(const char *text)
{
	unsigned count = 0;

	for (; (text = strchr(text, '\n')); text++)
		count++;
	return count;
}

static void wait_for_the_next_second(void)
{
	nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 50000000}, NULL);
}

/* This test and the next one sleep: the limit counts per second of the real clock. */
Test(log, a_burst_is_held_back_and_counted)
{
	static char text[65536];
	char line[1024], want[64];
	unsigned passed;

	log_init("s", "i", LOG_INFO, false);
	CAPTURED(text, for (int i = 0; i < 200; i++) log_info("burst", log_int("i", i));
	         log_info("other", log_int("a", 1)));
	passed = count_lines(text) - 1;
	/* Up to 40 if a second ended during the burst. */
	cr_expect(passed >= 20 && passed <= 40, "%u lines passed", passed);
	cr_expect(strstr(text, "event=other a=1"));
	wait_for_the_next_second();
	CAPTURED(line, log_info("burst", log_int("i", 200)));
	if (!strstr(text, "suppressed=")) {
		snprintf(want, sizeof(want), "event=burst i=200 suppressed=%u\n", 200 - passed);
		cr_expect(strstr(line, want), "%s", line);
	} else {
		cr_expect(strstr(line, "event=burst i=200"), "%s", line);
	}
}

Test(log, what_was_held_back_is_a_number_also_in_a_line_that_is_cut)
{
	static char text[65536], long_text[20000], line[20000];
	json_t *root;

	memset(long_text, '"', sizeof(long_text) - 1);
	log_init("s", "i", LOG_INFO, true);
	CAPTURED(text, for (int i = 0; i < 200; i++) log_info("burst"));
	wait_for_the_next_second();
	CAPTURED(line, log_info("burst", log_str("detail", long_text)));
	root = parsed(line);
	cr_expect(json_is_true(json_object_get(root, "cut")));
	cr_expect_geq(json_integer_value(json_object_get(root, "suppressed")), 160);
	json_decref(root);
}
