/* Where the rows come from: files, or the generator. One run over a source is a segment. */
#ifndef FUNNEL_SOURCE_H
#define FUNNEL_SOURCE_H

#include "base/err.h"
#include "generator.h"
#include "row.h"

#define SEGMENT_NAME_MAX 128

struct source;
/* path: file or folder. limit: rows to read at most, 0: all. NULL and err: ERR_INPUT where the input is not usable. */
struct source *source_files_new(const char *path, int64_t limit, struct err *err);
struct source *source_synthetic_new(const struct generator_config *config, int64_t limit,
                                    struct err *err);
void source_free(struct source *source);

/* Base name of the input and a short hash of all that decides its rows: the same input, the same name. */
const char *source_segment(const struct source *source);

enum source_verdict { SOURCE_ROW, SOURCE_END /* see source_whole */, SOURCE_FAILED /* err */ };
enum source_verdict source_next(struct source *source, struct row *row, struct err *err);
/* After SOURCE_END: the input was read to its end, not only to the limit. */
bool source_whole(const struct source *source);

/* Goes back to just after a position where an earlier run has been, of which `rows` rows were done. *skip: rows that must still be read and left out. */
MUST_USE bool source_resume(struct source *source, const struct row_position *position,
                            int64_t rows, int64_t *skip, struct err *err);

/* How far it is, in parts of *total. */
int64_t source_progress(const struct source *source, int64_t *total);
/* Files, and files of the folder that were ignored; 0 for the generator. */
size_t source_file_count(const struct source *source, size_t *ignored);

#endif
