/* Does not read folders within the folder. Files with the same first event, or without events, are
 * ordered by name. */
#include "file_list.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "row_reader.h"
#include "fnv.h"
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

/* Reads the earliest time of the first rows. Checks the header too. */
static bool read_first_event(struct input_file *file, struct err *err)
{
	struct row_reader *reader = row_reader_new(file->path, NULL, err);
	struct row row;

	if (!reader)
		return false;
	file->first_event_us = INT64_MAX;
	for (int i = 0; i < (file->first_event_us == INT64_MAX ? LOOK_ROWS : FIRST_ROWS); i++) {
		if (row_reader_next(reader, &row, NULL) != ROW_READER_ROW)
			break;
		if (row.event_time_us != ROW_TIME_NONE && row.event_time_us < file->first_event_us)
			file->first_event_us = row.event_time_us;
	}
	row_reader_free(reader);
	return true;
}

static bool add(struct file_list *list, const char *path, const struct stat *about, struct err *err)
{
	struct input_file *files = realloc(list->files, (list->count + 1) * sizeof(*files)), *file;
	char *slash;

	if (!files)
		return err_set(err, ERR_FATAL, "out of memory");
	list->files = files;
	file = &files[list->count];
	file->path = realpath(path, NULL);
	if (!file->path)
		return err_set(err, ERR_INPUT, "%s: %s", path, strerror(errno));
	list->count++;
	slash = strrchr(file->path, '/');
	file->name = slash ? slash + 1 : file->path;
	file->bytes = about->st_size;
	file->modified_ns = (int64_t)about->st_mtim.tv_sec * 1000000000 + about->st_mtim.tv_nsec;
	list->bytes += file->bytes;
	return read_first_event(file, err);
}

static bool ends_with(const char *text, const char *end)
{
	size_t text_len = strlen(text), end_len = strlen(end);

	return text_len > end_len && strcmp(text + text_len - end_len, end) == 0;
}

static int by_first_event(const void *left, const void *right)
{
	const struct input_file *a = left, *b = right;

	if (a->first_event_us != b->first_event_us)
		return a->first_event_us < b->first_event_us ? -1 : 1;
	return strcmp(a->name, b->name);
}

static bool add_entry(struct file_list *list, const char *folder, const char *name, struct err *err)
{
	char path[PATH_MAX];
	struct stat about;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, name) >= sizeof(path))
		return err_set(err, ERR_INPUT, "%s/%s: the path is too long", folder, name);
	if (stat(path, &about) != 0)
		return err_set(err, ERR_INPUT, "%s: %s", path, strerror(errno));
	if (!S_ISREG(about.st_mode) || name[0] == '.' ||
	    (!ends_with(name, ".csv") && !ends_with(name, ".csv.gz"))) {
		list->ignored += S_ISREG(about.st_mode) ? 1 : 0;
		return true;
	}
	if (list->count == FILE_LIST_MAX)
		return err_set(err, ERR_INPUT,
		               "cannot read INPUT=%s: the folder has more than %d files", folder,
		               FILE_LIST_MAX);
	return add(list, path, &about, err);
}

static bool read_folder(struct file_list *list, const char *folder, struct err *err)
{
	DIR *directory = opendir(folder);
	struct dirent *entry;
	bool ok = true;

	if (!directory)
		return err_set(err, ERR_INPUT, "%s: %s", folder, strerror(errno));
	while (ok && (entry = readdir(directory)))
		ok = add_entry(list, folder, entry->d_name, err);
	closedir(directory);
	if (!ok)
		return false;
	if (list->count == 0)
		return err_set(err, ERR_INPUT,
		               "cannot read INPUT=%s: the folder has no .csv or .csv.gz file",
		               folder);
	qsort(list->files, list->count, sizeof(list->files[0]), by_first_event);
	return true;
}

bool file_list_read(struct file_list *list, const char *path, struct err *err)
{
	struct stat about;

	if (stat(path, &about) != 0)
		return err_set(err, ERR_INPUT, "cannot read INPUT=%s: %s", path, strerror(errno));
	if (S_ISDIR(about.st_mode))
		return read_folder(list, path, err);
	if (!S_ISREG(about.st_mode))
		return err_set(
			err, ERR_INPUT,
			"cannot read INPUT=%s: expected a regular file or a folder, because an "
			"interrupted run has to read its input again",
			path);
	return add(list, path, &about, err);
}

uint64_t file_list_hash(const struct file_list *list)
{
	uint64_t hash = FNV1A_START;

	for (size_t i = 0; i < list->count; i++) {
		const struct input_file *file = &list->files[i];

		hash = fnv1a(hash, file->path, strlen(file->path) + 1);
		hash = fnv1a(hash, &file->bytes, sizeof(file->bytes));
		hash = fnv1a(hash, &file->modified_ns, sizeof(file->modified_ns));
	}
	return hash;
}
