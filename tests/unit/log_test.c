/* Log lines: escaping in both forms, hostile bytes, cutting, and the limit on bursts. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

#include "capture.h"
#include "service/log.h"
#include "unit/capture.h"

#define CAPTURED(out, ...) \
	do { \
		struct capture capture_; \
		capture_begin(&capture_, 2); \
		__VA_ARGS__; \
		capture_end(&capture_, out, sizeof(out)); \
	} while (0)

/* What follows the head of a line. */
static const char *tail_of(const char *line)
{
	const char *event = strstr(line, " event=e ");

	return event ? event + strlen(" event=e ") : line;
}

Test(log, the_head_says_when_how_bad_who_and_what)
{
	char line[1024];
	int year, ms;

	log_init("bronze-sink", "host 1", LOG_INFO, false);
	CAPTURED(line, log_warn("commit", "partition=%d offset=%" PRId64, 3, INT64_C(9007199254740993)));
	cr_expect_eq(sscanf(line, "ts=%4d-%*2d-%*2dT%*2d:%*2d:%*2d.%3dZ level=warn ", &year, &ms), 2, "%s", line);
	cr_expect(strstr(line, "Z level=warn service=bronze-sink instance=\"host 1\" event=commit partition=3 offset=9007199254740993\n"), "%s", line);
}

Test(log, formats_come_out_as_printf_writes_them)
{
	char line[1024];

	log_init("s", "i", LOG_INFO, false);
	CAPTURED(line, log_info("e", "d=%d i=%5d z=%03d u=%u lu=%lu llu=%llu zu=%zu x=%x X=%08lx f=%.2f c=%c p=100%% s=%.3s t=%*s", -1, 42, 7, 4000000000U, 5UL,
	                        18446744073709551615ULL, sizeof(char), 255U, 65535UL, 1.005, 'q', "abcdef", 2, "ok"));
	cr_expect_str_eq(tail_of(line), "d=-1 i=   42 z=007 u=4000000000 lu=5 llu=18446744073709551615 zu=1 x=ff X=0000ffff f=1.00 c=q p=100% s=abc t=ok\n");
}

Test(log, a_value_is_quoted_where_needed_and_escaped_inside_quotes)
{
	static const struct {
		const char *label, *in, *want;
	} table[] = {
		{"plain", "word", "a=word b=\"word\"\n"},
		{"spaces", "two words", "a=\"two words\" b=\"two words\"\n"},
		{"quotes", "a\"b\\", "a=\"a\\\"b\\\\\" b=\"a\\\"b\\\\\"\n"},
		{"another line", "x\nlevel=error", "a=\"x\\nlevel=error\" b=\"x\\nlevel=error\"\n"},
		{"empty", "", "a=\"\" b=\"\"\n"},
		{"utf-8", "caf\xc3\xa9", "a=caf\xc3\xa9 b=\"caf\xc3\xa9\"\n"},
		{"not utf-8", "\xff\xc3", "a=\\u00ff\\u00c3 b=\"\\u00ff\\u00c3\"\n"},
		{"overlong", "\xe0\x80\x80", "a=\\u00e0\\u0080\\u0080 b=\"\\u00e0\\u0080\\u0080\"\n"},
	};
	log_init("s", "i", LOG_INFO, false);

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		char line[1024];

		CAPTURED(line, log_info("e", "a=%s b=\"%s\"", table[i].in, table[i].in));
		cr_expect_str_eq(tail_of(line), table[i].want, "%s: %s", table[i].label, line);
	}
}

Test(log, json_holds_the_same_values)
{
	char line[2048];
	json_t *root;

	log_init("s", "i", LOG_INFO, true);
	CAPTURED(line, log_info("e", "n=%d f=%.1f big=%s zip=%s yes=true text=\"%s\" path=C:\\x%s", -5, 2.5, "12345678901234567890", "0123",
	                        "a \"b\"\n\xff", "y"));
	root = json_loads(line, 0, NULL);
	cr_assert(root, "%s", line);
	cr_expect_str_eq(json_string_value(json_object_get(root, "event")), "e");
	cr_expect_eq(json_integer_value(json_object_get(root, "n")), -5);
	cr_expect_float_eq(json_real_value(json_object_get(root, "f")), 2.5, 1e-9);
	cr_expect_str_eq(json_string_value(json_object_get(root, "big")), "12345678901234567890");
	cr_expect_str_eq(json_string_value(json_object_get(root, "zip")), "0123");
	cr_expect(json_is_true(json_object_get(root, "yes")));
	cr_expect_str_eq(json_string_value(json_object_get(root, "text")), "a \"b\"\n\xc3\xbf");
	cr_expect_str_eq(json_string_value(json_object_get(root, "path")), "C:\\xy");
	json_decref(root);
}

Test(log, json_types_do_not_depend_on_the_value)
{
	static const char *const values[] = {"a", "1", "-2.5", "true", "false", "", "a b", "0x1f"};

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		char line[2048];
		json_t *root;

		log_init(values[i], values[i], LOG_INFO, true);
		CAPTURED(line, log_info("e", "text=%s hex=%x part=\"%s/%d\" n=%d", values[i], (unsigned)i, values[i], 1, 1));
		root = json_loads(line, 0, NULL);
		cr_assert(root, "%s", line);
		cr_expect_str_eq(json_string_value(json_object_get(root, "service")), values[i], "%s", line);
		cr_expect_str_eq(json_string_value(json_object_get(root, "instance")), values[i], "%s", line);
		cr_expect_str_eq(json_string_value(json_object_get(root, "text")), values[i], "%s", line);
		cr_expect(json_is_string(json_object_get(root, "hex")), "%s", line);
		cr_expect(json_is_string(json_object_get(root, "part")), "%s", line);
		cr_expect(json_is_integer(json_object_get(root, "n")), "%s", line);
		json_decref(root);
	}
}

Test(log, any_bytes_make_one_line_that_json_readers_take)
{
	unsigned seed = 20260101;

	for (int round = 0; round < 500; round++) {
		char value[64], event[16], line[4096];
		json_t *root;

		for (size_t i = 0; i < sizeof(value) - 1; i++) {
			seed = seed * 1103515245 + 12345;
			value[i] = (char)(1 + (seed >> 16) % 255);
		}
		value[sizeof(value) - 1] = '\0';
		snprintf(event, sizeof(event), "e%d", round % 40); /* below the limit of each event */
		log_init("s", "i", LOG_INFO, true);
		CAPTURED(line, log_info(event, "a=\"%s\" b=%s %s", value, value, value));
		root = json_loads(line, 0, NULL);
		cr_assert(root, "seed 20260101, round %d: %s", round, line);
		cr_assert_eq(strchr(line, '\n'), line + strlen(line) - 1);
		json_decref(root);
	}
}

Test(log, a_line_that_is_too_long_is_cut_and_says_so)
{
	static char text[20000], line[20000];

	memset(text, '"', sizeof(text) - 1);
	for (int json = 0; json < 2; json++) {
		log_init("s", "i", LOG_INFO, json == 1);
		CAPTURED(line, log_info("e", "detail=\"%s\" after=1", text));
		cr_expect(strlen(line) < 17000);
		if (json) {
			json_t *root = json_loads(line, 0, NULL);

			cr_expect(root && json_is_true(json_object_get(root, "cut")), "%.300s", line);
			json_decref(root);
		} else {
			cr_expect_str_eq(line + strlen(line) - strlen("\\\"\" cut=true\n"), "\\\"\" cut=true\n");
		}
	}
}

Test(log, levels_above_the_chosen_one_are_silent)
{
	char line[1024];

	log_init("s", "i", LOG_WARN, false);
	CAPTURED(line, log_info("e", "a=1"); log_debug("e", "a=2"));
	cr_expect_str_eq(line, "");
	CAPTURED(line, log_error("e", "a=3"));
	cr_expect_str_eq(tail_of(line), "a=3\n");
}

static unsigned count_lines(const char *text)
{
	unsigned count = 0;

	for (; (text = strchr(text, '\n')); text++)
		count++;
	return count;
}

/* The one test here that waits: the limit is by the second of the real clock. */
Test(log, a_burst_is_held_back_and_counted)
{
	static char text[65536];
	const struct timespec next_second = {.tv_sec = 1, .tv_nsec = 50000000};
	char line[1024], want[64];
	unsigned passed;

	log_init("s", "i", LOG_INFO, false);
	CAPTURED(text, for (int i = 0; i < 200; i++) log_info("burst", "i=%d", i); log_info("other", "a=1"));
	passed = count_lines(text) - 1;
	cr_expect(passed >= 20 && passed <= 40, "%u lines passed", passed); /* 40 where a second ended meanwhile */
	cr_expect(strstr(text, "event=other a=1"));
	nanosleep(&next_second, NULL);
	CAPTURED(line, log_info("burst", "i=%d", 200));
	if (!strstr(text, "suppressed=")) {
		snprintf(want, sizeof(want), "event=burst i=200 suppressed=%u\n", 200 - passed);
		cr_expect(strstr(line, want), "%s", line);
	} else {
		cr_expect(strstr(line, "event=burst i=200"), "%s", line);
	}
}
