/* The rows of one CSV file, plain or gzip.
 *
 * Every record after the header is a row, even if it cannot be split into columns. Empty lines are
 * not rows. If a record spans lines but does not have the right number of columns, it ends at its
 * first line end. So a stray quote costs one row, and not all rows up to the next quote. */
#ifndef FUNNEL_CSV_READER_H
#define FUNNEL_CSV_READER_H

#include "base/err.h"
#include "row.h"

/* bytes of one line; the rest of a longer line is skipped, and its row has an error */
#define CSV_LINE_MAX      262144
#define CSV_MULTILINE_MAX 65536 /* bytes of one record that spans several lines */

struct csv_reader;
/* Opens the file and reads its header. NULL and err (ERR_INPUT, with the name of the file):
 * failed. */
struct csv_reader *csv_reader_new(const char *path, struct err *err);
void csv_reader_free(struct csv_reader *reader);

enum csv_reader_result {
	CSV_READER_ROW,
	CSV_READER_END,
	CSV_READER_CUT,   /* err: the gzip stream ends early, or is damaged */
	CSV_READER_FAILED /* err: reading failed */
};
/* Sets all members of row except source_file and position.file. */
enum csv_reader_result csv_reader_next(struct csv_reader *reader, struct row *row, struct err *err);

/* Continues after the given row, in a plain file. False: not possible; the caller must skip
 * rows. */
bool csv_reader_seek(struct csv_reader *reader, const struct row_position *position);
/* Bytes of the file read so far, compressed if the file is compressed. */
int64_t csv_reader_bytes(const struct csv_reader *reader);

#endif
