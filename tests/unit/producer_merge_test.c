/* The rows of several files as one stream by event time. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/resource.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "file_list.h"
#include "merge.h"
#include "row.h"
#include "source.h"
#include "source_kit.h"
#include "unit/source_kit.h"

TestSuite(producer_merge, .init = kit_init, .fini = kit_fini);

static struct source *open_folder(void)
{
	return kit_open(kit_folder);
}

static const struct {
	const char *label, *files[3], *want;
} merges[] = {
	{"parts that overlap",
         {"1/a1 4/a4 7/a7", "2/b2 5/b5 8/b8", "3/c3 6/c6 9/c9"},
         "a1 b2 c3 a4 b5 c6 a7 b8 c9 "},
	{"parts that do not overlap", {"1/a1 2/a2", "3/b3 4/b4", "5/c5"}, "a1 a2 b3 b4 c5 "},
	{"equal times: in the order of the files",
         {"1/a1 2/a2 2/aa 3/a3", "1/b1 2/b2 3/b3", "2/c2 2/cc"},
         "a1 b1 a2 aa b2 c2 cc a3 b3 "},
	{"a time years ahead delays no row of its part",
         {"1/a1 +/wrong 4/a4 7/a7", "2/b2 5/b5 8/b8", "3/c3"},
         "a1 wrong b2 c3 a4 b5 a7 b8 "},
	{"the first time of a part is years ahead",
         {"1/a1 4/a4 7/a7", "+/wrong 2/b2 5/b5 8/b8", "3/c3"},
         "a1 wrong b2 c3 a4 b5 a7 b8 "},
	{"a time years back pulls no row forward",
         {"1/a1 4/a4 </wrong 7/a7 8/a8", "2/b2 5/b5", "6/c6"},
         "a1 b2 a4 wrong b5 c6 a7 a8 "},
	{"the last row of a part waits for its time",
         {"1/a1 9/a9", "2/b2 5/b5", "3/c3 6/c6"},
         "a1 b2 c3 b5 c6 a9 "},
	{"a last time years ahead comes last",
         {"1/a1 +/wrong", "2/b2 5/b5", "3/c3 6/c6"},
         "a1 b2 c3 b5 c6 wrong "},
	{"a row without a time comes after the row before it",
         {"1/a1 4/a4 -/none 7/a7", "2/b2 5/b5 8/b8", "-/first 3/c3"},
         "a1 b2 first c3 a4 none b5 a7 b8 "},
	{"a part without any time comes last",
         {"-/n1 -/n2", "2/b2 5/b5", "3/c3"},
         "b2 c3 b5 n1 n2 "},
	{"a late row comes after the row before it",
         {"5/a5 1/a1 9/a9", "2/b2 6/b6", "3/c3"},
         "b2 c3 a5 a1 b6 a9 "},
};

Test(producer_merge, the_earliest_row_of_all_files_comes_first)
{
	static const char *const names[] = {"a.csv", "b.csv", "c.csv"};

	for (size_t i = 0; i < sizeof(merges) / sizeof(merges[0]); i++) {
		for (size_t f = 0; f < 3; f++)
			kit_rows(names[f], merges[i].files[f]);
		kit_check(open_folder(), merges[i].want, merges[i].label);
	}
}

Test(producer_merge, a_session_of_a_device_that_is_years_ahead_delays_nothing)
{
	FILE *file = kit_create("a.csv");

	kit_row(file, 1, 7, "a1");
	for (int i = 0; i < 40; i++)
		fprintf(file, "2022-03-01 00:00:%02d UTC,view,1,2,a.b,x,1.00,9,w\n", i);
	kit_row(file, 4, 8, "a4");
	kit_row(file, 7, 7, "a7");
	fclose(file);
	kit_rows("b.csv", "2/b2 5/b5 8/b8");
	kit_check(
		open_folder(),
		"a1 w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w "
		"w b2 a4 b5 a7 b8 ",
		"forty rows of one user");
}

Test(producer_merge, the_rows_of_one_user_refute_each_other_if_there_is_no_other_user)
{
	FILE *file = kit_create("a.csv");

	kit_row(file, 1, 7, "a1");
	kit_row(file, 900000, 7, "wrong");
	kit_row(file, 4, 7, "a4");
	kit_row(file, 7, 7, "a7");
	fclose(file);
	kit_rows("b.csv", "2/b2 5/b5 8/b8");
	kit_check(open_folder(), "a1 wrong b2 a4 b5 a7 b8 ", "one user");
}

Test(producer_merge, quoted_and_broken_rows_come_out_unchanged_after_they_have_waited)
{
	struct source *source;
	struct err err;
	struct row row;
	FILE *file;

	kit_rows("b.csv", "1/b1 4/b4");
	file = kit_create("a.csv");
	kit_row(file, 2, 1, "a2");
	fputs("\"2019-10-01 00:00:03 UTC\",view,1,2,,\"x,\"\"y\"\"\",1.00,7,s\nshort,row\n", file);
	fclose(file);
	source = open_folder();
	for (int i = 0; i < 3; i++)
		cr_assert_eq(source_next(source, &row, &err), SOURCE_ROW);
	cr_assert(span_is(row.fields[0], "2019-10-01 00:00:03 UTC"));
	cr_assert(span_is(row.fields[4], ""));
	cr_assert(span_is(row.fields[5], "x,\"y\""));
	cr_assert(
		span_is(row.raw, "\"2019-10-01 00:00:03 UTC\",view,1,2,,\"x,\"\"y\"\"\",1.00,7,s"));
	cr_assert_str_eq(row.source_file, "a.csv");
	cr_assert_eq(row.position.row, 2);
	cr_assert_eq(source_next(source, &row, &err), SOURCE_ROW);
	cr_assert_str_eq(row.error, "expected 9 columns, found 2");
	cr_assert(span_is(row.raw, "short,row"));
	cr_assert_eq(row.position.row, 3);
	source_free(source);
}

/* ---- random files against the definition */

enum { FILES = 3, ROWS = 400, YEARS = 300 * 86400 };

struct model_row {
	int64_t second; /* below 0: none */
	int user;
};

struct model_file {
	struct model_row rows[ROWS];
	int64_t first; /* earliest of the first hundred */
	int next;
	bool open;
};

static void write_model(struct model_file *files, unsigned seed)
{
	static const char *const names[] = {"a.csv", "b.csv", "c.csv"};

	srand(seed);
	for (int f = 0; f < FILES; f++) {
		FILE *file = kit_create(names[f]);
		int64_t second = rand() % 50 + 1000;

		files[f] = (struct model_file){.first = INT64_MAX};
		for (int i = 0; i < ROWS; i++) {
			struct model_row *row = &files[f].rows[i];
			int dice = rand() % 20;
			char mark[32];

			second += rand() % 3;
			row->user = rand() % 12;
			row->second = dice == 0   ? -1
			              : dice == 1 ? second + rand() % 100000
			              : dice == 2 ? rand() % 1000
			                          : second;
			if (row->second >= 0 && i < 100 && row->second < files[f].first)
				files[f].first = row->second;
			snprintf(mark, sizeof(mark), "%d:%d", f, i);
			kit_row(file, row->second, row->user, mark);
		}
		fclose(file);
	}
}

/* Most of the next 16 rows of other users are before this one; of all rows if there is none of
 * another user. */
static bool model_refuted(const struct model_file *file, int at)
{
	int others = 0, others_before = 0, own = 0, own_before = 0;

	for (int i = at + 1; i < ROWS && others < 16; i++) {
		bool before = file->rows[i].second < file->rows[at].second;

		if (file->rows[i].second < 0)
			continue;
		if (file->rows[i].user == file->rows[at].user) {
			own++;
			own_before += before;
		} else {
			others++;
			others_before += before;
		}
	}
	return others > 0 ? 2 * others_before > others : 2 * own_before > own;
}

static int64_t model_key(const struct model_file *file)
{
	if (file->next == ROWS)
		return INT64_MAX;
	if (!file->open)
		return file->first;
	return file->rows[file->next].second < 0 || model_refuted(file, file->next)
	               ? INT64_MIN
	               : file->rows[file->next].second;
}

static void model_merge(struct model_file *files, const int order[FILES], struct buffer *out)
{
	char mark[32];

	for (int left = FILES * ROWS; left > 0;) {
		int best = order[0];

		for (int i = 1; i < FILES; i++)
			if (model_key(&files[order[i]]) < model_key(&files[best]))
				best = order[i];
		if (!files[best].open) {
			files[best].open = true;
			continue;
		}
		snprintf(mark, sizeof(mark), "%d:%d ", best, files[best].next++);
		buffer_append(out, mark, strlen(mark));
		left--;
	}
	buffer_append(out, "", 1);
}

Test(producer_merge, random_files_come_out_as_the_definition_says)
{
	static struct model_file files[FILES];

	for (unsigned seed = 1; seed <= 20; seed++) {
		struct file_list list = {0};
		struct buffer want = {0};
		int order[FILES];
		char label[32];
		struct err err;

		write_model(files, seed);
		cr_assert(file_list_read(&list, kit_folder, &err), "%s", err.message);
		for (int i = 0; i < FILES; i++)
			order[i] = list.files[i].name[0] - 'a';
		file_list_fini(&list);
		model_merge(files, order, &want);
		snprintf(label, sizeof(label), "seed %u", seed);
		kit_check(open_folder(), want.at, label);
		buffer_free(&want);
	}
}

Test(producer_merge, reading_goes_on_after_any_row)
{
	kit_rows("a.csv", "1/a1 +/wrong 4/a4 -/none 7/a7");
	kit_rows("b.csv", "2/b2 5/b5 5/b6 8/b8");
	kit_rows("c.csv", "3/c3 5/c5");
	kit_check_resume(open_folder);
}

/* ---- many files */

/* File n has `rows` rows from second n * step on, every `stride` seconds. */
static void make_files(int count, int rows, int step, int stride)
{
	char name[32], mark[32];

	for (int n = 0; n < count; n++) {
		FILE *file;

		snprintf(name, sizeof(name), "part-%05d.csv", n);
		file = kit_create(name);
		for (int i = 0; i < rows; i++) {
			snprintf(mark, sizeof(mark), "%d", n * step + i * stride);
			kit_row(file, n * step + i * stride, i, mark);
		}
		fclose(file);
	}
}

static void limit_open_files(rlim_t soft, rlim_t hard)
{
	const struct rlimit limit = {soft, hard};

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* Counts the rows, and checks that their times never go back. */
static int count_in_order(struct source *source, struct err *err)
{
	enum source_result result;
	int64_t newest_us = INT64_MIN;
	struct row row;
	int rows = 0;

	while ((result = source_next(source, &row, err)) == SOURCE_ROW) {
		cr_assert_geq(row.event_time_us, newest_us);
		newest_us = row.event_time_us;
		rows++;
	}
	source_free(source);
	return result == SOURCE_FAILED ? -1 : rows;
}

Test(producer_merge, thousands_of_parts_need_few_open_files)
{
	struct err err;

	make_files(3000, 3, 10, 4);
	limit_open_files(MERGE_OTHER_FILES + 8, MERGE_OTHER_FILES + 8);
	cr_assert_eq(count_in_order(open_folder(), &err), 9000, "%s", err.message);
}

Test(producer_merge, the_limit_of_open_files_is_raised_if_many_parts_overlap)
{
	struct err err;

	make_files(300, 20, 1, 500);
	limit_open_files(MERGE_OTHER_FILES + 8, MERGE_OTHER_FILES + 300);
	cr_assert_eq(count_in_order(open_folder(), &err), 6000, "%s", err.message);
}

Test(producer_merge, too_many_overlapping_parts_are_an_error_that_says_the_way_on)
{
	struct source *source;
	struct err err;

	make_files(300, 20, 1, 500);
	limit_open_files(MERGE_OTHER_FILES + 8, MERGE_OTHER_FILES + 100);
	cr_assert_eq(count_in_order(open_folder(), &err), -1);
	cr_assert_not_null(strstr(err.message, "more than 100 files of INPUT overlap in time"),
	                   "%s", err.message);
	cr_assert_not_null(strstr(err.message, "ORDER=time"), "%s", err.message);
	source = open_folder();
	cr_assert(source_sort(source, kit_folder, 65536, &err), "%s", err.message);
	cr_assert_eq(count_in_order(source, &err), 6000, "%s", err.message);
}

/* The descriptors of this process that are files of the test. */
static int open_files(void)
{
	DIR *descriptors = opendir("/proc/self/fd");
	struct dirent *entry;
	char path[300], target[300];
	int count = 0;

	cr_assert_not_null(descriptors);
	while ((entry = readdir(descriptors))) {
		ssize_t len;

		snprintf(path, sizeof(path), "/proc/self/fd/%.200s", entry->d_name);
		len = readlink(path, target, sizeof(target) - 1);
		target[len > 0 ? len : 0] = '\0';
		count += strncmp(target, kit_folder, strlen(kit_folder)) == 0;
	}
	closedir(descriptors);
	return count;
}

Test(producer_merge, a_file_is_opened_when_it_is_due_and_closed_when_it_was_read)
{
	struct file_list list = {0};
	struct merge *merge;
	struct err err;
	struct row row;

	kit_rows("a.csv", "1/a1 2/a2 3/a3");
	kit_rows("b.csv", "2/b2 4/b4");
	kit_rows("c.csv", "5/c5 6/c6");
	cr_assert(file_list_read(&list, kit_folder, &err));
	merge = merge_new(&list, NULL, MERGE_BY_TIME, &err);
	cr_assert_eq(open_files(), 0);
	while (merge_next(merge, &row, &err) == MERGE_ROW)
		cr_assert_leq(open_files(), row.event_time_us % 60000000 < 5000000 ? 2 : 1);
	cr_assert_eq(open_files(), 0);
	cr_assert_eq(merge_bytes(merge), list.bytes);
	merge_free(merge);
	file_list_fini(&list);
}

Test(producer_merge, an_unreadable_file_ends_the_stream_after_the_rows_before_it)
{
	struct buffer got = {0};
	struct source *source;

	kit_rows("a.csv", "1/a1 3/a3");
	kit_rows("b.csv", "2/b2 4/b4");
	source = open_folder();
	cr_assert_eq(unlink(kit_path("b.csv")), 0);
	kit_sessions(source, &got);
	cr_assert_eq(strncmp(got.at, "a1 failed: ", 11), 0, "%s", got.at);
	cr_assert_not_null(strstr(got.at, "b.csv"), "%s", got.at);
	source_free(source);
	buffer_free(&got);
}

Test(producer_merge, the_order_of_several_files_is_part_of_the_segment)
{
	struct source *merged, *sorted;
	struct err err;

	kit_rows("a.csv", "1/a1 3/a3");
	kit_rows("b.csv", "2/b2 4/b4");
	merged = open_folder();
	sorted = open_folder();
	cr_assert_str_eq(source_segment(merged), source_segment(sorted));
	cr_assert(source_sort(sorted, kit_folder, 65536, &err));
	cr_assert_str_neq(source_segment(merged), source_segment(sorted));
	source_free(sorted);
	sorted = open_folder();
	source_hash_text(sorted, "MAPPING=x");
	cr_assert_str_neq(source_segment(merged), source_segment(sorted));
	source_free(sorted);
	source_free(merged);
}
