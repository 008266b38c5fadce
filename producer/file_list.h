/* The files of an input: one file, or the .csv and .csv.gz files of a folder in the order of their first event.
 * Every file's header is read and checked here, before any row is. */
#ifndef FUNNEL_FILE_LIST_H
#define FUNNEL_FILE_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define FILE_LIST_MAX 10000

struct input_file {
	char *path;
	const char *name; /* its base name, in path */
	int64_t bytes, modified_ns;
	int64_t first_event_us; /* INT64_MAX: no row with a time among the first thousand */
};

struct file_list {
	struct input_file *files;
	size_t count;
	size_t ignored; /* other files of the folder */
	int64_t bytes;  /* of all */
};

/* list: zeroed, or finished. ERR_INPUT: not there, no CSV in the folder, or a file without a needed column. */
MUST_USE bool file_list_read(struct file_list *list, const char *path, struct err *err);
void file_list_fini(struct file_list *list);

/* A number that is the same for the same files (path, size, time of change) in the same order. */
uint64_t file_list_hash(const struct file_list *list);

#endif
