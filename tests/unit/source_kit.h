/* Input files of a test in a folder of its own, and the rows of a source as text. */
#ifndef FUNNEL_SOURCE_KIT_H
#define FUNNEL_SOURCE_KIT_H

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/err.h"
#include "row.h"
#include "source.h"

#define KIT_HEADER                                                                        \
	"event_time,event_type,product_id,category_id,category_code,brand,price,user_id," \
	"user_session\n"

static char kit_folder[64];

static inline void kit_init(void)
{
	snprintf(kit_folder, sizeof(kit_folder), "/tmp/producer_kit_XXXXXX");
	cr_assert_not_null(mkdtemp(kit_folder));
}

static inline void kit_fini(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", kit_folder);
	cr_assert_eq(system(command), 0);
}

static inline const char *kit_path(const char *name)
{
	static char path[160];

	snprintf(path, sizeof(path), "%s/%s", kit_folder, name);
	return path;
}

static inline FILE *kit_create(const char *name)
{
	FILE *file = fopen(kit_path(name), "w");

	cr_assert_not_null(file);
	fputs(KIT_HEADER, file);
	return file;
}

/* A row at this second of October 2019; its session is `mark`. second below 0: no time. */
static inline void kit_row(FILE *file, int64_t second, int user, const char *mark)
{
	if (second < 0)
		fputs("never", file);
	else
		fprintf(file, "2019-10-%02d %02d:%02d:%02d UTC", (int)(second / 86400) + 1,
		        (int)(second / 3600 % 24), (int)(second / 60 % 60), (int)(second % 60));
	fprintf(file, ",view,1,2,a.b,x,1.00,%d,%s\n", user, mark);
}

/* A file of rows "time/mark time/mark ..."; the user of a row is its number. A time is a second, or
 * "-" for none, "+" for a time years ahead, "<" for one years back. */
static inline void kit_rows(const char *name, const char *rows)
{
	FILE *file = kit_create(name);
	char copy[4096], *at = copy, *row;
	int user = 1;

	snprintf(copy, sizeof(copy), "%s", rows);
	while ((row = strtok_r(at, " ", &at))) {
		char *mark = strchr(row, '/');

		*mark++ = '\0';
		if (row[0] == '+')
			fprintf(file, "2031-01-01 00:00:00 UTC,view,1,2,a.b,x,1.00,%d,%s\n", user,
			        mark);
		else if (row[0] == '<')
			fprintf(file, "2011-01-01 00:00:00 UTC,view,1,2,a.b,x,1.00,%d,%s\n", user,
			        mark);
		else
			kit_row(file, row[0] == '-' ? -1 : atoll(row), user, mark);
		user++;
	}
	fclose(file);
}

static inline struct source *kit_open(const char *path)
{
	struct err err;
	struct source *source = source_files_open(path, NULL, 0, &err);

	cr_assert_not_null(source, "%s", err.message);
	return source;
}

/* The sessions of the rows that are left, with a blank after each, or the error of a row. "failed:
 * message" if reading fails. */
static inline void kit_sessions(struct source *source, struct buffer *out)
{
	enum source_result result;
	struct err err;
	struct row row;

	out->len = 0;
	while ((result = source_next(source, &row, &err)) == SOURCE_ROW) {
		if (row.error[0])
			buffer_append(out, row.error, strlen(row.error));
		else
			buffer_append(out, row.fields[8].at, row.fields[8].len);
		buffer_append(out, " ", 1);
	}
	if (result == SOURCE_FAILED) {
		buffer_append(out, "failed: ", 8);
		buffer_append(out, err.message, strlen(err.message));
	}
	buffer_append(out, "", 1);
}

/* Checks the sessions of all rows, in order. */
static inline void kit_check(struct source *source, const char *want, const char *label)
{
	struct buffer got = {0};

	kit_sessions(source, &got);
	cr_assert_str_eq(got.at, want, "%s:\n  got  %s\n  want %s", label, got.at, want);
	buffer_free(&got);
	source_free(source);
}

/* Continuing after any row gives exactly the rows that follow it. open: opens the same source
 * again. */
static inline void kit_check_resume(struct source *(*open)(void))
{
	struct buffer all = {0}, rest = {0};
	struct source *source = open(), *again;
	const char *want;
	int64_t rows = 0, skip;
	struct err err;
	struct row row;

	kit_sessions(source, &all);
	source_free(source);
	source = open();
	for (want = all.at; *want;) {
		cr_assert_eq(source_next(source, &row, &err), SOURCE_ROW);
		want = strchr(want, ' ') + 1;
		again = open();
		cr_assert(source_resume(again, &row.position, ++rows, &skip, &err), "%s",
		          err.message);
		while (skip-- > 0)
			cr_assert_eq(source_next(again, &row, &err), SOURCE_ROW);
		kit_sessions(again, &rest);
		cr_assert_str_eq(rest.at, want, "after row %lld", (long long)rows);
		source_free(again);
	}
	cr_assert_geq(rows, 8);
	source_free(source);
	buffer_free(&all);
	buffer_free(&rest);
}

#endif
