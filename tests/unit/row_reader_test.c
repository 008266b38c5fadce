/* What a file of an input may be: containers, JSON, encodings, columns, pipes. Containers are made
 * here by the libraries that read them. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/err.h"
#include "base/span.h"
#include "event/event_fields.h"
#include "event/event_json_write.h"
#include "mapping.h"
#include "message.h"
#include "packed_queue.h"
#include "row.h"
#include "row_reader.h"
#include "source.h"

#define COLUMNS                                                                           \
	"event_time,event_type,product_id,category_id,category_code,brand,price,user_id," \
	"user_session"
#define HEADER COLUMNS "\n"
#define ROW(n) "2019-10-01 00:00:0" #n " UTC,view," #n ",2,a.b,x,1.00,7,s" #n
#define JSON(n)                                                                         \
	"{\"event_time\": \"2019-10-01 00:00:0" #n " UTC\", \"event_type\": \"view\", " \
	"\"product_id\": " #n ", \"user_id\": 7, \"user_session\": \"s" #n "\"}"

static char folder[64];

static void make_folder(void)
{
	snprintf(folder, sizeof(folder), "/tmp/row_reader_XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", folder);
	cr_assert_eq(system(command), 0);
}

TestSuite(row_reader, .init = make_folder, .fini = remove_folder);

static const char *path_of(const char *name)
{
	static char path[256];

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

/* ---- containers */

struct part {
	const char *name, *text;
};

struct blob {
	const char *name, *bytes;
	size_t len;
};

typedef int archive_setup(struct archive *archive);

static size_t pack_blobs(archive_setup *filter, archive_setup *format, const struct blob *blobs,
                         size_t count, char *out, size_t cap)
{
	struct archive *archive = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	size_t used = 0;

	if (filter)
		cr_assert_eq(filter(archive), ARCHIVE_OK, "%s", archive_error_string(archive));
	cr_assert_eq(format(archive), ARCHIVE_OK);
	archive_write_set_bytes_in_last_block(archive, 1);
	cr_assert_eq(archive_write_open_memory(archive, out, cap, &used), ARCHIVE_OK);
	for (size_t i = 0; i < count; i++) {
		size_t len = blobs[i].len;
		bool is_folder = blobs[i].name[strlen(blobs[i].name) - 1] == '/';

		archive_entry_clear(entry);
		archive_entry_set_pathname(entry, blobs[i].name);
		archive_entry_set_size(entry, (la_int64_t)len);
		archive_entry_set_filetype(entry, is_folder ? AE_IFDIR : AE_IFREG);
		archive_entry_set_perm(entry, 0644);
		cr_assert_eq(archive_write_header(archive, entry), ARCHIVE_OK);
		cr_assert_eq(archive_write_data(archive, blobs[i].bytes, len), (la_ssize_t)len);
	}
	cr_assert_eq(archive_write_close(archive), ARCHIVE_OK);
	archive_write_free(archive);
	archive_entry_free(entry);
	return used;
}

#define PARTS_MAX 8
static size_t pack(archive_setup *filter, archive_setup *format, const struct part *parts,
                   size_t count, char *out, size_t cap)
{
	struct blob blobs[PARTS_MAX];

	cr_assert_leq(count, PARTS_MAX);
	for (size_t i = 0; i < count; i++)
		blobs[i] = (struct blob){parts[i].name, parts[i].text, strlen(parts[i].text)};
	return pack_blobs(filter, format, blobs, count, out, cap);
}

static size_t pack_text(archive_setup *filter, const char *text, char *out, size_t cap)
{
	const struct part part = {"x", text};

	return pack(filter, archive_write_set_format_raw, &part, 1, out, cap);
}

static const struct {
	const char *name;
	archive_setup *filter;
	bool checked; /* by a checksum, before bytes are given */
} filters[] = {
	{"gzip", archive_write_add_filter_gzip, true},
	{"zstd", archive_write_add_filter_zstd, false},
	{"xz", archive_write_add_filter_xz, true},
	{"bzip2", archive_write_add_filter_bzip2, false},
	{"lz4", archive_write_add_filter_lz4, true},
};

/* ---- what a reader gives */

/* All rows as "row:product:session;" or "row:!error;", and how it ended: end, cut or failed. */
static const char *describe(struct row_reader *reader)
{
	static char out[1 << 20];
	enum row_reader_result result;
	struct err err;
	struct row row;
	char *at = out;

	while ((result = row_reader_next(reader, &row, &err)) == ROW_READER_ROW) {
		at += sprintf(at, "%" PRId64 ":", row.position.row);
		if (row.error[0])
			at += sprintf(at, "!%s;", row.error);
		else
			at += sprintf(at, "%.*s:%.*s;", (int)row.fields[2].len, row.fields[2].at,
			              (int)row.fields[8].len, row.fields[8].at);
	}
	sprintf(at, "%s",
	        result == ROW_READER_END   ? "end"
	        : result == ROW_READER_CUT ? "cut"
	                                   : "failed");
	return out;
}

static const char *describe_file(const char *name, const struct row_format *format)
{
	struct err err = {.class = ERR_NONE};
	struct row_reader *reader = row_reader_new(path_of(name), format, &err);
	const char *got;

	cr_assert_not_null(reader, "%s", err.message);
	got = describe(reader);
	row_reader_free(reader);
	return got;
}

/* The same for a stream that may be damaged so early that nothing of it can be unpacked. */
static const char *describe_damaged(const char *name)
{
	struct err err = {.class = ERR_NONE};
	struct row_reader *reader = row_reader_new(path_of(name), NULL, &err);
	const char *got;

	if (!reader) {
		cr_assert_eq(err.class, ERR_OPERATOR, "%s", err.message);
		return "cut";
	}
	got = describe(reader);
	row_reader_free(reader);
	return got;
}

static const char *end_of(const char *description)
{
	const char *last = strrchr(description, ';');

	return last ? last + 1 : description;
}

/* The JSON values of all rows, with line ends. */
static const char *values_of(const char *name, const struct row_format *format)
{
	static char out[16384];
	struct err err = {.class = ERR_NONE};
	struct row_reader *reader = row_reader_new(path_of(name), format, &err);
	size_t used = 0;
	struct row row;

	cr_assert_not_null(reader, "%s", err.message);
	while (row_reader_next(reader, &row, &err) == ROW_READER_ROW) {
		cr_assert_str_empty(row.error);
		used += event_write_json_extras(row.fields, row.extras, row.extra_count, out + used,
		                                sizeof(out) - used);
		out[used++] = '\n';
	}
	out[used] = '\0';
	row_reader_free(reader);
	return out;
}

static void check_refused(const char *name, const struct row_format *format, const char *want)
{
	struct err err = {.class = ERR_NONE};

	cr_assert_null(row_reader_new(path_of(name), format, &err), "%s", name);
	cr_assert_eq(err.class, ERR_INPUT, "%s", err.message);
	cr_assert_not_null(strstr(err.message, want), "no \"%s\" in: %s", want, err.message);
	cr_assert_not_null(strstr(err.message, name), "%s", err.message);
}

Test(row_reader, compressed_files_are_read_whatever_their_name)
{
	char bytes[4096];

	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		write_bytes("f.csv", bytes,
		            pack_text(filters[i].filter, HEADER ROW(1) "\n" ROW(2) "\n", bytes,
		                      sizeof(bytes)));
		cr_assert_str_eq(describe_file("f.csv", NULL), "1:1:s1;2:2:s2;end", "%s",
		                 filters[i].name);
	}
}

Test(row_reader, streams_one_after_the_other_are_one_text_and_padding_is_skipped)
{
	char bytes[4096];

	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		size_t len = pack_text(filters[i].filter, HEADER ROW(1) "\n2019-10-01 00:", bytes,
		                       sizeof(bytes));

		len += pack_text(filters[i].filter, "00:02 UTC,view,2,2,a.b,x,1.00,7,s2\n",
		                 bytes + len, sizeof(bytes) - len);
		memset(bytes + len, 0, 8);
		write_bytes("f", bytes, len + (i == 0 ? 8 : 0));
		cr_assert_str_eq(describe_file("f", NULL), "1:1:s1;2:2:s2;end", "%s",
		                 filters[i].name);
	}
}

/* Rows that compress badly, more than one block of any library. */
static char *many_rows(size_t *rows)
{
	char *text = malloc(400000);
	size_t len = (size_t)sprintf(text, "%s", HEADER);
	uint64_t x = 1;

	for (*rows = 0; len < 400000 - 200; (*rows)++) {
		x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
		len += (size_t)sprintf(text + len,
		                       "2019-10-01 00:00:%02u UTC,view,%" PRIu64
		                       ",2,a.b,x,1.00,7,s%" PRIx64 "\n",
		                       (unsigned)(*rows % 60), *rows, x);
	}
	text[len] = '\0';
	return text;
}

Test(row_reader, a_stream_that_ends_early_or_is_damaged_never_ends_well)
{
	size_t rows, cap = 1 << 20;
	char *text = many_rows(&rows), *bytes = malloc(cap);

	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		size_t len = pack_text(filters[i].filter, text, bytes, cap);

		for (size_t cut = 8; cut <= len; cut += len / 7) {
			const char *got;
			size_t here = 0;

			write_bytes("f", bytes, len - cut < 200 ? 200 : len - cut);
			got = describe_damaged("f");
			cr_assert_str_eq(end_of(got), "cut", "%s without %zu bytes",
			                 filters[i].name, cut);
			for (const char *p = got; (p = strchr(p, ';')); p++)
				here++;
			cr_assert_leq(here, rows);
		}
		memcpy(bytes + len, "\x1f\x8b not a stream", 16);
		write_bytes("f", bytes, len + 16);
		cr_assert_str_eq(end_of(describe_damaged("f")), "cut",
		                 "%s with other bytes after it", filters[i].name);
		if (!filters[i].checked)
			continue;
		bytes[len / 2] ^= 0x10;
		write_bytes("f", bytes, len);
		cr_assert_str_eq(end_of(describe_damaged("f")), "cut", "%s with a changed bit",
		                 filters[i].name);
	}
	free(text);
	free(bytes);
}

Test(row_reader, a_damaged_second_stream_is_not_the_end)
{
	char bytes[4096];

	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		size_t first =
			pack_text(filters[i].filter, HEADER ROW(1) "\n", bytes, sizeof(bytes));

		(void)pack_text(filters[i].filter, ROW(2) "\n", bytes + first,
		                sizeof(bytes) - first);
		for (size_t kept = 1; kept < 12; kept++) {
			write_bytes("f", bytes, first + kept);
			cr_assert_str_eq(end_of(describe_damaged("f")), "cut",
			                 "%s and %zu bytes of the next stream", filters[i].name,
			                 kept);
		}
	}
}

static const struct part kaggle[] = {
	{"__MACOSX/._2019-Oct.csv", "not data"},
	{"2019-Oct.csv", HEADER ROW(1) "\n"},
	{".hidden.csv", "not data"},
	{"more/", ""},
	{"more/2019-Nov.csv", HEADER ROW(2) "\n" ROW(3) "\n"},
	{"LICENSE", "not data"},
};

/* All rows of a source as "file:product;" */
static const char *describe_input(const char *input)
{
	static char out[4096];
	struct err err = {.class = ERR_NONE};
	struct source *source = source_files_open(input, NULL, 0, &err);
	enum source_result result;
	char *at = out;
	struct row row;

	cr_assert_not_null(source, "%s", err.message);
	while ((result = source_next(source, &row, &err)) == SOURCE_ROW)
		at += sprintf(at, "%s:%.*s;", row.source_file, (int)row.fields[2].len,
		              row.fields[2].at);
	strcpy(at, result == SOURCE_END ? "end" : "failed");
	source_free(source);
	return out;
}

/* want: the rows, or a part of the error. */
static void check_input(const char *input, const char *want, const char *label)
{
	struct err err = {.class = ERR_NONE};
	struct source *source = source_files_open(input, NULL, 0, &err);

	if (source) {
		source_free(source);
		cr_assert_str_eq(describe_input(input), want, "%s", label);
		return;
	}
	cr_assert_eq(err.class, ERR_INPUT, "%s: %s", label, err.message);
	cr_assert_not_null(strstr(err.message, want), "%s: %s", label, err.message);
}

static void check_stream(const char *name, const char *want, const char *label)
{
	struct err err = {.class = ERR_NONE};
	struct row_reader *reader = row_reader_new(path_of(name), NULL, &err);

	if (!reader) {
		cr_assert_eq(err.class, ERR_INPUT, "%s: %s", label, err.message);
		cr_assert_not_null(strstr(err.message, want), "%s: %s", label, err.message);
		return;
	}
	cr_assert_str_eq(describe(reader), want, "%s", label);
	row_reader_free(reader);
}

Test(row_reader, each_data_file_of_an_archive_is_a_file)
{
	archive_setup *formats[] = {archive_write_set_format_zip, archive_write_set_format_ustar,
	                            archive_write_set_format_ustar};
	archive_setup *packings[] = {NULL, NULL, archive_write_add_filter_gzip};
	char bytes[65536], input[256];

	for (size_t i = 0; i < 3; i++) {
		write_bytes("a.csv", bytes,
		            pack(packings[i], formats[i], kaggle, 6, bytes, sizeof(bytes)));
		snprintf(input, sizeof(input), "%s", path_of("a.csv"));
		cr_assert_str_eq(describe_input(input),
		                 "a.csv/2019-Oct.csv:1;a.csv/more/2019-Nov.csv:2;"
		                 "a.csv/more/2019-Nov.csv:3;end");
		snprintf(input, sizeof(input), "%s", path_of("a.csv/more/2019-Nov.csv"));
		cr_assert_str_eq(describe_input(input),
		                 "a.csv/more/2019-Nov.csv:2;a.csv/more/2019-Nov.csv:3;end");
	}
}

/* Sets the flag "this name is UTF-8" in all headers of a zip. */
static void say_utf8(char *zip, size_t len)
{
	for (size_t i = 0; i + 10 < len; i++) {
		if (memcmp(zip + i, "PK\x03\x04", 4) == 0)
			zip[i + 7] = (char)(zip[i + 7] | 8);
		if (memcmp(zip + i, "PK\x01\x02", 4) == 0)
			zip[i + 9] = (char)(zip[i + 9] | 8);
	}
}

Test(row_reader, a_file_of_an_archive_may_have_any_name)
{
	static const struct part parts[] = {{"m\xc3\xa4rz/\xe6\x97\xa5.csv", HEADER ROW(1) "\n"},
	                                    {"a.csv", HEADER ROW(2) "\n"},
	                                    {"\xe9.csv", HEADER ROW(3) "\n"}};
	char bytes[65536], input[256];
	size_t len = pack(NULL, archive_write_set_format_zip, parts, 2, bytes, sizeof(bytes));

	say_utf8(bytes, len);
	write_bytes("a.zip", bytes, len);
	snprintf(input, sizeof(input), "%s", path_of("a.zip"));
	cr_assert_str_eq(describe_input(input),
	                 "a.zip/m\xc3\xa4rz/\xe6\x97\xa5.csv:1;a.zip/a.csv:2;end");
	snprintf(input, sizeof(input), "%s", path_of("a.zip/m\xc3\xa4rz/\xe6\x97\xa5.csv"));
	cr_assert_str_eq(describe_input(input), "a.zip/m\xc3\xa4rz/\xe6\x97\xa5.csv:1;end");
	len = pack(NULL, archive_write_set_format_zip, parts, 3, bytes, sizeof(bytes));
	write_bytes("a.zip", bytes, len);
	snprintf(input, sizeof(input), "%s", path_of("a.zip/\xe9.csv"));
	cr_assert_str_eq(describe_input(input), "a.zip/\xe9.csv:3;end");
}

Test(row_reader, a_container_in_a_container_is_read_and_a_wrong_one_is_refused_by_name)
{
	char inner[4096], bytes[65536], input[256];
	struct archive *archive = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	size_t used, len = pack_text(archive_write_add_filter_gzip, HEADER ROW(1) "\n", inner,
	                             sizeof(inner));

	archive_write_set_format_zip(archive);
	archive_write_open_memory(archive, bytes, sizeof(bytes), &used);
	archive_entry_set_pathname(entry, "2019-Oct.csv.gz");
	archive_entry_set_size(entry, (la_int64_t)len);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_write_header(archive, entry);
	archive_write_data(archive, inner, len);
	archive_write_close(archive);
	archive_write_free(archive);
	archive_entry_free(entry);
	write_bytes("a.zip", bytes, used);
	snprintf(input, sizeof(input), "%s", path_of("a.zip"));
	cr_assert_str_eq(describe_input(input), "a.zip/2019-Oct.csv.gz:1;end");
	write_text("b.parquet", "PAR1 and more");
	check_refused("b.parquet", NULL, "Parquet");
	write_text("c.7z", "7z\xbc\xaf\x27\x1c and more");
	check_refused("c.7z", NULL, "7-Zip");
}

Test(row_reader, a_path_in_a_file_that_is_not_an_archive_is_refused)
{
	char bytes[4096];

	write_text("a.csv", HEADER ROW(1) "\n");
	check_refused("a.csv/a.csv", NULL, "not an archive");
	write_bytes("b.csv", bytes,
	            pack_text(archive_write_add_filter_gzip, HEADER ROW(1) "\n", bytes,
	                      sizeof(bytes)));
	check_refused("b.csv/b.csv", NULL, "not an archive");
}

Test(row_reader, the_first_bytes_of_a_compressed_stream_are_damaged_not_a_text)
{
	static const struct {
		const char *bytes;
		size_t len;
	} starts[] = {{"BZh91AY", 7},
	              {"\x04\x22\x4d\x18\x64\x40\xa7", 7},
	              {"\x28\xb5\x2f\xfd", 4},
	              {"\xfd"
	               "7zXZ\0",
	               6},
	              {"\x1f\x8b\x08", 3},
	              {"\x50\x2a\x4d\x18\x04\0\0\0", 8}};

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		write_bytes("f.csv", starts[i].bytes, starts[i].len);
		cr_assert_str_eq(describe_damaged("f.csv"), "cut", "%zu", i);
	}
}

/* Whether the input opens, and all its rows can be read. Else err. */
static bool reads_to_its_end(const char *input, struct err *err)
{
	struct source *source = source_files_open(input, NULL, 0, err);
	enum source_result result = SOURCE_ROW;
	struct row row;

	while (source && result == SOURCE_ROW)
		result = source_next(source, &row, err);
	source_free(source);
	return source && result == SOURCE_END;
}

static const struct {
	const char *label;
	struct part parts[4];
	size_t count;
	const char *want;   /* of a file: the rows, or a part of the error */
	const char *stream; /* the same of an archive that is given as a stream */
} partly_empty[] = {
	{"an empty data file first",
         {{"part-0.csv", ""}, {"part-1.csv", HEADER ROW(1) "\n"}},
         2,
         "a/part-1.csv:1;end",
         "1:1:s1;end"},
	{"empty files last",
         {{"part-0.csv", HEADER ROW(1) "\n"}, {"part-1.csv", ""}, {"_SUCCESS", ""}},
         3,
         "a/part-0.csv:1;end",
         "1:1:s1;end"},
	{"names without an ending",
         {{"_SUCCESS", ""}, {"part-0", ""}, {"part-1", HEADER ROW(1) "\n"}, {"part-2", ""}},
         4,
         "a/part-1:1;end",
         "1:1:s1;end"},
	{"two full files without an ending",
         {{"_SUCCESS", ""}, {"part-0", HEADER ROW(1) "\n"}, {"part-1", HEADER ROW(2) "\n"}},
         3,
         "the archive has 3 files, and none has the name of a data file",
         "1:1:s1;failed"},
	{"empty data files only",
         {{"part-0.csv", ""}, {"part-1.csv", ""}},
         2,
         "no row to send (2 files",
         "the archive has no file that has bytes"},
	{"one empty file only",
         {{"_SUCCESS", ""}},
         1,
         "no row to send (1 file,",
         "the archive has no file that has bytes"},
	{"empty files without an ending only",
         {{"_SUCCESS", ""}, {"part-0", ""}},
         2,
         "the archive has 2 files, and none has the name of a data file",
         "the archive has no file that has bytes"},
};

/* An archive that row_reader opens itself is read as one on a stream: it has to have one file. */
Test(row_reader, empty_files_of_an_archive_give_no_rows_and_do_not_hide_the_others)
{
	archive_setup *formats[] = {archive_write_set_format_zip, archive_write_set_format_ustar};
	char bytes[65536], input[256];

	snprintf(input, sizeof(input), "%s", path_of("a"));
	for (size_t i = 0; i < 2 * sizeof(partly_empty) / sizeof(partly_empty[0]); i++) {
		size_t at = i / 2;

		write_bytes("a", bytes,
		            pack(NULL, formats[i % 2], partly_empty[at].parts,
		                 partly_empty[at].count, bytes, sizeof(bytes)));
		check_input(input, partly_empty[at].want, partly_empty[at].label);
		check_stream("a", partly_empty[at].stream, partly_empty[at].label);
	}
}

static const struct part first_part[] = {{"a.csv", HEADER ROW(1) "\n"}, {"_SUCCESS", ""}},
			 second_part[] = {{"b.csv", HEADER ROW(2) "\n"}},
			 both_parts[] = {{"a.csv", HEADER ROW(1) "\n"},
                                         {"b.csv", HEADER ROW(2) "\n"}};

static const struct {
	const char *label;
	const struct part *inner[2];
	size_t inner_counts[2], count;
	const char *want; /* of a file: the rows, or a part of the error */
	bool stream; /* whether the same is accepted as a stream, where it may fail at its end */
} nested[] = {
	{"one archive, with one full file",
         {first_part, NULL},
         {2, 0},
         1,
         "o.zip/0.zip:1;end",
         true},
	{"one archive, with two files",
         {both_parts, NULL},
         {2, 0},
         1,
         "unpack the outer archive and give the folder as INPUT",
         false},
	{"two archives, with one full file each",
         {first_part, second_part},
         {2, 1},
         2,
         "o.zip/0.zip:1;o.zip/1.zip:2;end",
         false},
	{"two archives, the second with two files",
         {second_part, both_parts},
         {1, 2},
         2,
         "unpack the outer archive and give the folder as INPUT",
         false},
};

static void check_stream_end(const char *name, bool accepted, const char *label)
{
	struct err err = {.class = ERR_NONE};
	struct row_reader *reader = row_reader_new(path_of(name), NULL, &err);
	enum row_reader_result result = reader ? ROW_READER_ROW : ROW_READER_FAILED;
	struct row row;

	while (result == ROW_READER_ROW)
		result = row_reader_next(reader, &row, &err);
	row_reader_free(reader);
	cr_assert_eq(result, accepted ? ROW_READER_END : ROW_READER_FAILED, "%s: %s", label,
	             err.message);
	if (!accepted)
		cr_assert(err.class == ERR_INPUT && strstr(err.message, "several files"), "%s: %s",
		          label, err.message);
}

/* An archive that row_reader opens itself is read as one on a stream. */
Test(row_reader, an_archive_in_an_archive_loses_no_file)
{
	archive_setup *formats[] = {archive_write_set_format_zip, archive_write_set_format_ustar};
	static char inner[2][32768], bytes[131072];
	char input[256];

	snprintf(input, sizeof(input), "%s", path_of("o.zip"));
	for (size_t i = 0; i < 4 * sizeof(nested) / sizeof(nested[0]); i++) {
		size_t at = i / 4;
		struct blob blobs[2] = {{"0.zip", inner[0], 0}, {"1.zip", inner[1], 0}};

		for (size_t j = 0; j < nested[at].count; j++)
			blobs[j].len = pack(NULL, formats[i % 2], nested[at].inner[j],
			                    nested[at].inner_counts[j], inner[j], sizeof(inner[j]));
		write_bytes("o.zip", bytes,
		            pack_blobs(NULL, formats[i / 2 % 2], blobs, nested[at].count, bytes,
		                       sizeof(bytes)));
		check_input(input, nested[at].want, nested[at].label);
		check_stream_end("o.zip", nested[at].stream, nested[at].label);
	}
}

Test(row_reader, an_archive_three_levels_deep_with_two_files_is_refused)
{
	static char bytes[2][131072];
	struct blob blob = {"1.zip", bytes[0], 0};
	char input[256];

	blob.len =
		pack(NULL, archive_write_set_format_zip, both_parts, 2, bytes[0], sizeof(bytes[0]));
	blob.len = pack_blobs(NULL, archive_write_set_format_zip, &blob, 1, bytes[1],
	                      sizeof(bytes[1]));
	blob.bytes = bytes[1];
	write_bytes("o.zip", bytes[0],
	            pack_blobs(NULL, archive_write_set_format_zip, &blob, 1, bytes[0],
	                       sizeof(bytes[0])));
	snprintf(input, sizeof(input), "%s", path_of("o.zip"));
	check_input(input, "unpack the outer archive", "a file");
	snprintf(input, sizeof(input), "%s", path_of("o.zip/1.zip"));
	check_input(input, "unpack the outer archive", "a file in the archive");
}

Test(row_reader, a_tar_without_its_end_is_not_complete)
{
	static const struct part parts[] = {{"a.csv", HEADER ROW(1) "\n"},
	                                    {"b.csv", HEADER ROW(2) "\n"}};
	const size_t end = 4 * 512; /* two headers, two blocks of data */
	char bytes[65536], input[256];
	size_t len = pack(NULL, archive_write_set_format_ustar, parts, 2, bytes, sizeof(bytes));

	cr_assert_geq(len, end + 1024);
	snprintf(input, sizeof(input), "%s", path_of("a.tar"));
	for (size_t kept = 512; kept <= end + 1024; kept += 512) {
		struct err err = {.class = ERR_NONE};

		write_bytes("a.tar", bytes, kept);
		cr_assert_eq(reads_to_its_end(input, &err), kept > end, "%zu bytes: %s", kept,
		             err.message);
		if (kept <= end)
			cr_assert(err.class == ERR_OPERATOR && strstr(err.message, "a.tar"), "%s",
			          err.message);
	}
}

Test(row_reader, tars_one_after_the_other_are_one_archive)
{
	static const struct part first = {"a.csv", HEADER ROW(1) "\n"},
				 second = {"b.csv", HEADER ROW(2) "\n"};
	char bytes[65536], input[256];
	size_t len = pack(NULL, archive_write_set_format_ustar, &first, 1, bytes, sizeof(bytes));

	len += pack(NULL, archive_write_set_format_ustar, &second, 1, bytes + len,
	            sizeof(bytes) - len);
	write_bytes("a.tar", bytes, len);
	snprintf(input, sizeof(input), "%s", path_of("a.tar"));
	cr_assert_str_eq(describe_input(input), "a.tar/a.csv:1;a.tar/b.csv:2;end");
}

/* ---- CSV */

static const struct {
	const char *label, *text, *want;
} tables[] = {
	{"names in any case, with blanks and quotes",
         "Event_Time, \"EVENT_TYPE\" ,'Product_Id',user_id,user_session\n"
         "2019-10-01 00:00:01 UTC,view,1,7,s1\n",
         "{\"event_time\":\"2019-10-01 00:00:01 UTC\",\"event_type\":\"view\",\"product_id\":1,"
         "\"category_id\":null,\"category_code\":null,\"brand\":null,\"price\":null,\"user_id\":7,"
         "\"user_session\":\"s1\"}\n"},
	{"a blank after each delimiter",
         "event_time, event_type, product_id, user_id, note\n"
         "2019-10-01 00:00:01 UTC, view, 1, 7, x\n",
         "{\"event_time\":\"2019-10-01 00:00:01 UTC\",\"event_type\":\"view\",\"product_id\":1,"
         "\"category_id\":null,\"category_code\":null,\"brand\":null,\"price\":null,\"user_id\":7,"
         "\"user_session\":null,\"note\":\"x\"}\n"},
	{"tabs, further columns that are numbers, texts and empty",
         "event_time\tevent_type\tproduct_id\tuser_id\tn\tcode\tnothing\tn\n"
         "2019-10-01 00:00:01 UTC\tview\t1\t7\t1.50\t007\t\t-3\n",
         "{\"event_time\":\"2019-10-01 00:00:01 UTC\",\"event_type\":\"view\",\"product_id\":1,"
         "\"category_id\":null,\"category_code\":null,\"brand\":null,\"price\":null,\"user_id\":7,"
         "\"user_session\":null,\"n\":1.50,\"code\":\"007\",\"nothing\":null,\"n_2\":-3}\n"},
	{"semicolons, a decimal comma stays as it is",
         "event_time;event_type;product_id;user_id;price\n"
         "2019-10-01 00:00:01 UTC;view;1;7;\"1,50\"\n",
         "{\"event_time\":\"2019-10-01 00:00:01 UTC\",\"event_type\":\"view\",\"product_id\":1,"
         "\"category_id\":null,\"category_code\":null,\"brand\":null,\"price\":\"1,50\",\"user_id\":7,"
         "\"user_session\":null}\n"},
	{"pandas' index",
         ",event_time,event_type,product_id,user_id\n0,2019-10-01 00:00:01 UTC,view,1,7\n",
         "{\"event_time\":\"2019-10-01 00:00:01 UTC\",\"event_type\":\"view\",\"product_id\":1,"
         "\"category_id\":null,\"category_code\":null,\"brand\":null,\"price\":null,\"user_id\":7,"
         "\"user_session\":null}\n"},
	{"blank lines, a byte order mark, Excel's delimiter before the header",
         "\xef\xbb\xbf\r\n\nsep=;\nevent_time;event_type;product_id;user_id\n"
         "2019-10-01 00:00:01 UTC;view;1;7\n",
         "{\"event_time\":\"2019-10-01 00:00:01 UTC\",\"event_type\":\"view\",\"product_id\":1,"
         "\"category_id\":null,\"category_code\":null,\"brand\":null,\"price\":null,\"user_id\":7,"
         "\"user_session\":null}\n"},
	{"PowerShell's type and a comment before the header",
         "# export\n#TYPE System.Object\n\"event_time\",\"event_type\",\"product_id\",\"user_id\"\n"
         "\"2019-10-01 00:00:01 UTC\",\"view\",\"1\",\"7\"\n",
         "{\"event_time\":\"2019-10-01 00:00:01 UTC\",\"event_type\":\"view\",\"product_id\":1,"
         "\"category_id\":null,\"category_code\":null,\"brand\":null,\"price\":null,\"user_id\":7,"
         "\"user_session\":null}\n"},
	{"line ends of Python's csv on Windows",
         "event_time,event_type,user_id,product_id\r\r\n"
         "2019-10-01 00:00:01 UTC,view,7,1\r\r\n\r\r\n",
         "{\"event_time\":\"2019-10-01 00:00:01 UTC\",\"event_type\":\"view\",\"product_id\":1,"
         "\"category_id\":null,\"category_code\":null,\"brand\":null,\"price\":null,\"user_id\":7,"
         "\"user_session\":null}\n"},
	{"the same with quotes",
         "event_time,event_type,user_id,product_id\r\r\n"
         "2019-10-01 00:00:01 UTC,view,7,\"1\"\r\r\n",
         "{\"event_time\":\"2019-10-01 00:00:01 UTC\",\"event_type\":\"view\",\"product_id\":1,"
         "\"category_id\":null,\"category_code\":null,\"brand\":null,\"price\":null,\"user_id\":7,"
         "\"user_session\":null}\n"},
	{"a text of several lines in the first column",
         "note,event_time,event_type,product_id,user_id\n"
         "\"a\nb\",2019-10-01 00:00:01 UTC,view,1,7\n",
         "{\"event_time\":\"2019-10-01 00:00:01 UTC\",\"event_type\":\"view\",\"product_id\":1,"
         "\"category_id\":null,\"category_code\":null,\"brand\":null,\"price\":null,\"user_id\":7,"
         "\"user_session\":null,\"note\":\"a\\u000ab\"}\n"},
	{"blanks around quotes and delimiters",
         "\"event_time\", \"event_type\", product_id, \"user_id\", note\n"
         "\"2019-10-01 00:00:01 UTC\" , \"view\", 1 , \"7\" , \"a, \"\" b\"\n",
         "{\"event_time\":\"2019-10-01 00:00:01 UTC\",\"event_type\":\"view\",\"product_id\":1,"
         "\"category_id\":null,\"category_code\":null,\"brand\":null,\"price\":null,\"user_id\":7,"
         "\"user_session\":null,\"note\":\"a, \\\" b\"}\n"},
};

Test(row_reader, columns_are_found_as_people_write_them)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		write_text("f", tables[i].text);
		cr_assert_str_eq(values_of("f", NULL), tables[i].want, "%s: %s", tables[i].label,
		                 values_of("f", NULL));
	}
}

static const struct {
	const char *text, *want;
} refused[] = {
	{"event_time,order_id,product_id,price,user_id\n1,2,3,4,5\n",
         "column event_type is missing"},
	{"UserID,Timestamp,EventType,product_id\nx\n",
         "columns event_time, event_type, user_id are missing"},
	{"UserID,Timestamp,EventType,product_id\nx\n", "event_type=EventType,user_id=UserID"},
	{"event_time,event_type,product_id,user_id,Price,price\nx\n", "price occurs twice"},
	{"\xff\xfe"
         "e\0v\0",
         "iconv -f UTF-16 -t UTF-8"},
	{COLUMNS "\r" ROW(1) "\r" ROW(2) "\r", "tr '\\r' '\\n'"},
	{ROW(1) "\n" ROW(2) "\n", "--columns event_time,event_type,product_id"},
	{"{\"a\": 1}\n", "none of the nine names"},
	{"{}\n{\"a\": 1}\n", "none of the nine names"},
	{"[[\"event_time\"], [1]]\n", "found \"\"\" at byte 3"},
	{"[1, 2, 3]\n", "found \"1\" at byte 2"},
	{"\n [\n  \"a\", \"b\"]\n[\"c\"]\n", "found \"\"\" at byte 7"},
};

Test(row_reader, what_cannot_be_read_is_refused_by_name_and_says_what_to_do)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		write_bytes("f.csv", refused[i].text,
		            refused[i].text[0] == '\xff' ? 6 : strlen(refused[i].text));
		check_refused("f.csv", NULL, refused[i].want);
	}
}

Test(row_reader, a_text_without_a_line_needs_no_header_and_has_no_rows)
{
	static const char *const texts[] = {"", "\n\r\n", "\r", "\xef\xbb\xbf", "sep=;\n"};
	struct row_format format = row_format_default;
	char bytes[4096];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		format.columns = "";
		write_text("f", texts[i]);
		cr_assert_str_eq(describe_file("f", &format), "end", "text %zu", i);
		format.columns = COLUMNS;
		cr_assert_str_eq(describe_file("f", &format), "end", "text %zu", i);
	}
	write_bytes("f", bytes,
	            pack_text(archive_write_add_filter_gzip, "", bytes, sizeof(bytes)) - 8);
	cr_assert_null(row_reader_new(path_of("f"), NULL, NULL), "a gzip without its end");
}

Test(row_reader, the_columns_of_a_file_without_a_header_are_given)
{
	struct row_format format = row_format_default;

	format.columns = COLUMNS;
	write_text("f", ROW(1) "\n" ROW(2) "\n");
	cr_assert_str_eq(describe_file("f", &format), "1:1:s1;2:2:s2;end");
	write_text("f", HEADER ROW(1) "\n");
	cr_assert_str_eq(describe_file("f", &format), "1:1:s1;end");
	format.columns = "event_time,user_id,event_type,user_session,product_id";
	write_text("f", "2019-10-01 00:00:01 UTC;7;view;s1;1\n");
	cr_assert_str_eq(describe_file("f", &format), "1:1:s1;end");
	format.columns = "event_time,user_id";
	check_refused("f", &format, "columns event_type, product_id are missing");
}

Test(row_reader, names_of_columns_that_are_longer_than_a_header_line_are_refused)
{
	static char names[100000];
	struct row_format format = row_format_default;

	for (size_t i = 0; i + 1 < sizeof(names); i++)
		names[i] = i % 100 == 99 ? ',' : 'a';
	format.columns = names;
	write_text("f", ROW(1) "\n");
	check_refused("f", &format, "COLUMNS has 99999 bytes; expected 1 to 16384");
}

Test(row_reader, another_encoding_is_converted_and_what_it_does_not_have_stays_invalid)
{
	struct row_format format = row_format_default;
	const char *got;

	format.encoding = "latin1";
	write_text("f",
	           "event_time,event_type,product_id,user_id,brand\n1569931200,view,1,7,caf\xe9\n");
	cr_assert_not_null(strstr(values_of("f", &format), "\"brand\":\"caf\xc3\xa9\""));
	format.encoding = "utf-16";
	write_bytes("f",
	            "\xff\xfe"
	            "e\0v\0e\0n\0t\0_\0t\0i\0m\0e\0,\0e\0v\0e\0n\0t\0_\0t\0y\0p\0e\0,\0"
	            "p\0r\0o\0d\0u\0c\0t\0_\0i\0d\0,\0u\0s\0e\0r\0_\0i\0d\0,\0b\0r\0a\0n\0d\0\n\0"
	            "1\0,\0v\0,\0"
	            "1\0,\0"
	            "7\0,\0\xe9\0\n\0"
	            "1\0,\0v\0,\0"
	            "1\0,\0"
	            "7\0,\0\x00\xd8x\0\n\0",
	            2 + 2 * (10 + 1 + 10 + 1 + 10 + 1 + 7 + 1 + 5 + 1) + 2 * 10 + 2 * 11);
	got = values_of("f", &format);
	cr_assert_not_null(strstr(got, "\"brand\":\"\xc3\xa9\""), "%s", got);
	cr_assert_not_null(strstr(got, "\"brand\":\"\xffx\""), "%s", got);
}

Test(row_reader, a_second_header_with_other_columns_ends_the_file)
{
	static const char *const headers[] = {
		"event_time,event_type,category_id,product_id,"
		"category_code,brand,price,user_id,user_session",
		"event_time,event_type,product_id,user_id",
		"\xef\xbb\xbf\"User_ID\";Event_Time;event_type;product_id"};
	char text[1024];
	struct err err;

	for (size_t i = 0; i < 3; i++) {
		struct row_reader *reader;
		struct row row;

		snprintf(text, sizeof(text), HEADER ROW(1) "\n%s\n" ROW(2) "\n", headers[i]);
		write_text("f.csv", text);
		cr_assert_str_eq(describe_file("f.csv", NULL), "1:1:s1;failed", "%s", headers[i]);
		reader = row_reader_new(path_of("f.csv"), NULL, NULL);
		cr_assert_eq(row_reader_next(reader, &row, &err), ROW_READER_ROW);
		cr_assert_eq(row_reader_next(reader, &row, &err), ROW_READER_FAILED);
		cr_assert_eq(err.class, ERR_INPUT);
		cr_assert_not_null(strstr(err.message, "f.csv: at byte"), "%s", err.message);
		row_reader_free(reader);
	}
	write_text("f.csv", HEADER ROW(1) "\n" HEADER ROW(2) "\n");
	cr_assert_str_eq(describe_file("f.csv", NULL),
	                 "1:1:s1;2:product_id:user_session;3:2:s2;end");
}

/* ---- JSON */

static const struct {
	const char *label, *text, *want;
} objects[] = {
	{"lines", JSON(1) "\n" JSON(2) "\n", "1:1:s1;2:2:s2;end"},
	{"a byte order mark, CR LF, blank lines, no last line end",
         "\xef\xbb\xbf\n" JSON(1) "\r\n\r\n" JSON(2), "1:1:s1;2:2:s2;end"},
	{"an array of lines", "[\n" JSON(1) ",\n" JSON(2) "\n]\n", "1:1:s1;2:2:s2;end"},
	{"an array on one line", "[" JSON(1) "," JSON(2) "]", "1:1:s1;2:2:s2;end"},
	{"objects over several lines",
         "{\n\"product_id\": 1,\n\"user_session\":\n\"s1\"}\n" JSON(2), "1:1:s1;2:2:s2;end"},
	{"no object", JSON(1) "\nnonsense\n" JSON(3) "\n",
         "1:1:s1;2:!not a JSON object;3:3:s3;end"},
	{"broken in an array", "[" JSON(1) ",\n{\"product_id\": 2,\n" JSON(3) "\n]",
         "1:1:s1;2:!broken JSON: a name was expected;3:3:s3;end"},
	{"a name twice", JSON(1) "\n{\"user_id\":1,\"user_id\":2}\n",
         "1:1:s1;2:!a field occurs twice;end"},
	{"a nested field", JSON(1) "\n{\"user_id\":{\"a\":1}}\n",
         "1:1:s1;2:!a field is neither a text nor a number;end"},
	{"an empty array", "[]", "end"},
	{"no line end between objects", JSON(1) JSON(2) " " JSON(3), "1:1:s1;2:2:s2;3:3:s3;end"},
	{"two files that were joined without a line end", JSON(1) "\n" JSON(2) JSON(3) "\n" JSON(4),
         "1:1:s1;2:2:s2;3:3:s3;4:4:s4;end"},
	{"an empty object first", "{}\n" JSON(2) "\n", "1::;2:2:s2;end"},
	{"an empty object first in an array", "[{ }, {}," JSON(3) "]", "1::;2::;3:3:s3;end"},
	{"a text sequence (RFC 7464)", "\x1e" JSON(1) "\n\x1e" JSON(2) "\n", "1:1:s1;2:2:s2;end"},
	{"a text sequence over several lines",
         "\x1e{\n\"product_id\": 1,\n\"user_session\": \"s1\"}\n\x1e" JSON(2) "\n",
         "1:1:s1;2:2:s2;end"},
	{"an array without its end", "[" JSON(1) "," JSON(2), "1:1:s1;2:2:s2;cut"},
	{"an array that ends after a comma", "[\n" JSON(1) ",\n" JSON(2) ",\n",
         "1:1:s1;2:2:s2;cut"},
	{"an array that ends in an object", "[" JSON(1) ",{\"product_id\":",
         "1:1:s1;2:!broken JSON: a value that JSON does not have;cut"},
	{"only the beginning of an array", "[", "cut"},
	{"two arrays", "[" JSON(1) "]\n[" JSON(2) "]\n", "1:1:s1;2:2:s2;end"},
	{"the second array without its end", "[" JSON(1) "]\n[" JSON(2), "1:1:s1;2:2:s2;cut"},
	{"a broken object at the end of an array", "[" JSON(1) ",{\"product_id\":]",
         "1:1:s1;2:!broken JSON: a value that JSON does not have;end"},
	{"commas after lines", JSON(1) ",\n" JSON(2) ",\r\n" JSON(3), "1:1:s1;2:2:s2;3:3:s3;end"},
	{"commas before lines", JSON(1) "\n," JSON(2) "\n, " JSON(3), "1:1:s1;2:2:s2;3:3:s3;end"},
};

Test(row_reader, objects_are_rows)
{
	for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
		const char *got;

		write_text("f.csv", objects[i].text);
		got = describe_file("f.csv", NULL);
		cr_assert_str_eq(got, objects[i].want, "%s: %s", objects[i].label, got);
	}
}

Test(row_reader, values_of_objects_keep_what_was_written)
{
	write_text(
		"f",
		"{\"User_ID\": 512742880, \"event_time\": 1569931200000, \"price\": 1.50, "
		"\"brand\": NaN, \"category_code\": null, \"user_session\": \"\\u00e9\\ud83d\\ude00"
		"\\n\\\"\", \"event_type\": \"view\", \"product_id\": \"007\", \"category_id\": "
		"2053013555631882655, \"n\": 1.10, \"t\": \"5\", \"b\": true, \"list\": [1, \"]\"], "
		"\"none\": NaN}\n");
	cr_assert_str_eq(
		values_of("f", NULL),
		"{\"event_time\":\"1569931200000\",\"event_type\":\"view\",\"product_id\":\"007\","
		"\"category_id\":2053013555631882655,\"category_code\":null,\"brand\":null,"
		"\"price\":1.50,\"user_id\":512742880,\"user_session\":\"\xc3\xa9\xf0\x9f\x98\x80"
		"\\u000a\\\"\",\"n\":1.10,\"t\":\"5\",\"b\":\"true\",\"list\":\"[1, \\\"]\\\"]\","
		"\"none\":null}\n",
		"%s", values_of("f", NULL));
}

/* The price of each row of a file, after a mapping with a decimal comma. */
static const char *prices_of(const char *name)
{
	struct row_format format = row_format_default;
	static char prices[256];
	struct row_reader *reader;
	struct row row;

	format.mapping = mapping_new("decimal = ,", NULL);
	reader = row_reader_new(path_of(name), &format, NULL);
	cr_assert_not_null(reader);
	prices[0] = '\0';
	while (row_reader_next(reader, &row, NULL) == ROW_READER_ROW)
		snprintf(prices + strlen(prices), sizeof(prices) - strlen(prices), "%.*s;",
		         (int)row.fields[FIELD_PRICE].len, row.fields[FIELD_PRICE].at);
	row_reader_free(reader);
	mapping_free(format.mapping);
	return prices;
}

Test(row_reader, a_decimal_comma_is_read_in_texts_and_not_in_json_numbers)
{
	write_text("f.csv", "event_time;event_type;product_id;user_id;price\n"
	                    "1;view;1;7;12,99\n1;view;1;7;1.299,00\n1;view;1;7;1.299\n"
	                    "1;view;1;7;12.99\n1;view;1;7;\n");
	cr_assert_str_eq(prices_of("f.csv"), "12.99;1299.00;1299;12.99;;");
	write_text("f.json", "{\"event_time\":1,\"price\":\"1.299\"}\n"
	                     "{\"event_time\":1,\"price\":1.299}\n{\"event_time\":1}\n"
	                     "{\"event_time\":1,\"price\":\"12,99\"}\n");
	cr_assert_str_eq(prices_of("f.json"), "1299;1.299;;12.99;");
}

/* Reading from the position after each row gives exactly the rest. */
Test(row_reader, reading_goes_on_after_any_object)
{
	static const char *const texts[] = {
		JSON(1) "\nnonsense\n" JSON(3) "\n" JSON(4),
		"[" JSON(1) "," JSON(2) ",\n" JSON(3) "," JSON(4) "]",
		"[" JSON(1) "," JSON(2) ",\n" JSON(3),
		JSON(1) "\n" JSON(2) JSON(3) ", " JSON(4) ",\n" JSON(5),
		JSON(1) JSON(2) " " JSON(3),
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct row_reader *reader, *other;
		char expected[512];
		const char *rest = expected;
		struct row row;

		write_text("f", texts[i]);
		snprintf(expected, sizeof(expected), "%s", describe_file("f", NULL));
		reader = row_reader_new(path_of("f"), NULL, NULL);
		while (row_reader_next(reader, &row, NULL) == ROW_READER_ROW) {
			rest = strchr(rest, ';') + 1;
			other = row_reader_new(path_of("f"), NULL, NULL);
			cr_assert(row_reader_seek(other, &row.position));
			cr_assert_str_eq(describe(other), rest, "%s", rest);
			row_reader_free(other);
		}
		row_reader_free(reader);
	}
}

/* ---- pipes */

Test(row_reader, standard_input_is_read_and_says_when_a_row_is_not_there_yet)
{
	int ends[2], saved = dup(STDIN_FILENO);
	struct row_reader *reader;
	struct row row;

	cr_assert_eq(pipe(ends), 0);
	dup2(ends[0], STDIN_FILENO);
	cr_assert_eq(write(ends[1], HEADER ROW(1) "\n2019", strlen(HEADER ROW(1)) + 5),
	             (ssize_t)strlen(HEADER ROW(1)) + 5);
	reader = row_reader_new("-", NULL, NULL);
	cr_assert_not_null(reader);
	cr_assert_not(row_reader_waits(reader));
	cr_assert_eq(row_reader_next(reader, &row, NULL), ROW_READER_ROW);
	cr_assert(span_is(row.fields[8], "s1"));
	cr_assert(row_reader_waits(reader));
	close(ends[1]);
	cr_assert_not(row_reader_waits(reader)); /* the end is there */
	cr_assert_eq(row_reader_next(reader, &row, NULL), ROW_READER_ROW);
	cr_assert_str_eq(row.error, "expected 9 columns, found 1");
	cr_assert_eq(row_reader_next(reader, &row, NULL), ROW_READER_END);
	row_reader_free(reader);
	dup2(saved, STDIN_FILENO);
	close(saved);
	close(ends[0]);
}

/* Fails by its time-out: the other end of the pipe stays open. */
Test(row_reader, an_object_on_a_pipe_is_given_before_the_next_one_comes, .timeout = 20)
{
	static const char *const texts[] = {JSON(1) "\n", "[" JSON(1) ","};

	for (size_t i = 0; i < 2; i++) {
		int ends[2], saved = dup(STDIN_FILENO);
		struct row_reader *reader;
		struct row row;

		cr_assert_eq(pipe(ends), 0);
		dup2(ends[0], STDIN_FILENO);
		cr_assert_eq(write(ends[1], texts[i], strlen(texts[i])), (ssize_t)strlen(texts[i]));
		reader = row_reader_new("-", NULL, NULL);
		cr_assert_eq(row_reader_next(reader, &row, NULL), ROW_READER_ROW);
		cr_assert(span_is(row.fields[8], "s1"));
		row_reader_free(reader);
		dup2(saved, STDIN_FILENO);
		close(saved);
		close(ends[0]);
		close(ends[1]);
	}
}

Test(row_reader, a_file_never_waits_and_standard_input_cannot_seek)
{
	struct row_reader *reader;
	struct row row;
	int file, saved = dup(STDIN_FILENO);

	write_text("f", HEADER ROW(1) "\n");
	file = open(path_of("f"), O_RDONLY);
	dup2(file, STDIN_FILENO);
	reader = row_reader_new("-", NULL, NULL);
	cr_assert_not(row_reader_waits(reader));
	cr_assert_eq(row_reader_next(reader, &row, NULL), ROW_READER_ROW);
	cr_assert_not(row_reader_waits(reader));
	cr_assert_not(row_reader_seek(reader, &row.position));
	row_reader_free(reader);
	dup2(saved, STDIN_FILENO);
	close(saved);
	close(file);
}

/* ---- after reading */

Test(row_reader, a_row_that_is_read_ahead_keeps_all_of_its_members)
{
	static struct row_extra extras[ROW_COLUMNS_MAX];
	struct packed_queue queue = {0};
	struct row_reader *reader;
	struct row row, copy;
	char json[512];
	size_t len;

	write_text("f",
	           "{\"event_time\":1,\"user_id\":7,\"a\":\"x\\ny\",\"b\":2.50,\"c\":null}\n"
	           "{\"event_time\":2,\"user_id\":8,\"d\":\"0123456789012345678901234567890\"}\n");
	reader = row_reader_new(path_of("f"), NULL, NULL);
	cr_assert_eq(row_reader_next(reader, &row, NULL), ROW_READER_ROW);
	packed_queue_push(&queue, &row);
	cr_assert_eq(row_reader_next(reader, &row, NULL), ROW_READER_ROW);
	row_reader_free(reader);
	packed_queue_pop(&queue, extras, &copy);
	len = event_write_json_extras(copy.fields, copy.extras, copy.extra_count, json,
	                              sizeof(json) - 1);
	json[len] = '\0';
	cr_assert_str_eq(
		json,
		"{\"event_time\":\"1\",\"event_type\":null,\"product_id\":null,"
		"\"category_id\":null,\"category_code\":null,\"brand\":null,\"price\":null,"
		"\"user_id\":7,\"user_session\":null,\"a\":\"x\\u000ay\",\"b\":2.50,\"c\":null}",
		"%s", json);
	packed_queue_free(&queue);
}

Test(row_reader, a_type_that_is_not_mapped_is_in_a_header)
{
	struct row_format format = row_format_default;
	struct message_form form = {.partition_count = 4};
	struct message *message = calloc(1, sizeof(*message));
	struct message_headers headers;
	struct row_reader *reader;
	struct row row;

	format.mapping = mapping_new("view=product_view", NULL);
	write_text("f",
	           "event_time,event_type,product_id,user_id\n1,product_view,1,7\n1,scroll,1,7\n");
	reader = row_reader_new(path_of("f"), &format, NULL);
	for (size_t i = 0; i < 2; i++) {
		bool found = false;

		cr_assert_eq(row_reader_next(reader, &row, NULL), ROW_READER_ROW);
		row.source_file = "f";
		message_make(message, &row, &form);
		message_headers_make(&headers, message);
		for (size_t h = 0; h < headers.count; h++)
			if (span_is(headers.at[h].name, "unmapped_event_type"))
				found = span_is(headers.at[h].value, "scroll");
		cr_assert_eq(found, i == 1);
	}
	row_reader_free(reader);
	mapping_free(format.mapping);
	free(message);
}
