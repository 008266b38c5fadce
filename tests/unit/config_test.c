/* Settings: which values each type accepts, which source wins, and that all errors are reported
 * at once. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "capture.h"
#include "service/config.h"
#include "service/config_value.h"
#include "unit/capture.h"

struct settings {
	const char *text, *empty, *secret, *choice;
	int64_t integer, duration, bytes;
	bool flag;
};

static const struct config_option options[] = {
	{"A_TEXT", CONFIG_TEXT, offsetof(struct settings, text), "word", 0, 0, "a text", NULL,
         NULL},
	{"MAY_BE_EMPTY", CONFIG_TEXT, offsetof(struct settings, empty), "", 0, 0,
         "a text that may be empty", NULL, NULL},
	{"A_SECRET", CONFIG_SECRET, offsetof(struct settings, secret), "", 0, 0, "a secret", NULL,
         NULL},
	{"A_CHOICE", CONFIG_CHOICE, offsetof(struct settings, choice), "red", 0, 0, "a choice",
         "red|green", NULL},
	{"AN_INTEGER", CONFIG_INTEGER, offsetof(struct settings, integer), "5", 1, 10, "a number",
         NULL, NULL},
	{0},
};
static const struct config_option more_options[] = {
	{"A_DURATION", CONFIG_DURATION, offsetof(struct settings, duration), "5s", 1000, 3600000000,
         "a time", NULL, NULL},
	{"SOME_BYTES", CONFIG_BYTES, offsetof(struct settings, bytes), "64k", 0, 0, "a size", NULL,
         NULL},
	{"A_FLAG", CONFIG_BOOLEAN, offsetof(struct settings, flag), "false", 0, 0, "a switch", NULL,
         NULL},
	{0},
};
static const struct config_option *const tables[] = {options, more_options, NULL};

/* args: NULL-terminated; errors and output may be NULL. */
static enum config_result load(const char *const *args, struct settings *settings, char *errors,
                               char *output, size_t cap)
{
	static char program[] = "test", copies[8][256]; /* static: the settings point into them */
	char *argv[10] = {program};
	struct capture out, err;
	char dropped[16];
	enum config_result result;
	int argc = 1;

	for (; args[argc - 1] && argc <= 8; argc++) {
		snprintf(copies[argc - 1], sizeof(copies[0]), "%s", args[argc - 1]);
		argv[argc] = copies[argc - 1];
	}
	capture_begin(&out, 1);
	capture_begin(&err, 2);
	result = config_load(tables, "test", "Tests settings.", argc, argv, settings);
	capture_end(&err, errors ? errors : dropped, errors ? cap : sizeof(dropped));
	capture_end(&out, output ? output : dropped, output ? cap : sizeof(dropped));
	return result;
}

#define LOAD(settings, ...) load((const char *const[]){__VA_ARGS__, NULL}, settings, NULL, NULL, 0)

Test(config, defaults_are_taken_where_nothing_is_set)
{
	struct settings settings = {0};

	cr_assert_eq(load((const char *const[]){NULL}, &settings, NULL, NULL, 0), CONFIG_OK);
	cr_expect_str_eq(settings.text, "word");
	cr_expect_str_eq(settings.empty, "");
	cr_expect_str_eq(settings.choice, "red");
	cr_expect_eq(settings.integer, 5);
	cr_expect_eq(settings.duration, 5000000);
	cr_expect_eq(settings.bytes, 65536);
	cr_expect_not(settings.flag);
}

Test(config, flags_are_taken_in_both_forms_and_win_over_the_environment)
{
	struct settings settings = {0};

	setenv("A_TEXT", "environment", 1);
	setenv("AN_INTEGER", "7", 1);
	cr_assert_eq(LOAD(&settings, "--a-text", "first", "--a-text=last=one", "--a-flag",
	                  "--some-bytes", "2m"),
	             CONFIG_OK);
	cr_expect_str_eq(settings.text, "last=one");
	cr_expect_eq(settings.integer, 7);
	cr_expect_eq(settings.bytes, 2097152);
	cr_expect(settings.flag);
}

Test(config, an_empty_variable_counts_as_not_set_but_an_empty_flag_is_a_value)
{
	struct settings settings = {0};

	setenv("A_TEXT", "", 1);
	setenv("AN_INTEGER", "", 1);
	cr_assert_eq(LOAD(&settings, "--may-be-empty="), CONFIG_OK);
	cr_expect_str_eq(settings.text, "word");
	cr_expect_eq(LOAD(&settings, "--a-text="), CONFIG_BAD);
}

Test(config, values_that_each_type_accepts_or_refuses)
{
	static const struct {
		const char *flag;
		bool taken;
	} table[] = {
		{"--an-integer=1", true},
		{"--an-integer=10", true},
		{"--an-integer=0", false},
		{"--an-integer=11", false},
		{"--an-integer=5x", false},
		{"--an-integer= 5", false},
		{"--an-integer=", false},
		{"--an-integer=+5", false},
		{"--an-integer=99999999999999999999", false},
		{"--a-duration=1ms", true},
		{"--a-duration=1h", true},
		{"--a-duration=2h", false},
		{"--a-duration=5", false},
		{"--a-duration=-5s", false},
		{"--some-bytes=0", true},
		{"--some-bytes=3G", true},
		{"--some-bytes=k", false},
		{"--some-bytes=-1", false},
		{"--some-bytes=1kb", false},
		{"--some-bytes=9007199254740992k", false},
		{"--a-flag=yes", true},
		{"--a-flag=off", true},
		{"--a-flag=maybe", false},
		{"--a-flag=", false},
		{"--a-choice=green", true},
		{"--a-choice=gree", false},
		{"--a-choice=red|green", false},
		{"--a-choice=", false},
		{"--a-text=", false},
		{"--a-secret=", true},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct settings settings = {0};

		cr_expect_eq(LOAD(&settings, table[i].flag) == CONFIG_OK, table[i].taken, "%s",
		             table[i].flag);
	}
}

Test(config, numbers_and_sizes_are_decimal_with_leading_zeros_and_without_blanks)
{
	static const struct {
		const char *flag;
		bool taken;
		int64_t want;
	} integers[] = {{"--an-integer=007", true, 7},
	                {"--an-integer=00000000000000000000000000000000007", true, 7},
	                {"--an-integer=-0", false, 0},
	                {"--an-integer=-", false, 0},
	                {"--an-integer=--5", false, 0},
	                {"--an-integer=5 ", false, 0},
	                {"--an-integer=0x5", false, 0},
	                {"--an-integer=5.0", false, 0},
	                {"--an-integer=18446744073709551621", false, 0}},
	  sizes[] = {{"--some-bytes=-0", true, 0},
	             {"--some-bytes=-0k", true, 0},
	             {"--some-bytes=007K", true, 7168},
	             {"--some-bytes=9223372036854775807", true, INT64_MAX},
	             {"--some-bytes=9007199254740991k", true, INT64_C(9007199254740991) << 10},
	             {"--some-bytes=00000000000000000000005", true, 5},
	             {"--some-bytes=00000000000000000000005k", true, 5120},
	             {"--some-bytes=000000000000000000000005", false, 0},
	             {"--some-bytes=9223372036854775808", false, 0},
	             {"--some-bytes=8589934592g", false, 0},
	             {"--some-bytes=+1", false, 0},
	             {"--some-bytes= 1", false, 0},
	             {"--some-bytes=1 ", false, 0},
	             {"--some-bytes=1.5k", false, 0},
	             {"--some-bytes=-1k", false, 0},
	             {"--some-bytes=", false, 0},
	             {"--some-bytes=5t", false, 0}};

	for (size_t i = 0; i < sizeof(integers) / sizeof(*integers); i++) {
		struct settings settings = {0};

		cr_expect_eq(LOAD(&settings, integers[i].flag) == CONFIG_OK, integers[i].taken,
		             "%s", integers[i].flag);
		cr_expect(!integers[i].taken || settings.integer == integers[i].want, "%s",
		          integers[i].flag);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct settings settings = {0};

		cr_expect_eq(LOAD(&settings, sizes[i].flag) == CONFIG_OK, sizes[i].taken, "%s",
		             sizes[i].flag);
		cr_expect(!sizes[i].taken || settings.bytes == sizes[i].want, "%s", sizes[i].flag);
	}
}

Test(config, all_errors_are_reported_at_once_by_name_and_value_but_never_a_secret)
{
	static const char *const wanted[] = {"--nonsense",
	                                     "\"stray\"",
	                                     "invalid value \"blue\" for A_CHOICE",
	                                     "red|green",
	                                     "invalid value \"eleven\" for AN_INTEGER",
	                                     "1 to 10",
	                                     "invalid value \"5\" for A_DURATION",
	                                     "A_SECRET and A_SECRET_FILE"};
	struct settings settings = {0};
	char errors[4096];

	setenv("A_CHOICE", "blue", 1);
	setenv("A_SECRET", "hunter2", 1);
	setenv("A_SECRET_FILE", "/nonexistent", 1);
	cr_assert_eq(load((const char *const[]){"--nonsense=1", "stray", "--an-integer=eleven",
	                                        "--a-duration=5", NULL},
	                  &settings, errors, NULL, sizeof(errors)),
	             CONFIG_BAD);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		cr_expect(strstr(errors, wanted[i]), "%s is not in: %s", wanted[i], errors);
	cr_expect_not(strstr(errors, "hunter2"));
}

static bool even_check(const char *text, struct err *err)
{
	return strlen(text) % 2 == 0 ||
	       err_set(err, ERR_INPUT, "expected an even number of letters");
}

Test(config, a_text_with_a_grammar_of_its_own_is_checked_with_all_others)
{
	static const struct config_option rows[] = {
		{"FIRST", CONFIG_TEXT, offsetof(struct settings, text), "even", 0, 0, "a text",
	         NULL, even_check},
		{"SECOND", CONFIG_SECRET, offsetof(struct settings, secret), "", 0, 0, "a secret",
	         NULL, even_check},
		{"THIRD", CONFIG_TEXT, offsetof(struct settings, empty), "", 0, 0, "a text", NULL,
	         even_check},
		{"FOURTH", CONFIG_INTEGER, offsetof(struct settings, integer), "5", 1, 10,
	         "a number", NULL, NULL},
		{0},
	};
	static const struct config_option *const only[] = {rows, NULL};
	static const char *const wanted[] = {
		"invalid value \"odd\" for FIRST: expected an even number of letters\n",
		"invalid value \"***\" for SECOND: expected an even number of letters\n",
		"invalid value \"11\" for FOURTH"};
	char program[] = "test", check[] = "--check-config", *argv[] = {program, check, NULL},
	     errors[1024];
	struct settings settings = {0};
	struct capture err, out;

	setenv("FIRST", "odd", 1);
	setenv("SECOND", "hunter2", 1);
	setenv("FOURTH", "11", 1);
	capture_begin(&err, 2);
	cr_expect_eq(config_load(only, "test", "", 2, argv, &settings), CONFIG_BAD);
	capture_end(&err, errors, sizeof(errors));
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		cr_expect(strstr(errors, wanted[i]), "%s is not in: %s", wanted[i], errors);
	cr_expect_not(strstr(errors, "hunter2"));
	cr_expect_not(strstr(errors, "THIRD"), "an empty text is not checked: %s", errors);
	setenv("FIRST", "fine", 1);
	setenv("SECOND", "hunter", 1);
	unsetenv("FOURTH");
	capture_begin(&out, 1);
	cr_expect_eq(config_load(only, "test", "", 2, argv, &settings), CONFIG_HELP_SHOWN);
	capture_end(&out, errors, sizeof(errors));
}

Test(config, a_flag_without_its_value_is_an_error_rather_than_taking_the_next_flag)
{
	struct settings settings = {0};

	cr_expect_eq(LOAD(&settings, "--a-text", "--a-flag"), CONFIG_BAD);
	cr_expect_eq(LOAD(&settings, "--a-text"), CONFIG_BAD);
}

Test(config, a_required_setting_must_be_given)
{
	static const struct config_option required[] = {{"MUST_BE_SET", CONFIG_TEXT,
	                                                 offsetof(struct settings, text), NULL, 0,
	                                                 0, "what it is for", NULL, NULL},
	                                                {0}};
	static const struct config_option *const only[] = {required, NULL};
	char program[] = "test", flag[] = "--must-be-set=x", *argv[] = {program, flag, NULL},
	     errors[512];
	struct settings settings = {0};
	struct capture err;

	capture_begin(&err, 2);
	cr_expect_eq(config_load(only, "test", "", 1, argv, &settings), CONFIG_BAD);
	capture_end(&err, errors, sizeof(errors));
	cr_expect(strstr(errors, "MUST_BE_SET is not set: expected"), "%s", errors);
	cr_expect_eq(config_load(only, "test", "", 2, argv, &settings), CONFIG_OK);
}

Test(config, a_file_gives_a_value_without_its_line_end)
{
	static const struct {
		const char *label, *content, *want;
	} table[] = {{"line end", "pass word\n", "pass word"},
	             {"dos line end", "x\r\n", "x"},
	             {"one only", "x\n\n", "x\n"},
	             {"none", "x", "x"}};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		char path[] = "/tmp/config_test_XXXXXX";
		int fd = mkstemp(path);
		struct settings settings = {0};

		cr_assert(fd >= 0 && write(fd, table[i].content, strlen(table[i].content)) ==
		                             (ssize_t)strlen(table[i].content));
		close(fd);
		setenv("A_SECRET_FILE", path, 1);
		cr_expect_eq(LOAD(&settings, "--a-flag"), CONFIG_OK);
		cr_expect_str_eq(settings.secret, table[i].want, "%s", table[i].label);
		unlink(path);
	}
}

Test(config, a_file_that_cannot_be_read_is_an_error)
{
	struct settings settings = {0};

	setenv("A_SECRET_FILE", "/nonexistent/file", 1);
	cr_expect_eq(LOAD(&settings, "--a-flag"), CONFIG_BAD);
	setenv("A_SECRET_FILE", "/tmp", 1);
	cr_expect_eq(LOAD(&settings, "--a-flag"), CONFIG_BAD, "a directory");
}

Test(config, a_value_is_shown_as_it_would_be_set_and_a_secret_is_masked)
{
	static const char *const want[] = {"two \"words\"", "",    "***",  "red", "5",
	                                   "90s",           "64k", "false"};
	struct settings settings = {0};
	size_t count = 0;

	cr_assert_eq(LOAD(&settings, "--a-text=two \"words\"", "--a-secret=hunter2",
	                  "--a-duration=90s"),
	             CONFIG_OK);
	for (size_t i = 0; tables[i]; i++)
		for (const struct config_option *option = tables[i]; option->name;
		     option++, count++) {
			char shown[1024];

			config_show(option, &settings, shown, sizeof(shown));
			cr_expect_str_eq(shown, want[count], "%s", option->name);
		}
	cr_expect_eq(count, sizeof(want) / sizeof(*want));
}

Test(config, a_url_shows_its_host_but_never_its_user_or_password)
{
	static const struct {
		const char *label, *given, *shown;
	} table[] = {
		{"none", "http://registry:8081/apis", "http://registry:8081/apis"},
		{"user and password", "https://user:hunter2@registry:8081/apis",
	         "https://***@registry:8081/apis"},
		{"two", "http://a:hunter2@one,https://b:hunter2@two",
	         "http://***@one,https://***@two"},
		{"the second alone", "http://one,http://b:hunter2@two",
	         "http://one,http://***@two"},
		{"a comma in it", "http://user:hunter2,hunter2@one", "http://***@one"},
		{"a slash in it", "http://user:hunter2/hunter2@one", "http://***@one"},
		{"an @ in it", "http://user:hunter2@hunter2@one", "http://***@one"},
		{"a scheme in it", "http://user:hunter2://hunter2@one", "http://***@one"},
		{"a query", "http://user:hunter2@one/f?token=hunter2,http://two?x=1",
	         "http://***@one/f?***,http://two?***"},
		{"a pattern", "/data/2019-1?.csv", "/data/2019-1?.csv"},
		{"no scheme", "user:hunter2@one", "***@one"},
	};
	static const struct config_option urls[] = {{"SOME_URLS", CONFIG_URLS,
	                                             offsetof(struct settings, text), NULL, 0, 0,
	                                             "where", NULL, NULL},
	                                            {0}};
	static const struct config_option *const only[] = {urls, NULL};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct settings settings = {0};
		char program[] = "test", *argv[] = {program, NULL}, shown[256];

		setenv("SOME_URLS", table[i].given, 1);
		cr_assert_eq(config_load(only, "test", "", 1, argv, &settings), CONFIG_OK);
		cr_expect_str_eq(settings.text, table[i].given, "%s: the service gets all of it",
		                 table[i].label);
		config_show(urls, &settings, shown, sizeof(shown));
		cr_expect_str_eq(shown, table[i].shown, "%s", table[i].label);
	}
}

Test(config, a_value_that_does_not_fit_is_cut_and_terminated)
{
	struct settings settings = {0};

	cr_assert_eq(LOAD(&settings, "--a-text=abcdefgh"), CONFIG_OK);
	for (size_t cap = 1; cap < 40; cap++) {
		char shown[64];

		memset(shown, '#', sizeof(shown));
		config_show(options, &settings, shown, cap);
		cr_expect(memchr(shown, '\0', cap), "cap %zu", cap);
		cr_expect_eq(strncmp(shown, "abcdefgh", cap - 1), 0, "cap %zu", cap);
		cr_expect_eq(shown[cap], '#', "cap %zu", cap);
	}
}

Test(config, help_names_every_setting_within_100_columns_and_needs_no_valid_setting)
{
	struct settings settings = {0};
	char output[8192];

	setenv("A_CHOICE", "blue", 1);
	cr_assert_eq(load((const char *const[]){"--help", NULL}, &settings, NULL, output,
	                  sizeof(output)),
	             CONFIG_HELP_SHOWN);
	for (size_t i = 0; tables[i]; i++)
		for (const struct config_option *option = tables[i]; option->name; option++)
			cr_expect(strstr(output, option->name), "%s", option->name);
	for (char *line = strtok(output, "\n"); line; line = strtok(NULL, "\n"))
		cr_expect(strlen(line) <= 100, "%s", line);
}

Test(config, markdown_has_a_row_for_every_setting)
{
	struct settings settings = {0};
	char output[8192];
	size_t rows = 0;

	cr_assert_eq(load((const char *const[]){"--help-markdown", NULL}, &settings, NULL, output,
	                  sizeof(output)),
	             CONFIG_HELP_SHOWN);
	cr_expect(strstr(output, "red\\|green"));
	for (const char *at = output; (at = strchr(at, '\n')); at++)
		rows++;
	cr_expect_eq(rows, 2 + 8);
}

Test(config, check_config_validates_and_shows_the_settings)
{
	struct settings settings = {0};
	char output[4096];

	cr_expect_eq(LOAD(&settings, "--check-config", "--an-integer=0"), CONFIG_BAD);
	cr_assert_eq(load((const char *const[]){"--check-config", "--a-secret=hunter2", NULL},
	                  &settings, NULL, output, sizeof(output)),
	             CONFIG_HELP_SHOWN);
	cr_expect(strstr(output, "A_SECRET=***\n"));
	cr_expect(strstr(output, "AN_INTEGER=5\n"));
}
