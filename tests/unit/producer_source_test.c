/* The rows of files: line ends, quotes, truncation, gzip, column order, folders, positions. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#include "base/csv.h"
#include "base/err.h"
#include "base/span.h"
#include "event/event_values.h"
#include "message.h"
#include "row.h"
#include "source.h"

#define COLUMNS                                                                           \
	"event_time,event_type,product_id,category_id,category_code,brand,price,user_id," \
	"user_session"
#define HEADER COLUMNS "\n"
#define ROW(n) "2019-10-01 00:00:0" #n " UTC,view," #n ",2,a.b,x,1.00,7,s" #n

static char folder[64];

static void make_folder(void)
{
	snprintf(folder, sizeof(folder), "/tmp/producer_source_XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", folder);
	cr_assert_eq(system(command), 0);
}

TestSuite(producer_source, .init = make_folder, .fini = remove_folder);

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void write_bytes(const char *name, const char *bytes, size_t len)
{
	FILE *file = fopen(path_of(name), "w");

	cr_assert_not_null(file);
	cr_assert_eq(fwrite(bytes, 1, len, file), len);
	fclose(file);
}

static void write_text(const char *name, const char *text)
{
	write_bytes(name, text, strlen(text));
}

/* One gzip member. */
static size_t packed(const char *text, unsigned char *out, size_t cap)
{
	z_stream z = {0};
	unsigned char copy[4096];

	memcpy(copy, text, strlen(text));
	cr_assert_eq(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = copy;
	z.avail_in = (unsigned)strlen(text);
	z.next_out = out;
	z.avail_out = (unsigned)cap;
	cr_assert_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	cap -= z.avail_out;
	deflateEnd(&z);
	return cap;
}

/* All rows of a source as "file:row:product:session;" or "file:row:!error;", and how it ended: end
 * or failed. */
static void describe(struct source *source, char *out, size_t cap)
{
	struct err err = {.class = ERR_NONE};
	enum source_result result;
	struct row row;
	size_t len = 0;

	out[0] = '\0';
	while ((result = source_next(source, &row, &err)) == SOURCE_ROW) {
		len += (size_t)snprintf(out + len, cap - len, "%s:%lld:", row.source_file,
		                        (long long)row.position.row);
		if (row.error[0])
			len += (size_t)snprintf(out + len, cap - len, "!%s;", row.error);
		else
			len += (size_t)snprintf(out + len, cap - len, "%.*s:%.*s;",
			                        (int)row.fields[2].len, row.fields[2].at,
			                        (int)row.fields[8].len, row.fields[8].at);
	}
	snprintf(out + len, cap - len, result == SOURCE_FAILED ? "failed" : "end");
}

static void describe_path(const char *path, int64_t limit, char *out, size_t cap)
{
	struct err err;
	struct source *source = source_files_open(path, NULL, limit, &err);

	cr_assert_not_null(source, "%s", err.message);
	describe(source, out, cap);
	source_free(source);
}

static const struct {
	const char *label, *text, *want;
} texts[] = {
	{"LF", HEADER ROW(1) "\n" ROW(2) "\n", "f:1:1:s1;f:2:2:s2;end"},
	{"CRLF and a byte order mark", "\xef\xbb\xbf" COLUMNS "\r\n" ROW(1) "\r\n" ROW(2) "\r\n",
         "f:1:1:s1;f:2:2:s2;end"},
	{"no line end after the last row", HEADER ROW(1), "f:1:1:s1;end"},
	{"a truncated last row", HEADER ROW(1) "\n2019-10-01 00:00:02 UTC,view,2,2,a.b",
         "f:1:1:s1;f:2:!expected 9 columns, found 5;end"},
	{"too many columns", HEADER ROW(1) ",x\n" ROW(2) "\n",
         "f:1:!expected 9 columns, found 10;f:2:2:s2;end"},
	{"quoted fields",
         HEADER "\"2019-10-01 00:00:01 UTC\",view,1,2,a.b,\"x,\"\"y\"\"\",1.00,7,\"s1\"\n",
         "f:1:1:s1;end"},
	{"a quoted line break",
         HEADER "2019-10-01 00:00:01 UTC,view,1,2,a.b,\"x\ny\",1.00,7,s1\n" ROW(2) "\n",
         "f:1:1:s1;f:2:2:s2;end"},
	{"a stray quote costs one row",
         HEADER "2019-10-01 00:00:01 UTC,view,1,2,a.b,\"x,1.00,7,s1\n" ROW(2) "\n" ROW(3) "\n",
         "f:1:!broken quotes;f:2:2:s2;f:3:3:s3;end"},
	{"two stray quotes cost two rows",
         HEADER "2019-10-01 00:00:01 UTC,view,1,2,a.b,\"x,1.00,7,s1\n" ROW(
		 2) "\n2019-10-01 00:00:03 UTC,view,3,2,a.b,x\",1.00,7,s1\n" ROW(4) "\n",
         "f:1:!broken quotes;f:2:2:s2;f:3:!broken quotes;f:4:4:s4;end"},
	{"empty lines are not rows", HEADER "\n" ROW(1) "\n\r\n" ROW(2) "\n\n",
         "f:1:1:s1;f:2:2:s2;end"},
	{"another order and a further column",
         "user_session,extra,user_id,price,brand,category_code,category_id,product_id,"
         "event_type,event_time\n"
         "s1,?,7,1.00,x,a.b,2,1,view,2019-10-01 00:00:01 UTC\n",
         "f:1:1:s1;end"},
};

Test(producer_source, rows_of_one_file)
{
	char got[512];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		write_text("f", texts[i].text);
		describe_path(path_of("f"), 0, got, sizeof(got));
		cr_assert_str_eq(got, texts[i].want, "%s: %s", texts[i].label, got);
	}
}

static const struct {
	const char *text, *want;
} refused[] = {
	{"event_time,product_id,category_id,category_code,brand,price\n",
         "columns event_type, user_id are missing"},
	{ROW(1) "\n" ROW(2) "\n", "no header line"},
};

Test(producer_source, a_file_without_a_usable_header_is_refused_by_name)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct err err = {.class = ERR_NONE};

		write_text("good.csv", HEADER ROW(1) "\n");
		write_text("bad.csv", refused[i].text);
		cr_assert_null(source_files_open(folder, NULL, 0, &err));
		cr_assert_eq(err.class, ERR_INPUT);
		cr_assert_not_null(strstr(err.message, refused[i].want), "%s", err.message);
		cr_assert_not_null(strstr(err.message, "bad.csv"), "%s", err.message);
	}
}

Test(producer_source, an_input_without_a_row_is_refused_by_name)
{
	struct err err = {.class = ERR_NONE};

	write_text("empty.csv", HEADER "\n");
	cr_assert_null(source_files_open(path_of("empty.csv"), NULL, 0, &err));
	cr_assert_eq(err.class, ERR_INPUT);
	cr_assert_not_null(strstr(err.message, "empty.csv"), "%s", err.message);
	cr_assert_not_null(strstr(err.message, "no row"), "%s", err.message);
	cr_assert_null(source_files_open(folder, NULL, 0, &err));
	write_text("full.csv", HEADER ROW(1) "\n");
	{
		char got[512];

		describe_path(folder, 0, got, sizeof(got));
		cr_assert_str_eq(got, "full.csv:1:1:s1;end");
	}
}

Test(producer_source, empty_files_next_to_good_ones_are_counted_and_give_no_rows)
{
	struct err err = {.class = ERR_NONE};
	struct source *source;
	char got[512], pattern[300];

	write_text("part-0.csv", "");
	write_text("_SUCCESS", "");
	write_text("blank.csv", "\n\r\n");
	snprintf(pattern, sizeof(pattern), "%s/*", folder);
	cr_assert_null(source_files_open(pattern, NULL, 0, &err));
	cr_assert_eq(err.class, ERR_INPUT);
	cr_assert_not_null(strstr(err.message, "no row"), "%s", err.message);
	write_text("part-1.csv", HEADER ROW(1) "\n");
	write_text("part-2.csv", HEADER);
	describe_path(pattern, 0, got, sizeof(got));
	cr_assert_str_eq(got, "part-1.csv:1:1:s1;end");
	source = source_files_open(pattern, NULL, 0, &err);
	cr_assert_not_null(source, "%s", err.message);
	cr_assert_eq(source_empty_files(source), 4);
	source_free(source);
}

static const struct {
	const char *input; /* in the folder */
	const char *text;  /* of part-0.csv */
} empty_inputs[] = {
	{"part-0.csv", ""}, {"part-0.csv", "\n\r\n"}, {"part-0.csv", "\xef\xbb\xbf"}, {"", ""},
	{"*", ""},
};

Test(producer_source, an_input_of_empty_files_only_is_refused_by_name)
{
	char path[300];

	write_text("part-1.csv", "");
	for (size_t i = 0; i < sizeof(empty_inputs) / sizeof(empty_inputs[0]); i++) {
		struct err err = {.class = ERR_NONE};

		write_text("part-0.csv", empty_inputs[i].text);
		snprintf(path, sizeof(path), "%s/%s", folder, empty_inputs[i].input);
		cr_assert_null(source_files_open(path, NULL, 0, &err), "%s", path);
		cr_assert_eq(err.class, ERR_INPUT, "%s", err.message);
		cr_assert_not_null(strstr(err.message, "no row to send"), "%s", err.message);
		cr_assert_not_null(strstr(err.message, "part-0.csv"), "%s", err.message);
	}
}

Test(producer_source, an_empty_standard_input_is_refused_when_it_is_read)
{
	int saved = dup(STDIN_FILENO), null = open("/dev/null", O_RDONLY);
	struct err err = {.class = ERR_NONE};
	struct source *source;
	struct row row;

	dup2(null, STDIN_FILENO);
	source = source_files_open("-", NULL, 0, &err);
	cr_assert_not_null(source, "%s", err.message);
	cr_assert_eq(source_next(source, &row, &err), SOURCE_FAILED);
	cr_assert_eq(err.class, ERR_INPUT);
	cr_assert_not_null(strstr(err.message, "stdin: the input has no row to send"), "%s",
	                   err.message);
	source_free(source);
	dup2(saved, STDIN_FILENO);
	close(saved);
	close(null);
}

Test(producer_source, an_input_that_becomes_unreadable_is_bad_input)
{
	struct err err = {.class = ERR_NONE};
	struct source *source;
	struct row row;

	write_text("f", HEADER ROW(1) "\n");
	source = source_files_open(path_of("f"), NULL, 0, &err);
	cr_assert_not_null(source, "%s", err.message);
	cr_assert_eq(unlink(path_of("f")), 0);
	cr_assert_eq(source_next(source, &row, &err), SOURCE_FAILED);
	cr_assert_eq(err.class, ERR_INPUT);
	cr_assert_not_null(strstr(err.message, "/f: cannot be opened"), "%s", err.message);
	source_free(source);
}

Test(producer_source, a_folder_is_read_in_the_order_of_first_events)
{
	unsigned char bytes[4096];
	char got[512];

	write_text("b.csv", HEADER ROW(3) "\n");
	write_bytes("a.csv.gz", (char *)bytes, packed(HEADER ROW(5) "\n", bytes, sizeof(bytes)));
	write_text("c.csv", HEADER "not a time,view,0,2,a.b,x,1.00,7,s0\n" ROW(1) "\n");
	write_text("d.csv", HEADER);
	write_text("notes.txt", "nothing");
	write_text("dataset-metadata.json", "{\"title\": \"events\"}");
	describe_path(folder, 0, got, sizeof(got));
	cr_assert_str_eq(got, "c.csv:1:0:s0;c.csv:2:1:s1;b.csv:1:3:s3;a.csv.gz:1:5:s5;end");
}

Test(producer_source, gzip_members_one_after_the_other_are_one_stream)
{
	unsigned char bytes[4096];
	size_t len = packed(HEADER ROW(1) "\n2019-10-01 00:00:0", bytes, sizeof(bytes));
	char got[512];

	len += packed("2 UTC,view,2,2,a.b,x,1.00,7,s2\n", bytes + len, sizeof(bytes) - len);
	write_bytes("f", (char *)bytes, len);
	describe_path(path_of("f"), 0, got, sizeof(got));
	cr_assert_str_eq(got, "f:1:1:s1;f:2:2:s2;end");
}

Test(producer_source, a_truncated_gzip_gives_what_is_there_and_then_fails_wherever_it_is_cut)
{
	char text[4096] = HEADER, got[2048];
	unsigned char bytes[4096];
	size_t len, rows = 0;

	for (int i = 0; i < 20; i++) {
		size_t at = strlen(text);

		snprintf(text + at, sizeof(text) - at,
		         "2019-10-01 00:00:%02d UTC,view,%d,2,a.b,x,1.00,%d,s%08x\n", i,
		         i * 7919 % 1000, i, (unsigned)i * 2654435769u);
	}
	len = packed(text, bytes, sizeof(bytes));
	for (size_t cut = 150; cut < len; cut += 13) {
		size_t here = 0;

		write_bytes("f", (char *)bytes, cut);
		describe_path(path_of("f"), 0, got, sizeof(got));
		cr_assert_str_eq(got + strlen(got) - 6, "failed", "cut at %zu of %zu: %s", cut, len,
		                 got);
		for (const char *p = got; (p = strstr(p, "f:")); p++)
			here++;
		cr_assert_geq(here, rows);
		rows = here;
	}
	cr_assert_geq(rows, 18);
}

Test(producer_source, the_limit_ends_the_input)
{
	char got[512];

	write_text("f", HEADER ROW(1) "\n" ROW(2) "\n");
	describe_path(path_of("f"), 1, got, sizeof(got));
	cr_assert_str_eq(got, "f:1:1:s1;end");
	describe_path(path_of("f"), 2, got, sizeof(got));
	cr_assert_str_eq(got, "f:1:1:s1;f:2:2:s2;end");
}

Test(producer_source, the_same_input_gives_the_same_segment_and_a_changed_one_another)
{
	struct source *a, *b, *c;

	write_text("f", HEADER ROW(1) "\n");
	a = source_files_open(path_of("f"), NULL, 0, NULL);
	b = source_files_open(path_of("f"), NULL, 0, NULL);
	cr_assert_str_eq(source_segment(a), source_segment(b));
	cr_assert_eq(strncmp(source_segment(a), "f-", 2), 0);
	write_text("f", HEADER ROW(1) "\n" ROW(2) "\n");
	c = source_files_open(path_of("f"), NULL, 0, NULL);
	cr_assert_str_neq(source_segment(a), source_segment(c));
	source_free(a);
	source_free(b);
	source_free(c);
}

/* The rows of a resumed source, after the rows that it asks to skip. */
static void describe_resumed(const char *path, const struct row_position *position, int64_t rows,
                             char *out, size_t cap)
{
	struct source *source = source_files_open(path, NULL, 0, NULL);
	struct err err;
	struct row row;
	int64_t skip;

	cr_assert(source_resume(source, position, rows, &skip, &err), "%s", err.message);
	while (skip-- > 0)
		cr_assert_eq(source_next(source, &row, &err), SOURCE_ROW);
	describe(source, out, cap);
	source_free(source);
}

/* Reading from the position after each row gives exactly the rest. */
static void check_resume_everywhere(const char *path)
{
	char whole[2048], rest[2048];
	struct source *source = source_files_open(path, NULL, 0, NULL);
	const char *expected = whole;
	struct row row;
	int64_t rows = 0;

	describe_path(path, 0, whole, sizeof(whole));
	while (source_next(source, &row, NULL) == SOURCE_ROW) {
		struct row_position position = row.position;

		expected = strchr(expected, ';') + 1;
		describe_resumed(path, &position, ++rows, rest, sizeof(rest));
		cr_assert_str_eq(rest, expected, "after row %lld", (long long)rows);
	}
	cr_assert_geq(rows, 5);
	source_free(source);
}

Test(producer_source, reading_goes_on_after_any_row)
{
	unsigned char bytes[4096];

	write_text(
		"a.csv",
		HEADER ROW(1) "\n\n2019-10-01 00:00:01 UTC,view,1,2,a.b,\"x\ny\",1.00,7,s1\n" ROW(
			3) "\r\nshort\n");
	write_bytes("b.csv.gz", (char *)bytes,
	            packed(HEADER ROW(4) "\n" ROW(5) "\n" ROW(6), bytes, sizeof(bytes)));
	write_text("c.csv", HEADER ROW(7) "\n" ROW(8));
	check_resume_everywhere(folder);
}

Test(producer_source, a_line_that_is_too_long_is_one_bad_row_also_when_resumed)
{
	size_t len = strlen(HEADER), long_len = 2 * CSV_LINE_MAX + 17;
	char *text = malloc(len + long_len + 256), got[512];
	struct source *source;
	struct row row;

	memcpy(text, HEADER, len);
	memset(text + len, 'x', long_len);
	snprintf(text + len + long_len, 256, "\n" ROW(2) "\n");
	write_text("f", text);
	free(text);
	describe_path(path_of("f"), 0, got, sizeof(got));
	cr_assert_str_eq(got, "f:1:!line longer than 262144 bytes, cut;f:2:2:s2;end");
	source = source_files_open(path_of("f"), NULL, 0, NULL);
	cr_assert_eq(source_next(source, &row, NULL), SOURCE_ROW);
	describe_resumed(path_of("f"), &row.position, 1, got, sizeof(got));
	cr_assert_str_eq(got, "f:2:2:s2;end");
	source_free(source);
}

static struct message *message_of(const char *line, int32_t partitions)
{
	struct null_words words;
	struct message_form form = {.partition_count = partitions, .null_words = &words};
	struct message *message = calloc(1, sizeof(*message));
	struct span fields[ROW_COLUMNS_MAX];
	struct csv_record record;
	char copy[512];
	struct row row = {.source_file = "f", .position = {0, 11, 0}};
	size_t used;

	cr_assert(null_words_read(NULL_WORDS_DEFAULT, &words, NULL));
	memcpy(copy, line, strlen(line));
	row_split(&row, &row_columns_standard,
	          csv_next(copy, strlen(line), true, fields, ROW_COLUMNS_MAX, &record, &used),
	          &record, fields);
	message_make(message, &row, &form);
	return message;
}

Test(producer_source, keys_are_sessions_or_users_and_a_broken_row_has_none)
{
	static const struct {
		const char *line, *key;
	} cases[] = {
		{ROW(1), "s1"},
		{"2019-10-01 00:00:01 UTC,view,1,2,a.b,x,1.00,7,", "user:7"},
		{"2019-10-01 00:00:01 UTC,view,1,2,a.b,x,1.00,007,", "user:7"},
		{"2019-10-01 00:00:01 UTC,view,1,2,a.b,x,1.00,0x7,", "user:0x7"},
		{"2019-10-01 00:00:01 UTC,view,1,2,a.b,x,1.00,512742880.0,", "user:512742880"},
		{"2019-10-01 00:00:01 UTC,view,1,2,a.b,x,1.00,7,nan", "user:7"},
		{"2019-10-01 00:00:01 UTC,view,1,2,a.b,x,1.00,7.0,\\N", "user:7"},
		{"2019-10-01 00:00:01 UTC,view,1,2,a.b,x,1.00,7,nancy", "nancy"},
		{"2019-10-01 00:00:01 UTC,view,1,2,a.b,x,1.00,,", "user:"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct message *message = message_of(cases[i].line, 4);

		cr_assert(span_is(message->key, cases[i].key), "%s", cases[i].line);
		cr_assert_eq(message->value.at[0], '{');
		free(message);
	}
	{
		struct message *message = message_of("a,b,c", 4);

		cr_assert_null(message->key.at);
		cr_assert_eq(message->partition, 11 % 4);
		cr_assert(span_is(message->value, "a,b,c"));
		cr_assert_str_eq(message->error, "expected 9 columns, found 3");
		free(message);
	}
}
