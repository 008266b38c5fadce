/* A window over the bytes. It moves to the front when a line does not end inside it. csv_next
 * splits a line in place. A line with a quote is split in a copy first: if its quoting is wrong,
 * the reader still needs the next lines unchanged. */
#include "csv_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/span.h"
#include "base/timetext.h"
#include "byte_reader.h"

#define WINDOW_BYTES (4 * CSV_LINE_MAX)

struct csv_reader {
	struct byte_reader *bytes;
	struct row_columns columns;
	size_t at, end;        /* the unread bytes in the window */
	int64_t window_offset; /* offset of window[0] in the uncompressed bytes */
	int64_t row;
	enum byte_result ended; /* BYTES_GIVEN: not yet */
	struct err end_err;
	bool skipping; /* reading the rest of a line that is too long */
	char copy[CSV_MULTILINE_MAX > CSV_LINE_MAX ? CSV_MULTILINE_MAX : CSV_LINE_MAX];
	char window[WINDOW_BYTES];
};

/* Reads more bytes into the window. Sets `ended` if there are none. */
static void fill(struct csv_reader *reader)
{
	size_t given;

	memmove(reader->window, reader->window + reader->at, reader->end - reader->at);
	reader->window_offset += (int64_t)reader->at;
	reader->end -= reader->at;
	reader->at = 0;
	reader->ended = byte_reader_read(reader->bytes, reader->window + reader->end,
	                                 WINDOW_BYTES - reader->end, &given, &reader->end_err);
	reader->end += given;
}

/* The next line, including its line end if it has one. Of a line that is too long: at least
 * CSV_LINE_MAX bytes. False: there are no more bytes. */
static bool next_line(struct csv_reader *reader, size_t *len)
{
	for (;;) {
		size_t have = reader->end - reader->at;
		const char *line_end = memchr(reader->window + reader->at, '\n', have);

		*len = line_end ? (size_t)(line_end - reader->window) - reader->at + 1 : have;
		if (line_end || have >= CSV_LINE_MAX || reader->ended != BYTES_GIVEN)
			return *len > 0;
		fill(reader);
	}
}

struct csv_reader *csv_reader_new(const char *path, struct err *err)
{
	struct csv_reader *reader = calloc(1, sizeof(*reader));
	size_t len = 0, header;

	if (!reader) {
		err_set(err, ERR_FATAL, "%s: out of memory", path);
		return NULL;
	}
	reader->bytes = byte_reader_new(path, err);
	if (!reader->bytes)
		goto failed;
	if (!next_line(reader, &len)) {
		err_set(err, ERR_INPUT, "%s: %s", path,
		        reader->ended == BYTES_END ? "the file is empty" : reader->end_err.message);
		goto failed;
	}
	header = len;
	while (header > 0 &&
	       (reader->window[header - 1] == '\n' || reader->window[header - 1] == '\r'))
		header--;
	if (!row_columns_read((struct span){reader->window, header}, &reader->columns, err)) {
		err_prefix(err, "%s", path);
		goto failed;
	}
	reader->at = len;
	return reader;
failed:
	csv_reader_free(reader);
	return NULL;
}

void csv_reader_free(struct csv_reader *reader)
{
	if (!reader)
		return;
	byte_reader_free(reader->bytes);
	free(reader);
}

static bool is_blank(const char *line, size_t len)
{
	return len == 0 || (len == 1 && (line[0] == '\n' || line[0] == '\r')) ||
	       (len == 2 && line[0] == '\r' && line[1] == '\n');
}

static struct span without_line_end(const char *at, size_t len)
{
	if (len > 0 && at[len - 1] == '\n')
		len--;
	if (len > 0 && at[len - 1] == '\r')
		len--;
	return (struct span){at, len};
}

static bool is_complete_row(const struct csv_reader *reader, enum csv_result verdict,
                            const struct csv_record *record)
{
	return verdict == CSV_RECORD && record->field_count == reader->columns.count;
}

/* Whether a line has the right number of commas and a time in the column of the event time. */
static bool looks_like_a_row(const struct csv_reader *reader, struct span line)
{
	struct span time = SPAN_NULL;
	size_t column = 0, start = 0;
	int64_t time_us;

	for (size_t i = 0; i <= line.len; i++) {
		if (i < line.len && line.at[i] != ',')
			continue;
		if (column++ == reader->columns.at[0])
			time = (struct span){line.at + start, i - start};
		start = i + 1;
	}
	return column == reader->columns.count && time_parse(time, &time_us);
}

/* Two stray quotes can turn all rows between them into one well-formed record, which would lose
 * these rows in one field. */
static bool swallows_a_row(const struct csv_reader *reader, const char *record, size_t len)
{
	const char *end = record + len, *line = memchr(record, '\n', len);

	while (line && line + 1 < end) {
		const char *start = line + 1;

		line = memchr(start, '\n', (size_t)(end - start));
		if (looks_like_a_row(reader,
		                     without_line_end(start,
		                                      (size_t)((line ? line + 1 : end) - start))))
			return true;
	}
	return false;
}

/* Splits the line at the front of the window. *len grows if the record spans several lines. */
static void split(struct csv_reader *reader, size_t *len, struct row *row)
{
	const char *line = reader->window + reader->at;
	struct span fields[ROW_COLUMNS_MAX];
	struct csv_record record, many;
	enum csv_result verdict;
	size_t used, have;

	if (!memchr(line, '"', *len)) {
		verdict = csv_next(reader->window + reader->at, *len, true, fields, ROW_COLUMNS_MAX,
		                   &record, &used);
		row_split(row, &reader->columns, verdict, &record, fields);
		return;
	}
	memcpy(reader->copy, line, *len);
	verdict = csv_next(reader->copy, *len, true, fields, ROW_COLUMNS_MAX, &record, &used);
	if (!is_complete_row(reader, verdict, &record)) {
		while (reader->end - reader->at < CSV_MULTILINE_MAX && reader->ended == BYTES_GIVEN)
			fill(reader);
		line = reader->window + reader->at;
		have = reader->end - reader->at < CSV_MULTILINE_MAX ? reader->end - reader->at
		                                                    : CSV_MULTILINE_MAX;
		memcpy(reader->copy, line, have);
		if (is_complete_row(reader,
		                    csv_next(reader->copy, have, reader->ended == BYTES_END, fields,
		                             ROW_COLUMNS_MAX, &many, &used),
		                    &many) &&
		    !swallows_a_row(reader, line, used)) {
			*len = used;
			verdict = CSV_RECORD;
			record = many;
		}
	}
	row_split(row, &reader->columns, verdict, &record, fields);
	row->raw = without_line_end(line, *len); /* unquoting has changed the copy */
}

static void too_long(struct csv_reader *reader, size_t *len, struct row *row)
{
	*len = *len < CSV_LINE_MAX ? *len : CSV_LINE_MAX;
	row_clear(row);
	row->raw = (struct span){reader->window + reader->at, *len};
	snprintf(row->error, sizeof(row->error), "line longer than %d bytes, cut", CSV_LINE_MAX);
}

/* Skips a blank line, or the rest of a line that was too long. */
static bool skipped(struct csv_reader *reader, size_t len)
{
	bool line_end = reader->window[reader->at + len - 1] == '\n';

	if (!reader->skipping && !is_blank(reader->window + reader->at, len))
		return false;
	reader->skipping = reader->skipping && !line_end;
	reader->at += len;
	return true;
}

static enum csv_reader_result at_end(const struct csv_reader *reader, struct err *err)
{
	if (reader->ended == BYTES_END)
		return CSV_READER_END;
	if (err)
		*err = reader->end_err;
	return reader->ended == BYTES_CUT ? CSV_READER_CUT : CSV_READER_FAILED;
}

enum csv_reader_result csv_reader_next(struct csv_reader *reader, struct row *row, struct err *err)
{
	bool line_end;
	size_t len;

	do
		if (!next_line(reader, &len))
			return at_end(reader, err);
	while (skipped(reader, len));
	line_end = reader->window[reader->at + len - 1] == '\n';
	if (!line_end && reader->ended == BYTES_FAILED)
		return at_end(reader, err);
	if (len > CSV_LINE_MAX || (!line_end && len >= CSV_LINE_MAX)) {
		reader->skipping = !line_end || len > CSV_LINE_MAX;
		too_long(reader, &len, row);
	} else {
		split(reader, &len, row);
		if (!line_end && reader->ended == BYTES_CUT && !row->error[0])
			snprintf(row->error, sizeof(row->error),
			         "row cut off at the early end of the gzip stream");
	}
	reader->at += len;
	row->position = (struct row_position){0, ++reader->row,
	                                      reader->window_offset + (int64_t)reader->at};
	return CSV_READER_ROW;
}

/* Also reads the byte before the end of the row: if it is not a line end, the row was a line that
 * is too long. */
bool csv_reader_seek(struct csv_reader *reader, const struct row_position *position)
{
	if (position->row == 0)
		return true; /* a new reader is already after the header */
	if (!byte_reader_seek(reader->bytes, position->byte_offset - 1))
		return false;
	reader->at = reader->end = 0;
	reader->window_offset = position->byte_offset - 1;
	reader->row = position->row;
	reader->ended = BYTES_GIVEN;
	fill(reader);
	reader->skipping = reader->end > 0 && reader->window[0] != '\n';
	reader->at = reader->end > 0 ? 1 : 0;
	return true;
}

int64_t csv_reader_bytes(const struct csv_reader *reader)
{
	return byte_reader_position(reader->bytes);
}
