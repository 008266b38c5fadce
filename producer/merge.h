/* The rows of all files of an input as one stream, by event time.
 *
 * The rows of a file keep their order. Of the next rows of all files, the earliest comes first;
 * equal times come in the order of the files. A row without a time, or with a time that the next
 * rows of its file refute, does not wait for other files: it comes right after the row before it.
 * So the order depends on the files only. A file is opened when its first event is due, and closed
 * after its last row. */
#ifndef FUNNEL_MERGE_H
#define FUNNEL_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "file_list.h"
#include "row.h"
#include "row_reader.h"

/* Open files of this process that do not belong to the merge. */
#define MERGE_OTHER_FILES 128

enum merge_order {
	MERGE_BY_TIME,
	MERGE_FILE_BY_FILE /* each file to its end, for a caller that sorts the rows */
};

struct merge;
/* Borrows the list and the format (NULL: the default). NULL and err: out of memory. */
struct merge *merge_new(const struct file_list *list, const struct row_format *format,
                        enum merge_order order, struct err *err);
void merge_free(struct merge *merge);

enum merge_result {
	MERGE_ROW,
	MERGE_END,
	MERGE_FAILED /* err: a file cannot be read. All rows before that place were given. */
};
/* The row borrows from the merge until the next call. */
enum merge_result merge_next(struct merge *merge, struct row *row, struct err *err);

/* Before the first row: continues after the given row. False: not possible, because there are
 * several files, or the file cannot seek. */
bool merge_seek(struct merge *merge, const struct row_position *position);
/* Bytes of the files read so far. */
int64_t merge_bytes(const struct merge *merge);
/* Whether the next row is not there yet (row_reader_waits). */
bool merge_waits(struct merge *merge);

#endif
