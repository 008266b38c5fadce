/* Which rows of a source are sent, and with which time: months, days, shifts, passes. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/span.h"
#include "base/timetext.h"
#include "generator.h"
#include "months.h"
#include "options.h"
#include "row.h"
#include "selection.h"
#include "source.h"

static int64_t at(const char *text)
{
	int64_t time_us = -1;

	cr_assert(time_parse(span_of(text), &time_us), "%s", text);
	return time_us;
}

/* ---- months */

Test(months, lists_and_ranges_are_read_exactly)
{
	static const struct {
		const char *text, *want; /* NULL: refused */
	} cases[] = {{"2019-10", "2019-10 "},
	             {"2019-10,2019-12", "2019-10 2019-12 "},
	             {"2019-12,2019-10,2019-12", "2019-10 2019-12 "},
	             {"2019-11..2020-02", "2019-11 2019-12 2020-01 2020-02 "},
	             {"2020-01,2019-10..2019-11", "2019-10 2019-11 2020-01 "},
	             {"2019-10..2019-10", "2019-10 "},
	             {"", NULL},
	             {"2019-13", NULL},
	             {"2019-00", NULL},
	             {"0000-01", NULL},
	             {"2019-1", NULL},
	             {"2019-10-01", NULL},
	             {"2019-10,", NULL},
	             {",2019-10", NULL},
	             {"2020-01..2019-12", NULL},
	             {"2019-10..", NULL},
	             {"2019/10", NULL},
	             {"Oct 2019", NULL},
	             {"1000-01..3000-01", NULL}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = {.class = ERR_NONE};
		struct months months;
		char got[200] = "";
		bool good = months_parse(cases[i].text, &months, &err);

		cr_assert_eq(good, cases[i].want != NULL, "%s", cases[i].text);
		cr_assert(good || err.class == ERR_INPUT);
		for (int32_t m = 0; good && m < months.count; m++) {
			char text[16];

			month_format(months.at[m], text);
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s ", text);
		}
		cr_assert(!good || strcmp(got, cases[i].want) == 0, "%s: %s", cases[i].text, got);
	}
}

/* Every day of 800 years, against the text of the time. */
Test(months, the_month_of_a_time_is_that_of_its_text)
{
	for (int64_t t = at("1600-01-01 00:00:00"); t < at("2400-01-01 00:00:00");
	     t += US_PER_DAY) {
		char text[32], month[16];

		time_format_plain(t, text);
		month_format(month_of_time(t), month);
		cr_assert_eq(strncmp(text, month, 7), 0, "%s: %s", text, month);
		cr_assert_eq(month_of_time(t), month_of_time(t + US_PER_DAY - 1));
	}
}

Test(months, a_month_in_a_name_is_one_number)
{
	cr_assert_eq(month_of_name("2019-Oct.csv.gz"), 2019 * 12 + 9);
	cr_assert_eq(month_of_name("2020-01-part-3.csv"), 2020 * 12);
	cr_assert_eq(month_of_name("events.csv"), MONTH_NONE);
}

/* ---- rows */

/* Takes rows with these times, separated by ';' ("-" is a row without a readable time). Returns the
 * indexes of those that are selected. */
static const char *select_rows(struct selection *selection, const char *file, const char *times)
{
	static char got[256];
	char copy[1024], *rest = copy, *text;
	struct row row = {.source_file = file};
	size_t count = 0;
	char index = '0';

	snprintf(copy, sizeof(copy), "%s", times);
	while ((text = strsep(&rest, ";"))) {
		row.fields[0] = row.raw = span_of(text);
		if (!time_parse(row.fields[0], &row.event_time_us))
			row.event_time_us = ROW_TIME_NONE;
		if (selection_take(selection, &row))
			got[count++] = index;
		index++;
	}
	got[count] = '\0';
	return got;
}

#define T(day, time) "2019-10-" #day " " #time ";"
#define OCTOBER_AND_MORE                                                                   \
	"-;2019-09-30 23:59:59;-;2019-10-01 00:00:00;-;2019-10-31 23:59:59;2019-11-01 00:" \
	"00:00;-"

static const struct {
	const char *label, *month, *from, *to;
	int64_t rows_per_day;
	const char *file, *times, *want;
	int64_t by_time, by_day;
} selections[] = {
	{"everything", "", "", "", 0, "f.csv", OCTOBER_AND_MORE, "01234567", 0, 0},
	{"a month; rows without a time follow the row before them", "2019-10", "", "", 0, "f.csv",
         OCTOBER_AND_MORE, "345", 5, 0},
	{"two months", "2019-09,2019-11", "", "", 0, "f.csv", OCTOBER_AND_MORE, "1267", 4, 0},
	{"a file with a month in its name belongs to it with all rows", "2019-10", "", "", 0,
         "2019-Oct.csv", OCTOBER_AND_MORE, "01234567", 0, 0},
	{"from is included, to is not", "", "2019-10-01 00:00:00", "2019-10-31 23:59:59", 0,
         "f.csv", OCTOBER_AND_MORE, "34", 6, 0},
	{"from and to also select within a named file", "2019-10", "2019-10-31 00:00:00", "", 0,
         "2019-Oct.csv", OCTOBER_AND_MORE, "567", 5, 0},
	{"the first two rows of each day, days mixed", "", "", "", 2, "f.csv",
         "2019-10-01 05:00:00;2019-10-02 01:00:00;2019-10-01 04:00:00;2019-10-01 03:00:00;"
         "2019-10-02 02:00:00;-;2019-10-02 03:00:00;-;2019-10-01 09:00:00;2019-10-03 00:00:00",
         "012459", 0, 4},
};

static struct selection_config config_of(const char *month, const char *from, const char *to)
{
	struct selection_config config = selection_all();

	config.by_name = true;
	cr_assert(!month[0] || months_parse(month, &config.months, NULL));
	config.from_us = from[0] ? at(from) : SELECTION_OPEN;
	config.to_us = to[0] ? at(to) : SELECTION_OPEN;
	return config;
}

Test(selection, rows_are_selected_by_month_time_and_day)
{
	for (size_t i = 0; i < sizeof(selections) / sizeof(selections[0]); i++) {
		struct selection_config config =
			config_of(selections[i].month, selections[i].from, selections[i].to);
		static struct selection selection;
		const char *got;

		config.rows_per_day = selections[i].rows_per_day;
		selection_init(&selection, &config);
		got = select_rows(&selection, selections[i].file, selections[i].times);
		cr_assert_str_eq(got, selections[i].want, "%s: %s", selections[i].label, got);
		cr_assert_eq(selection.out_by_time, selections[i].by_time, "%s: %lld",
		             selections[i].label, (long long)selection.out_by_time);
		cr_assert_eq(selection.out_by_day, selections[i].by_day, "%s: %lld",
		             selections[i].label, (long long)selection.out_by_day);
		selection_fini(&selection);
	}
}

/* A source in files without months in their names: every row is in exactly one month. */
Test(selection, the_months_of_an_input_share_all_its_rows_once)
{
	const char *times = "2019-10-01 00:00:00;-;2019-11-05 00:00:00;-;-;2019-10-09 00:00:00;"
			    "2019-12-31 23:59:59.999999;-";
	char all[64] = "";

	for (int month = 10; month <= 12; month++) {
		char text[24];
		static struct selection selection;
		struct selection_config config;

		snprintf(text, sizeof(text), "2019-%d", month);
		config = config_of(text, "", "");
		selection_init(&selection, &config);
		strcat(all, select_rows(&selection, "f.csv", times));
		strcat(all, " ");
		selection_fini(&selection);
	}
	cr_assert_str_eq(all, "015 234 67 ");
}

/* ---- shifts */

static const struct {
	const char *label;
	enum shift_kind kind;
	int64_t passes;
	const char *times, *now, *first; /* of the first row after the shift */
} shifts[] = {
	{"whole days, so that the newest row lies before now", SHIFT_NEWEST, 1,
         "2019-10-01 10:00:00;2019-10-02 08:00:00", "2026-01-10 09:00:00",
         "2026-01-09 10:00:00 UTC"},
	{"the newest row would lie after now: one day less", SHIFT_NEWEST, 1,
         "2019-10-01 10:00:00;2019-10-02 08:00:00", "2026-01-10 07:59:59",
         "2026-01-08 10:00:00 UTC"},
	{"the fraction stays", SHIFT_NEWEST, 1, "2019-10-01 10:00:00.120", "2026-01-10 23:00:00",
         "2026-01-10 10:00:00.12 UTC"},
	{"a time with an offset comes in standard form", SHIFT_NEWEST, 1,
         "2019-10-01T10:00:00+00:00", "2026-01-10 23:00:00", "2026-01-10 10:00:00 UTC"},
	{"the first row is due now", SHIFT_FIRST, 1, "2019-10-01 10:00:00;2019-10-02 08:00:00",
         "2026-01-10 07:59:59.7", "2026-01-10 07:59:59 UTC"},
	{"a wrong clock does not count", SHIFT_NEWEST, 1,
         "2019-10-01 10:00:00;2031-01-01 00:00:00;2019-10-01 11:00:00", "2026-01-10 12:00:00",
         "2026-01-10 10:00:00 UTC"},
	{"a last row that nothing confirms counts", SHIFT_NEWEST, 1,
         "2019-10-01 10:00:00;2019-10-03 11:00:00", "2026-01-10 12:00:00",
         "2026-01-08 10:00:00 UTC"},
	{"sparse rows count", SHIFT_NEWEST, 1,
         "2019-10-01 10:00:00;2019-10-05 10:00:00;2019-10-09 10:00:00", "2026-01-10 12:00:00",
         "2026-01-02 10:00:00 UTC"},
	{"the last of two passes lies before now", SHIFT_NEWEST, 2,
         "2019-10-01 10:00:00;2019-10-02 08:00:00", "2026-01-10 09:00:00",
         "2026-01-07 10:00:00 UTC"},
	{"an input of the future moves back", SHIFT_NEWEST, 1, "2030-10-01 10:00:00",
         "2026-01-10 12:00:00", "2026-01-10 10:00:00 UTC"},
};

Test(selection, history_is_shifted_to_now)
{
	for (size_t i = 0; i < sizeof(shifts) / sizeof(shifts[0]); i++) {
		struct selection_config config = selection_all();
		static struct selection selection;
		char first[64];
		struct row row = {.source_file = "f", .raw = SPAN("x")};

		config.shift = shifts[i].kind;
		config.passes = shifts[i].passes;
		selection_init(&selection, &config);
		cr_assert(selection_needs_scan(&selection));
		selection_restart(&selection, true);
		select_rows(&selection, "f", shifts[i].times);
		cr_assert_not(selection_next_pass(&selection, SELECTION_FOREVER), "scanning");
		cr_assert(selection_set_shift(&selection, at(shifts[i].now), NULL));
		selection_restart(&selection, false);
		snprintf(first, sizeof(first), "%.*s", (int)strcspn(shifts[i].times, ";"),
		         shifts[i].times);
		row.fields[0] = span_of(first);
		row.event_time_us = at(first);
		cr_assert(selection_take(&selection, &row));
		cr_assert(span_is(row.fields[0], shifts[i].first), "%s: %.*s", shifts[i].label,
		          (int)row.fields[0].len, row.fields[0].at);
		cr_assert_eq(row.event_time_us, at(shifts[i].first));
		selection_fini(&selection);
	}
}

/* 31 days: 9,525 days from 2000 to now have room for 307 passes. */
Test(selection, more_passes_than_fit_between_2000_and_now_are_refused)
{
	static const int64_t passes[] = {307, 308, 1000000};

	for (size_t i = 0; i < 3; i++) {
		struct selection_config config = selection_all();
		static struct selection selection;
		struct err err;

		config.shift = SHIFT_NEWEST;
		config.passes = passes[i];
		selection_init(&selection, &config);
		selection_restart(&selection, true);
		for (int64_t day = 0; day < 31; day++) {
			struct row row = {.source_file = "f", .raw = SPAN("x")};

			row.event_time_us = at("2019-10-01 00:00:00") + day * US_PER_DAY;
			cr_assert(selection_take(&selection, &row));
		}
		cr_assert_eq(selection_set_shift(&selection, at("2026-01-29 12:00:00"), &err),
		             passes[i] == 307);
		cr_assert(passes[i] == 307 || strstr(err.message, "at most 307"), "%s",
		          err.message);
		selection_fini(&selection);
	}
}

Test(selection, rows_without_a_time_are_not_shifted)
{
	struct selection_config config = selection_all();
	static struct selection selection;
	struct row row = {.fields = {SPAN("soon")}, .event_time_us = ROW_TIME_NONE};

	selection_init(&selection, &config);
	selection.shift_us = US_PER_DAY;
	cr_assert(selection_take(&selection, &row));
	cr_assert(span_is(row.fields[0], "soon"));
	selection_fini(&selection);
}

/* ---- passes of a source */

static struct source *generated(struct selection *selection, int64_t limit)
{
	struct generator_config made = {.events = 5,
	                                .seed = 1,
	                                .start_us = at("2019-10-01 23:00:00")};
	struct source *source = source_synthetic_new(&made, limit, NULL);

	cr_assert_not_null(source);
	cr_assert(source_select(source, selection, NULL));
	return source;
}

Test(selection, each_pass_is_later_by_the_days_of_the_input)
{
	struct selection_config config = selection_all();
	static struct selection selection;
	int64_t times[15];
	struct source *source;
	struct row row;
	int count = 0;

	config.passes = 3;
	selection_init(&selection, &config);
	source = generated(&selection, 0);
	while (source_next(source, &row, NULL) == SOURCE_ROW) {
		cr_assert_lt(count, 15);
		times[count++] = row.event_time_us;
		cr_assert(time_parse(row.fields[0], &row.event_time_us));
		cr_assert_eq(row.event_time_us, times[count - 1]);
		cr_assert_eq(memcmp(row.raw.at, row.fields[0].at, 19), 0,
		             "the line is shifted too");
	}
	cr_assert_eq(count, 15);
	for (int i = 5; i < 15; i++) {
		int64_t moved_us = times[i] - times[i - 5];

		cr_assert_eq(moved_us % US_PER_DAY, 0);
		cr_assert_gt(moved_us, 0);
		cr_assert_gt(times[i], times[i - 1] - US_PER_HOUR);
	}
	source_free(source);
	selection_fini(&selection);
}

Test(selection, a_pass_that_would_lie_in_the_future_is_not_begun)
{
	struct selection_config config = selection_all();
	static struct selection selection;

	config.passes = SELECTION_FOREVER;
	selection_init(&selection, &config);
	select_rows(&selection, "f", "2019-10-01 10:00:00;2019-10-01 11:00:00");
	cr_assert(selection_next_pass(&selection, at("2019-10-03 12:00:00")));
	cr_assert(selection_next_pass(&selection, at("2019-10-03 12:00:00")));
	cr_assert_not(selection_next_pass(&selection, at("2019-10-03 12:00:00")));
	selection_fini(&selection);
}

Test(selection, an_input_without_times_is_not_repeated)
{
	struct selection_config config = selection_all();
	static struct selection selection;

	config.passes = SELECTION_FOREVER;
	selection_init(&selection, &config);
	select_rows(&selection, "f", "-;-");
	cr_assert_not(selection_next_pass(&selection, INT64_MAX));
	selection_fini(&selection);
}

/* A run that continues reads the earlier rows again, and gets the rest. */
Test(selection, a_source_with_a_selection_continues_after_any_row)
{
	struct selection_config config = selection_all();
	static struct selection selection;

	config.passes = 2;
	config.rows_per_day = 2;
	for (int64_t sent = 0; sent <= 4; sent++) {
		struct row_position position = {0, 1, 0};
		struct source *source;
		struct row row;
		int64_t skip, rows = 0;

		selection_init(&selection, &config);
		source = generated(&selection, 0);
		cr_assert(source_resume(source, &position, sent, &skip, NULL));
		cr_assert_eq(skip, sent);
		while (source_next(source, &row, NULL) == SOURCE_ROW)
			rows++;
		cr_assert_eq(rows, 4);
		source_free(source);
		selection_fini(&selection);
	}
}

static void write_rows(const char *folder, const char *name, int first_day, int step);

/* Two files, merged and sorted: the second pass has the same rows in the same order. */
Test(selection, a_sorted_input_is_read_again_in_the_same_order)
{
	char folder[] = "/tmp/selection_XXXXXX", command[64], days[64] = "";
	struct selection_config config = selection_all();
	static struct selection selection;
	struct source *source;
	struct row row;

	cr_assert_not_null(mkdtemp(folder));
	write_rows(folder, "a.csv", 3, -2);
	write_rows(folder, "b.csv", 2, 2);
	config.passes = 2;
	selection_init(&selection, &config);
	source = source_files_open(folder, NULL, 0, NULL);
	cr_assert(source_select(source, &selection, NULL));
	cr_assert(source_sort(source, folder, 1 << 20, NULL));
	while (source_next(source, &row, NULL) == SOURCE_ROW)
		snprintf(days + strlen(days), sizeof(days) - strlen(days), "%.2s ",
		         row.fields[0].at + 8);
	cr_assert_str_eq(days, "01 02 03 04 05 06 07 08 ");
	source_free(source);
	selection_fini(&selection);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	cr_assert_eq(system(command), 0);
}

/* ---- segments and files */

Test(selection, another_selection_is_another_segment)
{
	struct selection_config configs[9];
	char names[9][SEGMENT_NAME_MAX];
	static struct selection selection;

	for (int i = 0; i < 9; i++)
		configs[i] = selection_all();
	cr_assert(months_parse("2019-10", &configs[1].months, NULL));
	cr_assert(months_parse("2019-10,2019-11", &configs[2].months, NULL));
	configs[3].from_us = 5;
	configs[4].to_us = 5;
	configs[5].rows_per_day = 5;
	configs[6].passes = 5;
	configs[7].shift = SHIFT_NEWEST;
	for (int i = 0; i < 9; i++) {
		struct source *source;

		selection_init(&selection, &configs[i]);
		source = generated(&selection, i == 8 ? 3 : 0);
		snprintf(names[i], sizeof(names[i]), "%s", source_segment(source));
		for (int k = 0; k < i; k++)
			cr_assert_str_neq(names[i], names[k], "%d and %d", i, k);
		source_free(source);
		selection_fini(&selection);
	}
	cr_assert_eq(strncmp(names[1], "synthetic-2019-10-", 18), 0, "%s", names[1]);
	cr_assert_eq(strncmp(names[2], "synthetic-2019-10..2019-11-", 27), 0, "%s", names[2]);
}

static FILE *new_file(const char *folder, const char *name)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	cr_assert_not_null(file);
	fputs("event_time,event_type,product_id,category_id,category_code,brand,price,user_id,"
	      "user_session\n",
	      file);
	return file;
}

static void write_file(const char *folder, const char *name, const char *time)
{
	FILE *file = new_file(folder, name);

	fprintf(file, "%s UTC,view,1,2,a.b,x,1.00,7,s\n", time);
	fclose(file);
}

/* Two rows. */
static void write_rows(const char *folder, const char *name, int first_day, int step)
{
	FILE *file = new_file(folder, name);

	for (int day = first_day, rows = 0; rows < 2; day += step, rows++)
		fprintf(file, "2019-10-%02d 10:00:00 UTC,view,1,2,a.b,x,1.00,7,s\n", day);
	fclose(file);
}

static int rows_of_month(const char *folder, const char *month, char *segment, struct err *err)
{
	struct selection_config config = config_of(month, "", "");
	static struct selection selection;
	struct source *source = source_files_open(folder, NULL, 0, err);
	struct row row;
	int rows = -1;

	cr_assert_not_null(source);
	selection_init(&selection, &config);
	if (source_select(source, &selection, err)) {
		snprintf(segment, SEGMENT_NAME_MAX, "%s", source_segment(source));
		for (rows = 0; source_next(source, &row, err) == SOURCE_ROW;)
			rows++;
	}
	source_free(source);
	selection_fini(&selection);
	return rows;
}

Test(selection, a_month_reads_its_files_and_the_rows_of_files_without_a_month)
{
	char folder[] = "/tmp/selection_XXXXXX", command[64], before[SEGMENT_NAME_MAX],
	     after[SEGMENT_NAME_MAX];
	struct err err = {.class = ERR_NONE};

	cr_assert_not_null(mkdtemp(folder));
	write_file(folder, "2019-Oct.csv", "2019-10-01 00:00:00");
	write_file(folder, "2019-Nov.csv", "2019-11-01 00:00:00");
	cr_assert_eq(rows_of_month(folder, "2019-10", before, &err), 1);
	cr_assert_eq(rows_of_month(folder, "2020-01", after, &err), -1);
	cr_assert_eq(err.class, ERR_INPUT);
	write_file(folder, "2019-Dec.csv", "2019-12-01 00:00:00");
	cr_assert_eq(rows_of_month(folder, "2019-10", after, &err), 1);
	cr_assert_str_eq(before, after, "a further month does not change the segment of this one");
	write_file(folder, "more.csv", "2019-10-05 00:00:00");
	cr_assert_eq(rows_of_month(folder, "2019-10", after, &err), 2);
	cr_assert_eq(rows_of_month(folder, "2019-10..2019-12", after, &err), 4);
	cr_assert_eq(rows_of_month(folder, "2020-01", after, &err), 0);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	cr_assert_eq(system(command), 0);
}

/* ---- settings */

static struct producer_config settings(void)
{
	return (struct producer_config){.source = "file",
	                                .input = "f.csv",
	                                .output = "",
	                                .tee = "",
	                                .speed = "max",
	                                .start_time = "2019-10-01 00:00:00",
	                                .shape = "sample",
	                                .framing = "plain",
	                                .registry = {.urls = ""},
	                                .duplicates = "0",
	                                .malformed = "0",
	                                .late = "0",
	                                .missing_sessions = "0",
	                                .month = "",
	                                .from = "",
	                                .to = "",
	                                .loop = "1",
	                                .fail_above = "",
	                                .url = "",
	                                .sources = "",
	                                .only = ""};
}

static void refused(const struct producer_config *config, const char *word)
{
	struct err err = {.class = ERR_NONE};
	struct producer_plan plan;

	cr_assert_not(producer_plan_read(config, &plan, &err), "%s", word);
	cr_assert_eq(err.class, ERR_INPUT);
	cr_assert_not_null(strstr(err.message, word), "%s: %s", word, err.message);
}

Test(selection, settings_that_contradict_each_other_are_refused)
{
	struct producer_config config = settings();
	struct producer_plan plan;

	config.from = "2019-10-02";
	config.to = "2019-10-02 00:00:00";
	refused(&config, "not after FROM");
	config = settings();
	config.shift_to_now = true;
	config.loop = "forever";
	refused(&config, "LOOP=forever");
	config.speed = "1x";
	cr_assert(producer_plan_read(&config, &plan, NULL));
	cr_assert_eq(plan.selection.shift, SHIFT_FIRST);
	config.speed = "60x";
	config.loop = "2";
	cr_assert(producer_plan_read(&config, &plan, NULL));
	cr_assert_eq(plan.selection.shift, SHIFT_NEWEST);
	config = settings();
	config.every_us = 1;
	config.dry_run = true;
	refused(&config, "EVERY sends rows");
	config = settings();
	config.every_us = 1;
	config.source = "synthetic";
	config.input = "";
	refused(&config, "needs MONTH");
}

Test(selection, from_and_to_are_dates_or_times)
{
	struct producer_config config = settings();
	struct producer_plan plan;

	config.from = "2019-10-02";
	config.to = "2019-10-02 10:00:00";
	cr_assert(producer_plan_read(&config, &plan, NULL));
	cr_assert_eq(plan.selection.from_us, at("2019-10-02 00:00:00"));
	cr_assert_eq(plan.selection.to_us, at("2019-10-02 10:00:00"));
}
