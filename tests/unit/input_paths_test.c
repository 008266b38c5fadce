/* What the setting INPUT names, and what names of files say. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "input_paths.h"

static const struct {
	const char *name;
	int year, month; /* month 0: none */
} months[] = {
	{"2019-Oct.csv", 2019, 10},
	{"2019-Oct.csv.gz", 2019, 10},
	{"2020-apr.csv.zst", 2020, 4},
	{"2019-10.csv", 2019, 10},
	{"events_2019_10_sample.jsonl", 2019, 10},
	{"2019-10-31.csv", 2019, 10},
	{"archive.zip/2019-Dec.csv", 2019, 12},
	{"2019-Oct to 2019-Nov.csv", 2019, 11},
	{"2019-13.csv", 0, 0},
	{"2019-Octopus.csv", 0, 0},
	{"12019-10.csv", 0, 0},
	{"2019-100.csv", 0, 0},
	{"2019.csv", 0, 0},
	{"", 0, 0},
};

Test(input_paths, a_file_name_says_its_month)
{
	for (size_t i = 0; i < sizeof(months) / sizeof(months[0]); i++) {
		int year = 0, month = 0;
		bool found = input_month_of(months[i].name, &year, &month);

		cr_assert_eq(found, months[i].month > 0, "%s", months[i].name);
		cr_assert(year == months[i].year && month == months[i].month, "%s: %d-%d",
		          months[i].name, year, month);
	}
}

Test(input_paths, names_of_data_files)
{
	static const char *const data[] = {"a.csv",     "a.CSV",        "a.tsv.gz",    "a.txt",
	                                   "a.json.xz", "a.ndjson.lz4", "a.jsonl.bz2", "a.zip",
	                                   "a.csv.zip", "a.tar",        "a.tar.gz",    "a.tgz"};
	static const char *const others[] = {"a",         ".csv",   "a.gz", "a.parquet",
	                                     "a.csv.crc", "a.csv~", "csv",  "_SUCCESS"};

	for (size_t i = 0; i < sizeof(data) / sizeof(data[0]); i++)
		cr_assert(input_name_is_data(data[i]), "%s", data[i]);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		cr_assert_not(input_name_is_data(others[i]), "%s", others[i]);
	cr_assert(input_name_is_common("README.txt"));
	cr_assert(input_name_is_common("a.json.gz"));
	cr_assert_not(input_name_is_common("a.csv"));
}

/* ---- paths */

static char folder[64];

static void touch(const char *name)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	cr_assert_not_null(file);
	fclose(file);
}

static void make_files(void)
{
	char path[256];

	snprintf(folder, sizeof(folder), "/tmp/input_paths_XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/sub", folder);
	cr_assert_eq(mkdir(path, 0755), 0);
	touch("a.csv");
	touch("b 1.csv");
	touch("c,d.csv");
	touch("sub/e.jsonl");
	touch("sub/.hidden.csv");
	touch("sub/other");
}

static void remove_files(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", folder);
	cr_assert_eq(system(command), 0);
}

TestSuite(input_paths, .init = make_files, .fini = remove_files);

struct names {
	char text[1024];
};

static bool add_name(void *context, const char *path, enum input_path kind, struct err *err)
{
	struct names *names = context;
	const char *slash = strrchr(path, '/');

	(void)err;
	strcat(names->text, slash && path[0] == '/' ? slash + 1 : path);
	strcat(names->text, kind == INPUT_PATH_OF_FOLDER ? "/;" : ";");
	return true;
}

/* %s in input is the folder. */
static const struct {
	const char *input, *want; /* want NULL: refused, with says */
	const char *says;
} inputs[] = {
	{"%s/a.csv", "a.csv;", NULL},
	{"%s/b 1.csv", "b 1.csv;", NULL},
	{"%s/c,d.csv", "c,d.csv;", NULL},
	{"%s/a.csv,%s/b 1.csv", "a.csv;b 1.csv;", NULL},
	{"%s/a.csv, %s/sub", "a.csv;e.jsonl/;", NULL},
	{"%s/a.csv %s/sub/e.jsonl\n-", "a.csv;e.jsonl;-;", NULL},
	{"%s/[ab]*.csv", "a.csv;b 1.csv;", NULL},
	{"-", "-;", NULL},
	{"https://host/x.csv.gz", "https://host/x.csv.gz;", NULL},
	{"%s/a.csv/member.csv", "member.csv;", NULL},
	{"%s/none.csv", NULL, "No such file"},
	{"%s/none*", NULL, "matches no file"},
	{"/dev/null", NULL, "expected a regular file"},
};

Test(input_paths, an_input_names_files_folders_patterns_and_streams)
{
	for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
		struct err err = {.class = ERR_NONE};
		struct names names = {""};
		size_t ignored = 0, used = 0;
		char input[512] = "";

		for (const char *p = inputs[i].input; *p; p++)
			if (p[0] == '%')
				used += (size_t)sprintf(input + used, "%s", folder), p++;
			else
				input[used++] = *p, input[used] = '\0';
		cr_assert_eq(input_paths_each(input, add_name, &names, &ignored, &err),
		             inputs[i].want != NULL, "%s: %s", input, err.message);
		if (inputs[i].want)
			cr_assert_str_eq(names.text, inputs[i].want, "%s: %s", input, names.text);
		else
			cr_assert_not_null(strstr(err.message, inputs[i].says), "%s", err.message);
	}
}

Test(input_paths, a_link_to_nothing_that_is_not_a_data_file_does_no_harm)
{
	struct names names = {""};
	size_t ignored = 0;
	char input[128], path[160];

	snprintf(input, sizeof(input), "%s/sub", folder);
	snprintf(path, sizeof(path), "%s/.#e.jsonl", input); /* as Emacs locks a file */
	cr_assert_eq(symlink("nobody@nowhere", path), 0);
	cr_assert(input_paths_each(input, add_name, &names, &ignored, NULL));
	cr_assert_str_eq(names.text, "e.jsonl/;");
	snprintf(path, sizeof(path), "%s/f.csv", input);
	cr_assert_eq(symlink("nowhere", path), 0);
	cr_assert_not(input_paths_each(input, add_name, &names, &ignored, NULL));
}

Test(input_paths, other_files_of_a_folder_are_counted)
{
	struct names names = {""};
	size_t ignored = 0;
	char path[128];

	snprintf(path, sizeof(path), "%s/sub", folder);
	cr_assert(input_paths_each(path, add_name, &names, &ignored, NULL));
	cr_assert_eq(ignored, 2);
}
