/* Lists of inputs: what an entry may have, and what is refused with which message. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "service/config.h"
#include "source_list.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct config_option options[] = {
	{"SOURCE", CONFIG_TEXT, 0, "", 0, 0, "", NULL, NULL},
	{"INPUT", CONFIG_TEXT, 0, "", 0, 0, "", NULL, NULL},
	{"MAPPING", CONFIG_TEXT, 0, "", 0, 0, "", NULL, NULL},
	{"POLL_EVERY", CONFIG_TEXT, 0, "", 0, 0, "", NULL, NULL},
	{"POLLS", CONFIG_TEXT, 0, "", 0, 0, "", NULL, NULL},
	{"LOOP", CONFIG_TEXT, 0, "", 0, 0, "", NULL, NULL},
	{"SOURCES", CONFIG_TEXT, 0, "", 0, 0, "", NULL, NULL},
	{0},
};
static const struct config_option *const tables[] = {options, NULL};

static bool read_text(struct source_list *list, const char *text, struct err *err)
{
	char path[] = "/tmp/source_list_XXXXXX";
	int fd = mkstemp(path);
	bool good;

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	good = source_list_read(list, path, tables, err);
	unlink(path);
	return good;
}

Test(source_list, values_are_texts_of_settings)
{
	struct source_list list = {0};
	struct err err = {ERR_NONE, ""};
	const struct source_entry *entry;

	cr_assert(
		read_text(&list,
	                  "[{\"name\":\"a\",\"input\":\"https://h/f.csv\",\"sha256\":\"" SHA "\","
	                  "\"poll-every\":\"5s\",\"POLLS\":3,\"mapping\":{\"UserID\":\"user_id\"}},"
	                  "{\"name\":\"b\",\"source\":\"fakestore\",\"polls\":0}]",
	                  &err),
		"%s", err.message);
	cr_assert_eq(list.count, 2);
	entry = source_list_find(&list, "a");
	cr_assert_str_eq(source_entry_value(entry, "INPUT"), "https://h/f.csv#sha256=" SHA);
	cr_assert_str_eq(source_entry_value(entry, "POLL_EVERY"), "5s");
	cr_assert_str_eq(source_entry_value(entry, "POLLS"), "3");
	cr_assert_str_eq(source_entry_value(entry, "MAPPING"), "{\"UserID\":\"user_id\"}");
	cr_assert_null(source_entry_value(entry, "SOURCE"));
	cr_assert_null(source_list_find(&list, "c"));
	source_list_fini(&list);
}

static const struct {
	const char *text, *part;
} must_not_read[] = {
	{"", "line"},
	{"{\"name\":\"a\"}", "expected a JSON array"},
	{"[]", "at least one input"},
	{"[1]", "entry 1: expected an object with a name"},
	{"[{\"input\":\"x\"}]", "entry 1: expected an object with a name"},
	{"[{\"name\":\"a\"},{\"name\":\"a\"}]", "entry 2: the name \"a\" occurs twice"},
	{"[{\"name\":\"a\",\"inptu\":\"x\"}]", "\"inptu\" is not a setting"},
	{"[{\"name\":\"a\",\"sources\":\"x\"}]", "\"sources\" is not a setting"},
	{"[{\"name\":\"a\",\"input\":[\"x\"]}]", "input: expected a text"},
	{"[{\"name\":\"a\",\"input\":null}]", "input: expected a text"},
	{"[{\"name\":\"a\",\"input\":\"x\",\"input\":\"y\"}]", "duplicate"},
	{"[{\"name\":\"a\",\"input\":\"x\",\"sha256\":\"" SHA "\"}]", "sha256 needs an input"},
	{"[{\"name\":\"a\",\"input\":\"http://h/x\",\"sha256\":1}]", "sha256: expected a text"},
	{"[{\"name\":\"a\",\"source\":\"fakestore\"},{\"name\":\"b\"}]",
         "entry 1 (a) does not end"},
	{"[{\"name\":\"a\",\"loop\":\"forever\"},{\"name\":\"b\"}]", "entry 1 (a) does not end"},
};

Test(source_list, a_bad_list_is_refused_with_its_entry)
{
	for (size_t i = 0; i < sizeof(must_not_read) / sizeof(must_not_read[0]); i++) {
		struct source_list list = {0};
		struct err err = {ERR_NONE, ""};

		cr_assert_not(read_text(&list, must_not_read[i].text, &err), "%s",
		              must_not_read[i].text);
		cr_assert_eq(err.class, ERR_INPUT);
		cr_assert(strstr(err.message, must_not_read[i].part), "%s: %s",
		          must_not_read[i].text, err.message);
		cr_assert_eq(list.count, 0);
	}
}
