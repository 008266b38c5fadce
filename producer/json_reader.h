/* The rows of JSON in a window: one object per line, or objects in an array or over several lines.
 *
 * Members with the name of a field are that field; others are extras. Numbers keep their text.
 * null, an empty text, a bare NaN and a missing member mean a missing value. Text that is not an
 * object is a row with an error, up to its line end. */
#ifndef FUNNEL_JSON_READER_H
#define FUNNEL_JSON_READER_H

#include <stdbool.h>

#include "base/err.h"
#include "byte_window.h"
#include "columns.h"
#include "row.h"

/* Whether the text is JSON: its first byte that is not a blank is '{' or '['. */
bool json_reader_recognises(struct byte_window *window);

struct json_reader;
/* window: borrowed. names: copied. ERR_INPUT: the first object has none of the needed names. */
struct json_reader *json_reader_new(struct byte_window *window, const struct column_names *names,
                                    struct err *err);
void json_reader_free(struct json_reader *reader);

/* Reads the next row, up to the window's end. Sets all members of row except source_file, position
 * and unmapped_type. False: no more rows. */
bool json_reader_next(struct json_reader *reader, struct row *row);

#endif
