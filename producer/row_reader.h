/* The rows of one file of an input: CSV or JSON lines, plain or in a container. The content
 * decides, not the name.
 *
 * A path names a file, a member of an archive (`archive.zip/member.csv`), standard input (`-`) or a
 * URL. Rows are numbered from 1, and rows that the mapping leaves out have a number too: so numbers
 * of the rows that are given may have gaps. */
#ifndef FUNNEL_ROW_READER_H
#define FUNNEL_ROW_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "row.h"

struct mapping;
/* How the files of an input are read. Readers borrow it. */
struct row_format {
	char delimiter;          /* of CSV; '\0': found in the header */
	const char *encoding;    /* name for iconv; "" is UTF-8 */
	const char *columns;     /* names of a CSV file without a header; "": the file has one */
	struct mapping *mapping; /* NULL: none. Counts the rows that it leaves out. */
};
extern const struct row_format row_format_default;

struct row_reader;
/* Opens the file and reads the header of CSV. format: NULL is the default. NULL and err
 * (ERR_INPUT, with the name of the file): failed. */
struct row_reader *row_reader_new(const char *path, const struct row_format *format,
                                  struct err *err);
void row_reader_free(struct row_reader *reader);

enum row_reader_result {
	ROW_READER_ROW,
	ROW_READER_END,
	ROW_READER_CUT,   /* err: the compressed stream ends early, or is damaged */
	ROW_READER_FAILED /* err: reading failed */
};
/* Sets all members of row except source_file and position.file. The row borrows from the reader
 * until the next call. */
enum row_reader_result row_reader_next(struct row_reader *reader, struct row *row, struct err *err);

/* Continues after the given row, in a plain file. False: not possible. The caller then reads rows
 * and drops them until one has at least the number of that row. */
bool row_reader_seek(struct row_reader *reader, const struct row_position *position);
/* Bytes of the file read so far, compressed if the file is compressed. Of a member of an archive:
 * bytes of the member. */
int64_t row_reader_bytes(const struct row_reader *reader);
/* Whether the file is in an archive that is in another archive. */
bool row_reader_is_nested(const struct row_reader *reader);
/* Whether the next row is not there yet: the input is a pipe or a stream, no complete row of it is
 * buffered, and no bytes came within one second. False for files. */
bool row_reader_waits(struct row_reader *reader);

#endif
