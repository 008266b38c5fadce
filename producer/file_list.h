/* The files of an input in the order of their first event. The header of every file is checked
 * here, before any row is read. Each data file in an archive is a file of its own. */
#ifndef FUNNEL_FILE_LIST_H
#define FUNNEL_FILE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "row_reader.h"

#define FILE_LIST_MAX 10000

struct input_file {
	char *path;       /* for row_reader_new */
	const char *name; /* base name, of a file in an archive with that of the archive; in path */
	int64_t bytes, modified_ns; /* of a stream 0 */
	/* the earliest of the first hundred rows; INT64_MAX: none of the first thousand has a time,
	 * or it is a stream */
	int64_t first_event_us;
	bool empty;  /* a file without any row */
	bool nested; /* in an archive that is in another archive */
};

struct file_list {
	const struct row_format *format; /* borrowed; set before file_list_read, or NULL */
	struct input_file *files;
	size_t count;
	size_t ignored; /* number of other files in folders and archives */
	int64_t bytes;  /* of all */
};

/* list: zeroed apart from format, or passed to file_list_fini before. input: as in input_paths.h.
 * ERR_INPUT: a path does not exist, a folder or an archive has no data file, a file lacks a column,
 * or no file has a row. */
MUST_USE bool file_list_read(struct file_list *list, const char *input, struct err *err);
void file_list_fini(struct file_list *list);

/* The same number for the same files (path, size, modification time) in the same order. */
uint64_t file_list_hash(const struct file_list *list);

#endif
