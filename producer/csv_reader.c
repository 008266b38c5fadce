/* A window gives lines. csv_next_delimited splits a line in place. A line with a quote is split in
 * a copy first: if its quoting is wrong, the reader still needs the next lines unchanged. */
#include "csv_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/csv.h"
#include "base/span.h"
#include "byte_reader.h"
#include "event/event_fields.h"
#include "event/event_values.h"

struct csv_reader {
	struct byte_window *window; /* borrowed */
	struct columns columns;
	struct columns other; /* of a further header line */
	struct column_names names;
	char copy[CSV_MULTILINE_MAX > CSV_LINE_MAX ? CSV_MULTILINE_MAX : CSV_LINE_MAX];
};

static struct span without_line_end(const char *at, size_t len)
{
	if (len > 0 && at[len - 1] == '\n')
		len--;
	while (len > 0 && at[len - 1] == '\r')
		len--;
	return (struct span){at, len};
}

/* ---- opening */

/* A line that a tool writes before the header: Excel's delimiter, PowerShell's type, a comment. */
static bool is_preamble(struct span line)
{
	return (line.len == 5 && strncasecmp(line.at, "sep=", 4) == 0) ||
	       (line.len > 2 && memcmp(line.at, "# ", 2) == 0) ||
	       (line.len > 6 && memcmp(line.at, "#TYPE ", 6) == 0);
}

/* Goes to the first line that is not blank and not a preamble. */
static bool find_first_line(struct byte_window *window, size_t *len)
{
	byte_window_want(window, 3);
	if (window->end - window->at >= 3 && memcmp(byte_window_at(window), "\xef\xbb\xbf", 3) == 0)
		window->at += 3;
	while (byte_window_row_line(window, len)) {
		if (!is_preamble(without_line_end(byte_window_at(window), *len)))
			return true;
		window->at += *len;
	}
	return false;
}

static bool read_columns(struct csv_reader *reader, char delimiter, const char *given,
                         const struct column_names *names, struct err *err)
{
	struct byte_window *window = reader->window;
	struct span header;
	size_t len = 0;

	if (!find_first_line(window, &len)) /* a file without any line has no rows */
		return window->ended == BYTES_END ||
		       err_set(err, ERR_INPUT, "%s", window->end_err.message);
	header = without_line_end(byte_window_at(window), len);
	if (!given[0]) {
		window->at += len;
		return columns_read(&reader->columns, header, delimiter, names, err);
	}
	if (columns_read(&reader->columns, header, delimiter, names, NULL)) {
		window->at += len;
		return true;
	}
	return columns_read_given(&reader->columns, span_of(given), header, delimiter, names, err);
}

struct csv_reader *csv_reader_new(struct byte_window *window, char delimiter, const char *given,
                                  const struct column_names *names, struct err *err)
{
	struct csv_reader *reader = calloc(1, sizeof(*reader));

	if (!reader) {
		err_set(err, ERR_FATAL, "out of memory");
		return NULL;
	}
	reader->window = window;
	reader->names = *names;
	if (read_columns(reader, delimiter, given, names, err))
		return reader;
	free(reader);
	return NULL;
}

void csv_reader_free(struct csv_reader *reader)
{
	free(reader);
}

/* ---- rows */

static bool is_complete_row(const struct csv_reader *reader, enum csv_result result,
                            const struct csv_record *record)
{
	return result == CSV_RECORD && record->field_count == reader->columns.fields.count;
}

/* Whether a line has the right number of delimiters and a time in the column of the event time. */
static bool looks_like_a_row(const struct csv_reader *reader, struct span line)
{
	struct span time = SPAN_NULL;
	size_t column = 0, start = 0;
	int64_t time_us;

	for (size_t i = 0; i <= line.len; i++) {
		if (i < line.len && line.at[i] != reader->columns.fields.delimiter)
			continue;
		if (column++ == reader->columns.fields.at[FIELD_EVENT_TIME])
			time = (struct span){line.at + start, i - start};
		start = i + 1;
	}
	return column == reader->columns.fields.count && event_time_read(time, &time_us);
}

/* Whether a text that began on a line before ends in the first column of the line. */
static bool ends_a_text(const struct csv_reader *reader, struct span line)
{
	const char *quote = memchr(line.at, '"', line.len);
	const char *delimiter = memchr(line.at, reader->columns.fields.delimiter, line.len);

	return quote && delimiter && quote < delimiter;
}

/* Two stray quotes can turn all rows between them into one well-formed record, which would lose
 * these rows in one field. If the text is the first column, its last line has the other columns. */
static bool swallows_a_row(const struct csv_reader *reader, const char *record, size_t len)
{
	const char *end = record + len, *line = memchr(record, '\n', len);
	bool in_first_column =
		line && !memchr(record, reader->columns.fields.delimiter, (size_t)(line - record));

	while (line && line + 1 < end) {
		const char *start = line + 1;
		struct span text;

		line = memchr(start, '\n', (size_t)(end - start));
		text = without_line_end(start, (size_t)((line ? line + 1 : end) - start));
		if (looks_like_a_row(reader, text) &&
		    !(in_first_column && ends_a_text(reader, text)))
			return true;
	}
	return false;
}

/* Sets the further columns, and takes the blanks that this file has after its delimiters. */
static void set_columns(struct csv_reader *reader, struct row *row, const struct span *fields)
{
	struct columns *columns = &reader->columns;

	if (row->error[0])
		return;
	for (size_t i = 0; i < columns->extra_count; i++)
		columns->extras[i].value = fields[columns->extra_at[i]];
	row->extras = columns->extras;
	row->extra_count = columns->extra_count;
}

static void drop_blanks(struct span *fields, size_t count)
{
	for (size_t i = 0; i < count && i < ROW_COLUMNS_MAX; i++) {
		while (fields[i].len > 0 && fields[i].at[0] == ' ')
			fields[i] = (struct span){fields[i].at + 1, fields[i].len - 1};
		while (fields[i].len > 0 && fields[i].at[fields[i].len - 1] == ' ')
			fields[i].len--;
	}
}

/* Removes the blanks between quotes and delimiters. Returns the new length. */
static size_t join_quotes(char *line, size_t len, char delimiter)
{
	bool quoted = false;
	size_t to = 0;

	for (size_t i = 0; i < len; i++) {
		size_t start = to;

		if (!quoted && line[i] == ' ' && to > 0 && line[to - 1] == '"')
			continue;
		while (!quoted && line[i] == '"' && start > 0 && line[start - 1] == ' ')
			start--;
		if (start == 0 || line[start - 1] == delimiter)
			to = start;
		quoted ^= line[i] == '"';
		line[to++] = line[i];
	}
	return to;
}

static enum csv_result split_at(struct csv_reader *reader, char *at, size_t len, bool at_end,
                                struct span *fields, struct csv_record *record, size_t *used)
{
	enum csv_result result = csv_next_delimited(reader->columns.fields.delimiter, at, len,
	                                            at_end, fields, ROW_COLUMNS_MAX, record, used);

	if (reader->columns.spaced)
		drop_blanks(fields, record->field_count);
	return result;
}

/* Tries to read a record of several lines. *len: its length if that succeeds. */
static bool split_lines(struct csv_reader *reader, size_t *len, struct span *fields,
                        struct csv_record *record)
{
	struct byte_window *window = reader->window;
	struct csv_record many;
	size_t used, have;

	byte_window_want(window, CSV_MULTILINE_MAX);
	have = window->end - window->at;
	have = have < CSV_MULTILINE_MAX ? have : CSV_MULTILINE_MAX;
	memcpy(reader->copy, byte_window_at(window), have);
	if (!is_complete_row(reader,
	                     split_at(reader, reader->copy, have, window->ended == BYTES_END,
	                              fields, &many, &used),
	                     &many) ||
	    swallows_a_row(reader, byte_window_at(window), used))
		return false;
	*len = used;
	*record = many;
	return true;
}

/* Splits the line at the front of the window. *len grows if the record spans several lines. */
static void split(struct csv_reader *reader, size_t *len, struct row *row)
{
	struct byte_window *window = reader->window;
	char *line = window->bytes + window->at;
	struct span fields[ROW_COLUMNS_MAX];
	bool quoted = memchr(line, '"', *len);
	struct csv_record record;
	enum csv_result result;
	size_t used, line_len = *len;

	if (quoted)
		line = memcpy(reader->copy, line, *len);
	if (quoted && reader->columns.spaced)
		line_len = join_quotes(line, *len, reader->columns.fields.delimiter);
	result = split_at(reader, line, line_len, true, fields, &record, &used);
	if (quoted && !is_complete_row(reader, result, &record) &&
	    split_lines(reader, len, fields, &record))
		result = CSV_RECORD;
	row_split(row, &reader->columns.fields, result, &record, fields);
	set_columns(reader, row, fields);
	if (quoted) /* unquoting has changed the copy */
		row->raw = without_line_end(byte_window_at(window), *len);
}

static bool has_name(struct span line, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i + len <= line.len; i++)
		if (strncasecmp(line.at + i, name, len) == 0)
			return true;
	return false;
}

/* Whether the row is the header line of another file, joined to this one, with other columns. The
 * rows after it would be read with the wrong columns. */
static bool is_other_header(struct csv_reader *reader, const struct row *row)
{
	return row->event_time_us == ROW_TIME_NONE &&
	       has_name(row->raw, reader->names.of[FIELD_EVENT_TIME]) &&
	       columns_read(&reader->other, row->raw, '\0', &reader->names, NULL) &&
	       (reader->other.fields.count != reader->columns.fields.count ||
	        reader->other.fields.delimiter != reader->columns.fields.delimiter ||
	        memcmp(reader->other.fields.at, reader->columns.fields.at,
	               sizeof(reader->other.fields.at)) != 0);
}

static bool stop_at_header(struct byte_window *window)
{
	window->ended = BYTES_FAILED;
	err_set(&window->end_err, ERR_INPUT,
	        "%s: at byte %lld there is another header line, with other columns; expected one "
	        "kind of rows in a file. Split the file before this line",
	        byte_reader_path(window->reader), (long long)byte_window_offset(window) + 1);
	window->at = window->end;
	return false;
}

bool csv_reader_next(struct csv_reader *reader, struct row *row)
{
	struct byte_window *window = reader->window;
	bool line_end;
	size_t len;

	if (!byte_window_row_line(window, &len))
		return false;
	line_end = byte_window_at(window)[len - 1] == '\n';
	if (byte_window_too_long(window, &len)) {
		row_too_long(row, (struct span){byte_window_at(window), len});
	} else {
		split(reader, &len, row);
		if (is_other_header(reader, row))
			return stop_at_header(window);
		if (!line_end && window->ended == BYTES_CUT)
			row_cut_off(row);
	}
	window->at += len;
	return true;
}
