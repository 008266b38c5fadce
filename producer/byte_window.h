/* A window over the text of a file. When a record does not end in it, the unread bytes move to its
 * front, and more bytes are read. */
#ifndef FUNNEL_BYTE_WINDOW_H
#define FUNNEL_BYTE_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "byte_reader.h"
#include "row.h"

#define WINDOW_BYTES (4 * CSV_LINE_MAX)

struct byte_window {
	struct byte_reader *reader; /* owned */
	size_t at, end;             /* the unread bytes */
	int64_t offset;             /* of bytes[0] in the text */
	enum byte_result ended;     /* BYTES_GIVEN: not yet */
	struct err end_err;
	bool skipping; /* reading the rest of a line that is too long */
	char bytes[WINDOW_BYTES];
};

/* NULL and err: the file cannot be opened. */
struct byte_window *byte_window_new(const char *path, const char *encoding, struct err *err);
void byte_window_free(struct byte_window *window);

/* Reads more bytes. Sets `ended` if there are none. */
void byte_window_fill(struct byte_window *window);
/* Makes at least len bytes unread, unless the text ends before. */
void byte_window_want(struct byte_window *window, size_t len);
/* Finds the length of the next line, with its line end if it has one. Of a line that is too long:
 * at least CSV_LINE_MAX. False: there are no more bytes. */
bool byte_window_line(struct byte_window *window, size_t *len);
/* Skips blank lines and the rest of a line that was too long, then finds the next line. */
bool byte_window_row_line(struct byte_window *window, size_t *len);
/* Whether this line is not complete, because it is longer than CSV_LINE_MAX. Cuts *len and notes
 * that its rest is skipped. */
bool byte_window_too_long(struct byte_window *window, size_t *len);
/* Moves to the byte after a row. False: not possible. */
bool byte_window_seek(struct byte_window *window, int64_t offset);
/* Whether no complete line is buffered, and no bytes came within one second. */
bool byte_window_waits(struct byte_window *window);

static inline const char *byte_window_at(const struct byte_window *window)
{
	return window->bytes + window->at;
}
/* The offset in the text of the next unread byte. */
static inline int64_t byte_window_offset(const struct byte_window *window)
{
	return window->offset + (int64_t)window->at;
}

#endif
