/* Where the rows come from: files, the generator, or a shop that is polled.
 *
 * A segment is one run of the producer over one input, continued by the later runs that resume it.
 * Its name is in the header `segment` of the controls begin, jump and end. */
#ifndef FUNNEL_SOURCE_H
#define FUNNEL_SOURCE_H

#include "base/err.h"
#include "external_sort.h"
#include "fakestore.h"
#include "generator.h"
#include "row.h"
#include "row_reader.h"
#include "selection.h"

#define SEGMENT_NAME_MAX 128

struct source;
/* input: as in input_paths.h. format: borrowed; NULL is the default. limit: most rows to read, 0:
 * all. NULL and err: ERR_INPUT if the input cannot be used, or has no row. */
struct source *source_files_open(const char *input, const struct row_format *format, int64_t limit,
                                 struct err *err);
struct source *source_synthetic_new(const struct generator_config *config, int64_t limit,
                                    struct err *err);
/* Each run is a segment of its own: the answers of an earlier run cannot be read again. */
struct source *source_fakestore_new(const struct fakestore_config *config, int64_t limit,
                                    struct err *err);
void source_free(struct source *source);

/* Before the first row: gives the rows of files by event time (external_sort.h). Borrows folder. */
MUST_USE bool source_sort(struct source *source, const char *folder, size_t memory_bytes,
                          struct err *err);
/* Before the first row: adds a text that decides the rows or their order. It changes the name of
 * the segment. Callers skip default texts, so that segments of earlier versions continue. */
void source_hash_text(struct source *source, const char *text);

/* Base name of the input, and a short hash of everything that decides its rows. The same input has
 * the same name. */
const char *source_segment(const struct source *source);

/* Reads up to `rows` rows of a source that sorts. *ready: source_next gives the first row without
 * reading all of them. A caller that shows no progress need not call it. */
MUST_USE bool source_prepare(struct source *source, int64_t rows, bool *ready, struct err *err);

enum source_result {
	SOURCE_ROW,
	SOURCE_END,   /* of the input, or at the limit */
	SOURCE_FAILED /* err */
};
enum source_result source_next(struct source *source, struct row *row, struct err *err);
/* Before the first row: gives only the selected rows. Borrows the selection. The segment gets a
 * name of its own. ERR_INPUT: no file is left. */
MUST_USE bool source_select(struct source *source, struct selection *selection, struct err *err);
/* Reads a source with a selection from its first row again. scanning: see selection_restart. */
MUST_USE bool source_restart(struct source *source, bool scanning, struct err *err);
/* Whether source_next would wait for the next row, of a stream (row_reader_waits) or of a shop. */
bool source_waits(struct source *source);
/* The source is live: it does not end by itself, and its rows cannot be read again. */
bool source_is_live(const struct source *source);

/* False: the input is a stream that can be read once only. */
bool source_can_resume(const struct source *source);
/* Moves to the position after the last of the `rows` rows that an earlier run has sent. *skip: rows
 * that the caller must still read and skip. */
MUST_USE bool source_resume(struct source *source, const struct row_position *position,
                            int64_t rows, int64_t *skip, struct err *err);

/* The progress, in units of *total: bytes of the files, or generated rows. *total is 0 if the
 * source is live. */
int64_t source_progress(const struct source *source, int64_t *total);
/* All 0 if the source does not sort. */
struct external_sort_numbers source_sort_numbers(const struct source *source);
/* The number of files; *ignored: other files in the folder. Both are 0 without files. */
size_t source_file_count(const struct source *source, size_t *ignored);
/* How many of these files have no row. Streams do not count. */
size_t source_empty_files(const struct source *source);

#endif
