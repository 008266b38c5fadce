/* Rows sorted by event time with bounded memory, and rows as bytes. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/resource.h>

#include "base/err.h"
#include "base/fnv.h"
#include "base/span.h"
#include "event/event.h"
#include "event/event_json_write.h"
#include "external_sort.h"
#include "file_list.h"
#include "packed_row.h"
#include "row.h"
#include "source.h"
#include "source_kit.h"
#include "unit/source_kit.h"

TestSuite(producer_sort, .init = kit_init, .fini = kit_fini);

/* ---- rows as bytes */

static void check_span(struct span got, struct span want, const char *label)
{
	cr_assert_eq(got.at == NULL, want.at == NULL, "%s", label);
	cr_assert(span_equal(got, want), "%s: %.*s", label, (int)got.len, got.at);
}

/* All members of a row come back, whether its spans are parts of the raw row or not. */
static void check_packing(const struct row *row, const char *label)
{
	size_t most = packed_row_max(row);
	char *bytes = malloc(most);
	struct row_extra extras[ROW_COLUMNS_MAX];
	struct row got;

	cr_assert_leq(packed_row_write(row, bytes), most, "%s", label);
	packed_row_read(bytes, extras, &got);
	check_span(got.raw, row->raw, label);
	cr_assert_str_eq(got.error, row->error, "%s", label);
	cr_assert_eq(got.event_time_us, row->event_time_us, "%s", label);
	cr_assert_eq(got.unmapped_type, row->unmapped_type, "%s", label);
	cr_assert_eq(got.position.file, row->position.file, "%s", label);
	cr_assert_eq(got.position.row, row->position.row, "%s", label);
	cr_assert_eq(got.position.byte_offset, row->position.byte_offset, "%s", label);
	for (size_t i = 0; i < EVENT_FIELD_COUNT && !row->error[0]; i++)
		check_span(got.fields[i], row->fields[i], label);
	cr_assert_eq(got.extra_count, row->error[0] ? 0 : row->extra_count, "%s", label);
	for (size_t i = 0; i < got.extra_count; i++) {
		check_span(got.extras[i].name, row->extras[i].name, label);
		check_span(got.extras[i].value, row->extras[i].value, label);
		cr_assert_eq(got.extras[i].text, row->extras[i].text, "%s", label);
	}
	free(bytes);
}

Test(producer_sort, a_row_comes_back_from_its_bytes)
{
	static const char raw[] = "t,view,1,,\"a\"\"b\",x,1.00,7,s";
	struct row_extra extras[ROW_COLUMNS_MAX];
	struct row row = {.raw = SPAN(raw),
	                  .event_time_us = -5,
	                  .position = {3, INT64_C(1) << 40, INT64_C(1) << 50}};
	char large[70000];

	for (size_t i = 0; i < EVENT_FIELD_COUNT; i++)
		row.fields[i] = (struct span){raw + 3 * (EVENT_FIELD_COUNT - 1 - i), i};
	check_packing(&row, "fields in reverse order");
	row.fields[3] = SPAN_NULL;
	row.fields[4] = SPAN("a\"b");
	row.fields[5] = SPAN("");
	check_packing(&row, "a missing, an unquoted and an empty field");
	memset(large, 'x', sizeof(large));
	row.fields[6] = (struct span){large, sizeof(large)};
	check_packing(&row, "a long field outside the row");
	for (size_t i = 0; i < ROW_COLUMNS_MAX; i++)
		extras[i] = (struct row_extra){SPAN("name"), {raw + i % 9, i % 13}, i % 2};
	extras[7].value = SPAN_NULL;
	row.extras = extras;
	row.extra_count = ROW_COLUMNS_MAX;
	row.unmapped_type = true;
	check_packing(&row, "further columns");
	row.raw = SPAN("");
	check_packing(&row, "an empty row");
	row.raw = SPAN(raw);
	row.event_time_us = ROW_TIME_NONE;
	memset(row.error, 'e', sizeof(row.error) - 1);
	check_packing(&row, "a row with an error");
}

/* ---- sorting */

struct model {
	int64_t time_us;
	int number;
};

static struct external_sort *sort_new(size_t memory_bytes)
{
	struct err err;
	struct external_sort *sort = external_sort_new(kit_folder, memory_bytes, &err);

	cr_assert_not_null(sort, "%s", err.message);
	return sort;
}

static bool add(struct external_sort *sort, int64_t time_us, int number, struct err *err)
{
	char text[32];
	struct row row = {.event_time_us = time_us, .position = {.row = number}};

	snprintf(text, sizeof(text), "row %d", number);
	row.raw = span_of(text);
	for (size_t i = 0; i < EVENT_FIELD_COUNT; i++)
		row.fields[i] = row.raw;
	return external_sort_add(sort, &row, err);
}

/* By the definition: a row without a time sorts with the time of the row before it. */
static void model_sort(struct model *rows, int count)
{
	for (int i = 1; i < count; i++) {
		struct model row = rows[i];
		int at = i;

		for (; at > 0 && rows[at - 1].time_us > row.time_us; at--)
			rows[at] = rows[at - 1];
		rows[at] = row;
	}
}

static void check_order(struct external_sort *sort, const struct model *want, int count,
                        const char *label)
{
	char text[32];
	struct err err;
	struct row row;

	for (int i = 0; i < count; i++) {
		cr_assert_eq(external_sort_next(sort, &row, &err), EXTERNAL_SORT_ROW, "%s", label);
		cr_assert_eq(row.position.row, want[i].number, "%s: row %d", label, i);
		snprintf(text, sizeof(text), "row %d", want[i].number);
		cr_assert(span_is(row.raw, text) && span_is(row.fields[8], text), "%s", label);
	}
	cr_assert_eq(external_sort_next(sort, &row, &err), EXTERNAL_SORT_END, "%s", label);
}

/* Returns the number of runs. */
static int64_t check_sort(const int64_t *times, int count, size_t memory_bytes, const char *label)
{
	struct external_sort *sort = sort_new(memory_bytes);
	struct model *want = calloc((size_t)count, sizeof(*want));
	int64_t last_us = INT64_MIN, runs;
	struct err err;

	for (int i = 0; i < count; i++) {
		cr_assert(add(sort, times[i], i, &err), "%s", err.message);
		last_us = times[i] == ROW_TIME_NONE ? last_us : times[i];
		want[i] = (struct model){last_us, i};
	}
	model_sort(want, count);
	cr_assert(external_sort_finish(sort, &err), "%s", err.message);
	check_order(sort, want, count, label);
	cr_assert(external_sort_rewind(sort, &err), "%s", err.message);
	check_order(sort, want, count, label);
	cr_assert_eq(external_sort_numbers(sort).rows, count);
	runs = external_sort_numbers(sort).runs;
	external_sort_free(sort);
	free(want);
	return runs;
}

enum { MANY = 3000 };

Test(producer_sort, any_times_come_out_in_order_and_equal_ones_as_they_came)
{
	static const size_t memories[] = {1024, 4096, 65536, 4 << 20};
	static int64_t times[MANY];

	for (unsigned seed = 1; seed <= 12; seed++) {
		char label[64];

		srand(seed);
		for (int i = 0; i < MANY; i++) {
			int dice = rand();

			/* seed by seed: many equal times, a wide range, almost in order */
			times[i] = seed % 3 == 0   ? dice % 7
			           : seed % 3 == 1 ? (int64_t)dice * 1000003 - (INT64_C(1) << 50)
			                           : i + dice % 5;
			if (rand() % 10 == 0)
				times[i] = ROW_TIME_NONE;
		}
		for (size_t m = 0; m < sizeof(memories) / sizeof(memories[0]); m++) {
			snprintf(label, sizeof(label), "seed %u, %zu bytes", seed, memories[m]);
			if (m == 0)
				cr_assert_gt(check_sort(times, MANY, memories[m], label), 300);
			else
				check_sort(times, MANY, memories[m], label);
		}
	}
}

Test(producer_sort, rows_in_order_and_in_reverse_order)
{
	static int64_t times[MANY];

	for (int i = 0; i < MANY; i++)
		times[i] = i;
	cr_assert_eq(check_sort(times, MANY, 4 << 20, "in order, in memory"), 0);
	cr_assert_gt(check_sort(times, MANY, 4096, "in order"), 10);
	for (int i = 0; i < MANY; i++)
		times[i] = -i;
	cr_assert_eq(check_sort(times, MANY, 4 << 20, "reverse, in memory"), 0);
	cr_assert_gt(check_sort(times, MANY, 4096, "reverse"), 10);
	cr_assert_eq(check_sort(times, 0, 4096, "no rows"), 0);
}

static size_t entries_in_folder(void)
{
	DIR *directory = opendir(kit_folder);
	size_t count = 0;

	cr_assert_not_null(directory);
	for (struct dirent *entry; (entry = readdir(directory));)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}

Test(producer_sort, the_temporary_file_has_no_name_while_it_is_used)
{
	struct external_sort *sort = sort_new(1024);
	struct err err;

	for (int i = 0; i < 100; i++)
		cr_assert(add(sort, -i, i, &err));
	cr_assert_gt(external_sort_numbers(sort).temporary_bytes, 0);
	cr_assert_eq(entries_in_folder(), 0);
	external_sort_free(sort);
}

static void check_error(const struct err *err, enum err_class class, const char *const words[])
{
	cr_assert_eq(err->class, class, "%s", err->message);
	for (; *words; words++)
		cr_assert_not_null(strstr(err->message, *words), "%s: %s", *words, err->message);
}

Test(producer_sort, a_full_disk_is_an_error_that_names_the_setting)
{
	const char *const words[] = {"SORT_DIR=", kit_folder, "File too large", "free space", NULL};
	const struct rlimit limit = {5000, 5000};
	struct external_sort *sort = sort_new(1024);
	struct err err;
	bool good = true;

	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (int i = 0; i < 1000 && good; i++)
		good = add(sort, -i, i, &err);
	cr_assert_not(good);
	check_error(&err, ERR_OPERATOR, words);
	external_sort_free(sort);
}

Test(producer_sort, a_folder_that_cannot_be_used_is_named)
{
	const char *const words[] = {"SORT_DIR=/proc/none", "No such file", NULL};
	struct err err;
	struct external_sort *sort = external_sort_new("/proc/none", 1024, &err);
	bool good = true;

	for (int i = 0; i < 100 && good; i++)
		good = add(sort, i, i, &err);
	cr_assert_not(good);
	check_error(&err, ERR_OPERATOR, words);
	external_sort_free(sort);
}

Test(producer_sort, a_row_that_is_larger_than_the_memory_is_refused)
{
	const char *const words[] = {"SORT_MEMORY", NULL};
	struct external_sort *sort = sort_new(1024);
	static char large[2000];
	struct row row = {.raw = {large, sizeof(large)}, .error = "too few columns"};
	struct err err;

	cr_assert(add(sort, 1, 1, &err));
	cr_assert_not(external_sort_add(sort, &row, &err));
	check_error(&err, ERR_INPUT, words);
	external_sort_free(sort);
}

Test(producer_sort, a_row_that_is_larger_than_the_buffer_of_its_run_is_read)
{
	struct external_sort *sort = sort_new(65536);
	static char large[20000];
	struct row row = {.raw = {large, sizeof(large)}, .error = "e", .event_time_us = 500};
	struct err err;

	memset(large, 'x', sizeof(large));
	for (int i = 0; i < 3000; i++)
		cr_assert(add(sort, 1000 - i % 1000, i, &err));
	cr_assert(external_sort_add(sort, &row, &err));
	cr_assert(external_sort_finish(sort, &err));
	cr_assert_gt(external_sort_numbers(sort).runs, 4);
	for (int i = 0; i < 3001; i++) {
		cr_assert_eq(external_sort_next(sort, &row, &err), EXTERNAL_SORT_ROW);
		if (row.error[0])
			cr_assert(span_equal(row.raw, ((struct span){large, sizeof(large)})));
	}
	cr_assert_eq(external_sort_next(sort, &row, &err), EXTERNAL_SORT_END);
	external_sort_free(sort);
}

/* ---- a source that sorts */

static size_t memory_bytes;

static struct source *open_sorted(void)
{
	struct source *source = kit_open(kit_folder);
	struct err err;

	cr_assert(source_sort(source, "/tmp", memory_bytes, &err), "%s", err.message);
	return source;
}

static void write_parts(void)
{
	kit_rows("a.csv", "9/a9 7/a7 -/none 7/aa 5/a5");
	kit_rows("b.csv", "8/b8 7/b7 </wrong 2/b2 1/b1");
}

Test(producer_sort, the_newest_first_comes_out_with_the_oldest_first)
{
	write_parts();
	for (memory_bytes = 1024; memory_bytes <= 1 << 20; memory_bytes *= 1024)
		kit_check(open_sorted(), "wrong b1 b2 a5 b7 a7 none aa b8 a9 ",
		          "b.csv is the first file");
}

Test(producer_sort, reading_goes_on_after_any_row)
{
	write_parts();
	memory_bytes = 1024;
	kit_check_resume(open_sorted);
}

Test(producer_sort, rows_keep_their_file_and_their_number)
{
	struct source *source;
	struct err err;
	struct row row;

	write_parts();
	memory_bytes = 1024;
	source = open_sorted();
	for (int i = 0; i < 4; i++)
		cr_assert_eq(source_next(source, &row, &err), SOURCE_ROW);
	cr_assert_str_eq(row.source_file, "a.csv");
	cr_assert_eq(row.position.row, 5);
	source_free(source);
}

Test(producer_sort, the_progress_is_that_of_reading_and_then_of_giving)
{
	struct source *source;
	int64_t total, done;
	struct err err;
	struct row row;
	bool ready;

	write_parts();
	memory_bytes = 1024;
	source = open_sorted();
	cr_assert(source_prepare(source, 3, &ready, &err));
	cr_assert_not(ready);
	cr_assert_eq(source_sort_numbers(source).rows, 3);
	cr_assert(source_prepare(source, 100, &ready, &err));
	cr_assert(ready);
	cr_assert_eq(source_progress(source, &total), 0);
	while (source_next(source, &row, &err) == SOURCE_ROW)
		;
	done = source_progress(source, &total);
	cr_assert_eq(done, total);
	source_free(source);
}

Test(producer_sort, the_segment_of_one_file_is_that_of_earlier_versions)
{
	struct file_list list = {0};
	int64_t limit = 0;
	struct source *source;
	char want[64];
	uint64_t hash;
	struct err err;

	kit_rows("a.csv", "1/a1");
	cr_assert(file_list_read(&list, kit_path("a.csv"), &err));
	hash = fnv1a(file_list_hash(&list), &limit, sizeof(limit));
	snprintf(want, sizeof(want), "a.csv-%012llx",
	         (unsigned long long)(hash & UINT64_C(0xffffffffffff)));
	source = kit_open(kit_path("a.csv"));
	cr_assert_str_eq(source_segment(source), want);
	source_free(source);
	file_list_fini(&list);
}
