/* Reads at most one block at a time, so that many open files do not fill all of their windows. */
#include "byte_window.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES 131072

struct byte_window *byte_window_new(const char *path, const char *encoding, struct err *err)
{
	struct byte_window *window = calloc(1, sizeof(*window));

	if (!window) {
		err_set(err, ERR_FATAL, "%s: out of memory", path);
		return NULL;
	}
	window->reader = byte_reader_new(path, encoding, err);
	if (window->reader)
		return window;
	free(window);
	return NULL;
}

void byte_window_free(struct byte_window *window)
{
	if (!window)
		return;
	byte_reader_free(window->reader);
	free(window);
}

void byte_window_fill(struct byte_window *window)
{
	size_t given, cap;

	memmove(window->bytes, window->bytes + window->at, window->end - window->at);
	window->offset += (int64_t)window->at;
	window->end -= window->at;
	window->at = 0;
	cap = WINDOW_BYTES - window->end;
	window->ended =
		byte_reader_read(window->reader, window->bytes + window->end,
	                         cap < BLOCK_BYTES ? cap : BLOCK_BYTES, &given, &window->end_err);
	window->end += given;
}

void byte_window_want(struct byte_window *window, size_t len)
{
	while (window->end - window->at < len && window->ended == BYTES_GIVEN)
		byte_window_fill(window);
}

bool byte_window_line(struct byte_window *window, size_t *len)
{
	size_t searched = 0;

	for (;;) {
		size_t have = window->end - window->at;
		const char *line_end =
			memchr(byte_window_at(window) + searched, '\n', have - searched);

		*len = line_end ? (size_t)(line_end - byte_window_at(window)) + 1 : have;
		if (line_end || have >= CSV_LINE_MAX || window->ended != BYTES_GIVEN)
			return *len > 0;
		searched = have;
		byte_window_fill(window);
	}
}

static bool is_blank(const char *line, size_t len)
{
	size_t i = 0;

	while (i < len && line[i] == '\r')
		i++;
	return i == len || (i + 1 == len && line[i] == '\n');
}

bool byte_window_row_line(struct byte_window *window, size_t *len)
{
	while (byte_window_line(window, len)) {
		bool line_end = byte_window_at(window)[*len - 1] == '\n';

		if (!window->skipping && !is_blank(byte_window_at(window), *len))
			return line_end || window->ended != BYTES_FAILED;
		window->skipping = window->skipping && !line_end;
		window->at += *len;
	}
	return false;
}

bool byte_window_too_long(struct byte_window *window, size_t *len)
{
	bool line_end = byte_window_at(window)[*len - 1] == '\n';

	if (*len < CSV_LINE_MAX || (*len == CSV_LINE_MAX && line_end))
		return false;
	*len = CSV_LINE_MAX;
	window->skipping = true;
	return true;
}

/* Also reads the byte before the offset. If it is not a line end, the row was a line that is too
 * long, or an object with other objects after it on its line. */
bool byte_window_seek(struct byte_window *window, int64_t offset)
{
	if (!byte_reader_seek(window->reader, offset - 1))
		return false;
	window->at = window->end = 0;
	window->offset = offset - 1;
	window->ended = BYTES_GIVEN;
	byte_window_fill(window);
	window->skipping = window->end > 0 && window->bytes[0] != '\n';
	window->at = window->end > 0 ? 1 : 0;
	return true;
}

bool byte_window_waits(struct byte_window *window)
{
	return window->ended == BYTES_GIVEN &&
	       !memchr(byte_window_at(window), '\n', window->end - window->at) &&
	       byte_reader_waits(window->reader);
}
