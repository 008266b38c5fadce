/* Sorts rows by event time with bounded memory: what does not fit goes to a temporary file.
 *
 * Equal times keep the order in which the rows were added. A row without a time stays right after
 * the row before it. The temporary file has no name, so nothing of it is left when the process
 * ends, even after kill -9. */
#ifndef FUNNEL_EXTERNAL_SORT_H
#define FUNNEL_EXTERNAL_SORT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "row.h"

struct external_sort;
/* folder: for the temporary file; created if it is missing and needed. Borrowed. memory_bytes:
 * must have room for each single row. NULL and err: out of memory. */
struct external_sort *external_sort_new(const char *folder, size_t memory_bytes, struct err *err);
void external_sort_free(struct external_sort *sort);

/* Copies the row, without source_file. ERR_OPERATOR: the folder has no space or cannot be used. */
MUST_USE bool external_sort_add(struct external_sort *sort, const struct row *row, struct err *err);
/* After the last row. */
MUST_USE bool external_sort_finish(struct external_sort *sort, struct err *err);

enum external_sort_result { EXTERNAL_SORT_ROW, EXTERNAL_SORT_END, EXTERNAL_SORT_FAILED /* err */ };
/* The row borrows from the sort until the next call; source_file is NULL. */
enum external_sort_result external_sort_next(struct external_sort *sort, struct row *row,
                                             struct err *err);
/* The next row is the first one again. */
MUST_USE bool external_sort_rewind(struct external_sort *sort, struct err *err);

/* rows: number of rows added. given: number of rows that external_sort_next has returned. runs:
 * sorted parts of the temporary file. */
struct external_sort_numbers {
	int64_t rows, given, runs, temporary_bytes;
};
struct external_sort_numbers external_sort_numbers(const struct external_sort *sort);

#endif
