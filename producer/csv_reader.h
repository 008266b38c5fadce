/* The rows of one CSV file, plain or gzip.
 *
 * Every record after the header is a row, also one that cannot be split; empty lines are not rows. A record
 * that would span lines without giving the right number of columns is cut at its first line end, so that a stray quote costs
 * one row, not all up to the next quote. */
#ifndef FUNNEL_CSV_READER_H
#define FUNNEL_CSV_READER_H

#include "base/err.h"
#include "row.h"

#define CSV_LINE_MAX \
	262144 /* bytes of one line; the rest of a longer one is skipped, and its row says so */
#define CSV_MULTILINE_MAX 65536 /* bytes of one record over several lines */

struct csv_reader;
/* Opens the file and reads its header. NULL and err (ERR_INPUT) with the file's name. */
struct csv_reader *csv_reader_new(const char *path, struct err *err);
void csv_reader_free(struct csv_reader *reader);

enum csv_reader_verdict {
	CSV_READER_ROW,
	CSV_READER_END,
	CSV_READER_CUT /* err: truncated gzip */,
	CSV_READER_FAILED /* err */
};
/* Sets all of row but source_file and position.file. */
enum csv_reader_verdict csv_reader_next(struct csv_reader *reader, struct row *row,
                                        struct err *err);

/* Goes on after the given row, for a plain file. False: the caller must skip rows itself. */
bool csv_reader_seek(struct csv_reader *reader, const struct row_position *position);
/* Bytes of the file read so far, packed where it is packed. */
int64_t csv_reader_bytes(const struct csv_reader *reader);

#endif
