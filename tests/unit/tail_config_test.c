/* The flags of funnel-tail. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/timetext.h"
#include "capture.h"
#include "tail_config.h"
#include "tail_last.h"

#define NOW_US   INT64_C(1764421200000000) /* 2025-11-29T13:00:00Z */
#define ARGS_MAX 12

static enum config_result load(const char *const *args, struct tail_config *config)
{
	char *argv[ARGS_MAX + 1] = {(char *)(uintptr_t) "funnel-tail"};
	int argc = 1;

	for (; *args; args++)
		argv[argc++] = (char *)(uintptr_t)*args;
	*config = (struct tail_config){0};
	return tail_config_load(argc, argv, config);
}

static bool request(const char *const *args, struct tail_request *out, struct err *err)
{
	struct tail_config config;

	cr_assert_eq(load(args, &config), CONFIG_OK);
	return tail_config_request(&config, NOW_US, out, err);
}

Test(tail_config, times_are_absolute_or_before_now)
{
	static const struct {
		const char *text;
		int64_t want_us;
	} table[] = {
		{"2025-11-29T12:59:00Z", NOW_US - US_PER_MINUTE},
		{"2025-11-29 14:00:00+01:00", NOW_US},
		{"2025-11-29", NOW_US - 13 * US_PER_HOUR},
		{"-5m", NOW_US - 5 * US_PER_MINUTE},
		{"-1d", NOW_US - US_PER_DAY},
		{"now", NOW_US},
		{"beginning", INT64_MIN},
	};
	static const char *const bad[] = {"",        "5m",         "-5",   "-m",
	                                  "2025-11", "2025-13-01", "soon", "--5m"};
	int64_t time_us;

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		cr_expect(tail_time_parse(table[i].text, NOW_US, &time_us), "%s", table[i].text);
		cr_expect_eq(time_us, table[i].want_us, "%s", table[i].text);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_expect_not(tail_time_parse(bad[i], NOW_US, &time_us), "%s", bad[i]);
}

Test(tail_config, where_printing_begins_and_ends)
{
	static const struct {
		const char *args[ARGS_MAX];
		int64_t tail, records;
		bool follow;
	} table[] = {
		{{"--topic", "raw"}, 10, INT64_MAX, true},
		{{"--topic", "raw", "--exit"}, 10, INT64_MAX, false},
		{{"--topic", "raw", "-n", "3"}, 3, 3, true},
		{{"--topic", "raw", "-n", "30"}, 10, 30, true},
		{{"--topic", "raw", "--tail", "0"}, 0, INT64_MAX, true},
		{{"--topic", "raw", "--from", "-5m"}, -1, INT64_MAX, true},
		{{"--topic", "raw", "--to", "now"}, -1, INT64_MAX, false},
		{{"--topic", "raw", "--from", "-5m", "--tail", "2"}, 2, INT64_MAX, true},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct tail_request got;
		struct err err;

		cr_assert(request(table[i].args, &got, &err), "row %zu", i);
		cr_expect_eq(got.topic, TOPIC_RAW_EVENTS);
		cr_expect_eq(got.format, TAIL_JSON);
		cr_expect_eq(got.tail, table[i].tail, "row %zu", i);
		cr_expect_eq(got.records, table[i].records, "row %zu", i);
		cr_expect_eq(got.follow, table[i].follow, "row %zu", i);
	}
}

Test(tail_config, flags_that_do_not_belong_together_are_refused)
{
	static const struct {
		const char *args[ARGS_MAX];
		const char *names;
	} table[] = {
		{{"--topic", "raw", "--once"}, "--once"},
		{{"--topic", "raw", "--group", "g"}, "--group"},
		{{"--topic", "counts", "--category", "c"}, "--category"},
		{{"--topic", "raw", "--from", "now", "--to", "-5m"}, "FROM"},
	};
	static const struct {
		const char *args[ARGS_MAX];
		const char *names;
	} live[] = {
		{{"--tail", "3"}, "--tail"},         {{"-n", "3"}, "-n"},
		{{"--from", "now"}, "--from"},       {{"--exit"}, "--exit"},
		{{"--category", "c"}, "--category"},
	};
	struct tail_config config;
	struct tail_request got;
	struct err err;

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		cr_expect_not(request(table[i].args, &got, &err), "row %zu", i);
		cr_expect_eq(err.class, ERR_INPUT);
		cr_expect(strstr(err.message, table[i].names), "%s", err.message);
	}
	for (size_t i = 0; i < sizeof(live) / sizeof(*live); i++) {
		cr_assert_eq(load(live[i].args, &config), CONFIG_OK);
		cr_expect_not(tail_config_check_live(&config, &err), "row %zu", i);
		cr_expect(strstr(err.message, live[i].names), "%s", err.message);
	}
}

Test(tail_config, a_wrong_value_names_the_flag_and_what_is_expected)
{
	static const struct {
		const char *args[ARGS_MAX];
		const char *says;
	} table[] = {
		{{"--topic", "orders"}, "invalid value \"orders\" for TOPIC: expected raw, bronze"},
		{{"--from", "soon"}, "invalid value \"soon\" for FROM: expected a time such as"},
		{{"-o", "xml"}, "for OUTPUT"},
		{{"-n", "many"}, "for RECORDS"},
		{{"-x"}, "unexpected argument \"-x\""},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct capture capture;
		struct tail_config config;
		char text[2048];

		capture_begin(&capture, 2);
		cr_expect_eq(load(table[i].args, &config), CONFIG_BAD);
		capture_end(&capture, text, sizeof(text));
		cr_expect(strstr(text, table[i].says), "%s", text);
	}
}

/* The producer has settings of these names. */
Test(tail_config, the_environment_sets_no_flag_of_a_call)
{
	static const char *const none[] = {NULL};
	struct tail_config config;

	setenv("FROM", "2019-10-01", 1);
	setenv("TOPIC", "raw", 1);
	setenv("TO_FILE", "/nowhere", 1);
	setenv("TOPIC_PREFIX", "mine_", 1);
	cr_assert_eq(load(none, &config), CONFIG_OK);
	cr_expect_str_eq(config.from, "");
	cr_expect_str_eq(config.topic, "");
	cr_expect_str_eq(config.kafka.topic_prefix, "mine_");
}

/* ---- the last lines */

static void add(struct tail_last *last, int32_t partition, int64_t offset, int64_t time_ms)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%d/%d", (int)partition, (int)offset);

	tail_last_add(last, partition, offset, time_ms, (struct span){text, (size_t)len});
}

static void expect_lines(const struct tail_last *last, const char *want)
{
	char got[256] = "";
	size_t count;
	const struct tail_kept **lines = tail_last_sorted(last, &count);

	for (size_t i = 0; i < count; i++)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%.*s", i ? " " : "",
		         (int)lines[i]->len, lines[i]->text);
	cr_expect_str_eq(got, want);
	free(lines);
}

Test(tail_last, keeps_the_newest_of_all_partitions_in_order_of_time)
{
	struct tail_last last;

	tail_last_init(&last, 2, 3);
	expect_lines(&last, "");
	add(&last, 0, 1, 100);
	add(&last, 0, 2, 300);
	cr_expect_not(tail_last_is_full(&last, 0));
	add(&last, 1, 7, 200);
	expect_lines(&last, "0/1 1/7 0/2");
	add(&last, 0, 3, 300);
	add(&last, 0, 5, 400);
	cr_expect(tail_last_is_full(&last, 0));
	expect_lines(&last, "0/2 0/3 0/5");
	tail_last_reset(&last, 0);
	expect_lines(&last, "1/7");
	tail_last_free(&last);
}
