/* Standard input is not opened here, because opening would read it. Files with the same first
 * event, or without events, are ordered by name. A file that is named twice is read once. */
#include "file_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fnv.h"
#include "byte_origin.h"
#include "byte_reader.h"
#include "http_stream.h"
#include "input_paths.h"
#include "mapping.h"
#include "row.h"

#define LOOK_ROWS  1000 /* rows that are searched for an event time */
#define FIRST_ROWS 100  /* rows of which the earliest is the first event: one time may be wrong */

void file_list_fini(struct file_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->files[i].path);
	free(list->files);
	*list = (struct file_list){0};
}

/* ---- one file */

/* Reads the earliest time of the first rows. Checks the header too. */
static bool read_first_event(struct input_file *file, const struct row_format *format,
                             struct err *err)
{
	struct row_reader *reader = row_reader_new(file->path, format, err);
	enum row_reader_result result = ROW_READER_ROW;
	struct row row;

	if (!reader)
		return false;
	file->nested = !http_is_url(file->path) && row_reader_is_nested(reader);
	for (int i = 0; i < (file->first_event_us == INT64_MAX ? LOOK_ROWS : FIRST_ROWS); i++) {
		result = row_reader_next(reader, &row, NULL);
		if (result != ROW_READER_ROW)
			break;
		file->empty = false;
		if (row.event_time_us != ROW_TIME_NONE && row.event_time_us < file->first_event_us)
			file->first_event_us = row.event_time_us;
	}
	/* a file that ends early is reported when it is read */
	file->empty = file->empty && result == ROW_READER_END;
	row_reader_free(reader);
	return true;
}

/* Takes path. */
static struct input_file *append(struct file_list *list, char *path, size_t name_at,
                                 struct err *err)
{
	struct input_file *files = NULL, *file;

	if (path && list->count == FILE_LIST_MAX)
		err_set(err, ERR_INPUT, "INPUT has more than %d files", FILE_LIST_MAX);
	else
		files = path ? realloc(list->files, (list->count + 1) * sizeof(*files)) : NULL;
	if (!files) {
		if (!path || list->count < FILE_LIST_MAX)
			err_set(err, ERR_FATAL, "out of memory");
		free(path);
		return NULL;
	}
	list->files = files;
	file = &files[list->count++];
	*file = (struct input_file){.path = path, .first_event_us = INT64_MAX};
	file->name = file->path + name_at;
	return file;
}

/* Adds a file. If `optional`, one that cannot be used is only counted. */
static bool add_file(struct file_list *list, char *path, size_t name_at, const struct stat *about,
                     int64_t bytes, bool optional, struct err *err)
{
	struct input_file *file = append(list, path, name_at, err);
	struct err why;

	if (!file)
		return false;
	file->bytes = bytes;
	file->modified_ns = (int64_t)about->st_mtim.tv_sec * 1000000000 + about->st_mtim.tv_nsec;
	file->empty = true;
	if (read_first_event(file, list->format, &why)) {
		list->bytes += bytes;
		return !file->nested || byte_reader_check_nested(file->path, err);
	}
	if (optional && why.class == ERR_INPUT) {
		list->count--;
		list->ignored++;
		free(file->path);
		return true;
	}
	if (err)
		*err = why;
	return false;
}

static bool add_stream(struct file_list *list, const char *path, struct err *err)
{
	struct input_file *file = append(list, strdup(path), 0, err);

	if (file && strcmp(path, "-") == 0)
		file->name = "stdin";
	return file != NULL;
}

/* The name stands after the URL, because the URL may have secrets. */
static char *with_name(const char *url, const char *shown)
{
	const char *slash = strrchr(shown, '/'), *name = slash && slash[1] ? slash + 1 : "url";
	size_t len = strlen(url) + 1;
	char *path = malloc(len + strlen(name) + 1);

	if (path) {
		memcpy(path, url, len);
		memcpy(path + len, name, strlen(name) + 1);
	}
	return path;
}

static bool add_url(struct file_list *list, const char *url, struct err *err)
{
	char shown[HTTP_NAME_MAX];
	struct http_about about;
	struct stat as_file = {0};

	if (!http_url_name(url, shown, err) || !http_stream_about(url, &about, err))
		return false;
	as_file.st_mtim.tv_sec = about.modified_ns / 1000000000;
	as_file.st_mtim.tv_nsec = about.modified_ns % 1000000000;
	return add_file(list, with_name(url, shown), strlen(url) + 1, &as_file,
	                about.bytes > 0 ? about.bytes : 0, false, err);
}

/* ---- archives */

struct members {
	struct member {
		char *name;
		int64_t bytes; /* 0: also if not known */
		bool empty;
	} * at;
	size_t count;
	size_t data_count; /* those with the name of a data file */
	size_t full_count; /* those that are not empty */
};

static bool add_member(void *context, const char *name, int64_t bytes, struct err *err)
{
	struct members *members = context;
	struct member *at = realloc(members->at, (members->count + 1) * sizeof(*at));

	if (!at)
		return err_set(err, ERR_FATAL, "out of memory");
	members->at = at;
	at[members->count].name = strdup(name);
	at[members->count].bytes = bytes > 0 ? bytes : 0;
	at[members->count].empty = bytes == 0;
	if (!at[members->count].name)
		return err_set(err, ERR_FATAL, "out of memory");
	members->count++;
	members->data_count += input_name_is_data(name);
	members->full_count += bytes != 0;
	return true;
}

static void members_fini(struct members *members)
{
	for (size_t i = 0; i < members->count; i++)
		free(members->at[i].name);
	free(members->at);
}

static size_t base_at(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash + 1 - path) : 0;
}

/* Without a name of a data file, the only file counts, or the only one that is not empty. */
static bool is_wanted(const struct members *members, const struct member *member)
{
	return members->count == 1 || input_name_is_data(member->name) ||
	       (members->data_count == 0 && !member->empty);
}

/* Adds the data files of an archive, or its only file whatever its name. */
static bool add_members(struct file_list *list, const char *archive, const struct stat *about,
                        const struct members *members, struct err *err)
{
	size_t len = strlen(archive);

	if (members->data_count == 0 && members->count != 1 && members->full_count != 1)
		return err_set(err, ERR_INPUT,
		               "%s: the archive has %zu files, and none has the name of a data "
		               "file (.csv, .tsv, .txt, .json, .jsonl, .ndjson)",
		               archive, members->count);
	for (size_t i = 0; i < members->count; i++) {
		const struct member *member = &members->at[i];
		size_t room = len + strlen(member->name) + 2;
		char *path;

		if (!is_wanted(members, member)) {
			list->ignored++;
			continue;
		}
		path = malloc(room);
		if (path)
			snprintf(path, room, "%s/%s", archive, member->name);
		if (!add_file(list, path, base_at(archive), about, member->bytes,
		              members->count > 1 && input_name_is_common(member->name), err))
			return false;
	}
	return true;
}

static bool add_path(struct file_list *list, const char *path, enum input_path kind,
                     const struct stat *about, struct err *err)
{
	struct members members = {0};
	char *real = realpath(path, NULL);
	bool is_archive, ok;

	if (!real)
		return err_set(err, ERR_INPUT, "%s: %s", path, strerror(errno));
	ok = byte_reader_list(real, &is_archive, add_member, &members, err);
	if (ok && is_archive)
		ok = add_members(list, real, about, &members, err);
	members_fini(&members);
	if (!ok || is_archive) {
		free(real);
		return ok;
	}
	return add_file(list, real, base_at(real), about, about->st_size,
	                kind == INPUT_PATH_OF_FOLDER && input_name_is_common(path), err);
}

/* A path such as archive.zip/member.csv. */
static bool add_named_member(struct file_list *list, const char *path, struct err *err)
{
	char *copy = strdup(path);
	struct stat about = {0};
	size_t name_at = 0;

	for (char *slash = copy; slash && (slash = strchr(slash + 1, '/'));) {
		*slash = '\0';
		if (stat(copy, &about) == 0 && S_ISREG(about.st_mode))
			name_at = base_at(copy);
		*slash = '/';
	}
	return add_file(list, copy, name_at, &about, about.st_size, false, err);
}

/* ---- all */

static bool add(void *context, const char *path, enum input_path kind, struct err *err)
{
	struct file_list *list = context;
	struct stat about;

	if (http_is_url(path))
		return add_url(list, path, err);
	if (byte_origin_is_stream(path))
		return add_stream(list, path, err);
	return stat(path, &about) == 0 ? add_path(list, path, kind, &about, err)
	                               : add_named_member(list, path, err);
}

static int by_first_event(const void *left, const void *right)
{
	const struct input_file *a = left, *b = right;
	int order = strcmp(a->name, b->name);

	if (a->first_event_us != b->first_event_us)
		return a->first_event_us < b->first_event_us ? -1 : 1;
	return order != 0 ? order : strcmp(a->path, b->path);
}

static void drop_repeats(struct file_list *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++) {
		if (kept > 0 && strcmp(list->files[kept - 1].path, list->files[i].path) == 0) {
			list->bytes -= list->files[i].bytes;
			free(list->files[i].path);
			continue;
		}
		list->files[kept++] = list->files[i];
	}
	list->count = kept;
}

static bool check_rows(const struct file_list *list, const char *input, struct err *err)
{
	char shown[HTTP_NAME_MAX];

	for (size_t i = 0; i < list->count; i++)
		if (!list->files[i].empty)
			return true;
	if (list->count == 0)
		return err_set(err, ERR_INPUT, "cannot read INPUT=%s: it has no file with events",
		               http_shown(input, shown));
	return err_set(err, ERR_INPUT,
	               "cannot read INPUT=%s: it has no row to send (%zu file%s, the first is %s)",
	               http_shown(input, shown), list->count, list->count > 1 ? "s" : "",
	               list->files[0].name);
}

bool file_list_read(struct file_list *list, const char *input, struct err *err)
{
	if (!list->format)
		list->format = &row_format_default;
	if (!input_paths_each(input, add, list, &list->ignored, err))
		return false;
	if (list->count > 1)
		qsort(list->files, list->count, sizeof(list->files[0]), by_first_event);
	drop_repeats(list);
	if (list->format->mapping)
		mapping_forget_skipped(list->format->mapping);
	return check_rows(list, input, err);
}

uint64_t file_list_hash(const struct file_list *list)
{
	uint64_t hash = FNV1A_START;

	for (size_t i = 0; i < list->count; i++) {
		const struct input_file *file = &list->files[i];
		char name[HTTP_NAME_MAX];
		const char *path = http_shown(file->path, name);

		hash = fnv1a(hash, path, strlen(path) + 1);
		hash = fnv1a(hash, &file->bytes, sizeof(file->bytes));
		hash = fnv1a(hash, &file->modified_ns, sizeof(file->modified_ns));
	}
	return hash;
}
