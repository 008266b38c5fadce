/* The rows of CSV in a window.
 *
 * Every record after the header is a row, even if it cannot be split into columns. Empty lines are
 * not rows. If a record spans lines but does not have the right number of columns, it ends at its
 * first line end. So a stray quote costs one row, and not all rows up to the next quote. */
#ifndef FUNNEL_CSV_READER_H
#define FUNNEL_CSV_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "byte_window.h"
#include "columns.h"
#include "row.h"

#define CSV_MULTILINE_MAX 65536 /* bytes of one record that spans several lines */

struct csv_reader;
/* Reads the header, or the names in `given` if that is not empty. If the file has a header too, the
 * header counts. A file of 0 bytes, or of blank lines only, needs no header and has no rows.
 * window: borrowed. NULL and err (ERR_INPUT): failed. */
struct csv_reader *csv_reader_new(struct byte_window *window, char delimiter, const char *given,
                                  const struct column_names *names, struct err *err);
void csv_reader_free(struct csv_reader *reader);

/* Reads the next row, up to the window's end. Sets all members of row except source_file, position
 * and unmapped_type. False: no more rows. */
bool csv_reader_next(struct csv_reader *reader, struct row *row);

#endif
