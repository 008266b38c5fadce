/* From the rows in the sheets to files in the lake, and to the batches that the catalogue gets. */
#ifndef FUNNEL_LAKE_BATCH_H
#define FUNNEL_LAKE_BATCH_H

#include "base/err.h"
#include "lake_writer_state.h"

struct lake_batches {
	struct lake_commit *at; /* one for each task that has moved */
	size_t count;
	struct lake_file *files; /* of all batches */
	size_t file_count;
};

/* Writes the rows of all tasks that have moved as files and puts them into the lake. ERR_RETRY: the
 * disk is full, or the bucket does not answer. ERR_CONFLICT: a file is there already; the next
 * lake_position removes it. */
MUST_USE bool lake_batches_store(struct lake_writer *writer, struct lake_batches *batches,
                                 struct err *err);
void lake_batches_free(struct lake_batches *batches);

#endif
