/* The files of an input: one file, or the .csv and .csv.gz files of a folder in the order of their
 * first event. The header of every file is checked here, before any row is read. */
#ifndef FUNNEL_FILE_LIST_H
#define FUNNEL_FILE_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define FILE_LIST_MAX 10000

struct input_file {
	char *path;
	const char *name; /* base name; points into path */
	int64_t bytes, modified_ns;
	/* the earliest of the first hundred rows; INT64_MAX: none of the first thousand has a time */
	int64_t first_event_us;
};

struct file_list {
	struct input_file *files;
	size_t count;
	size_t ignored; /* number of other files in the folder */
	int64_t bytes;  /* of all */
};

/* list: zeroed, or passed to file_list_fini before. ERR_INPUT: the path does not exist, the folder
 * has no CSV file, or a file lacks a column. */
MUST_USE bool file_list_read(struct file_list *list, const char *path, struct err *err);
void file_list_fini(struct file_list *list);

/* The same number for the same files (path, size, modification time) in the same order. */
uint64_t file_list_hash(const struct file_list *list);

#endif
