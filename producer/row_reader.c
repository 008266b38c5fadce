/* Chooses the reader by the first byte of the text, numbers the rows, and applies the mapping. */
#include "row_reader.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "byte_reader.h"
#include "byte_window.h"
#include "columns.h"
#include "csv_reader.h"
#include "event/event.h"
#include "http_stream.h"
#include "json_reader.h"
#include "mapping.h"

const struct row_format row_format_default = {'\0', "", "", NULL};

struct row_reader {
	struct byte_window *window;
	struct csv_reader *csv;
	struct json_reader *json;
	struct mapping *mapping; /* borrowed; NULL: none */
	int64_t row;
	struct mapped_texts mapped;
};

static bool open_text(struct row_reader *reader, const struct row_format *format, struct err *err)
{
	struct column_names names;

	for (size_t i = 0; i < EVENT_FIELD_COUNT; i++)
		names.of[i] = mapping_column(format->mapping, i);
	if (json_reader_recognises(reader->window))
		reader->json = json_reader_new(reader->window, &names, err);
	else
		reader->csv = csv_reader_new(reader->window, format->delimiter, format->columns,
		                             &names, err);
	return reader->json || reader->csv;
}

struct row_reader *row_reader_new(const char *path, const struct row_format *format,
                                  struct err *err)
{
	char name[HTTP_NAME_MAX];
	struct row_reader *reader = calloc(1, sizeof(*reader));

	if (!reader) {
		err_set(err, ERR_FATAL, "%s: out of memory", path);
		return NULL;
	}
	format = format ? format : &row_format_default;
	reader->mapping = format->mapping;
	reader->window = byte_window_new(path, format->encoding, err);
	if (reader->window && open_text(reader, format, err))
		return reader;
	if (reader->window)
		err_prefix(err, "%s",
		           strcmp(path, "-") == 0 ? "standard input" : http_shown(path, name));
	row_reader_free(reader);
	return NULL;
}

void row_reader_free(struct row_reader *reader)
{
	if (!reader)
		return;
	csv_reader_free(reader->csv);
	json_reader_free(reader->json);
	byte_window_free(reader->window);
	free(reader);
}

static enum row_reader_result at_end(const struct row_reader *reader, struct err *err)
{
	if (reader->window->ended == BYTES_END)
		return ROW_READER_END;
	if (err)
		*err = reader->window->end_err;
	return reader->window->ended == BYTES_CUT ? ROW_READER_CUT : ROW_READER_FAILED;
}

enum row_reader_result row_reader_next(struct row_reader *reader, struct row *row, struct err *err)
{
	do {
		if (!(reader->csv ? csv_reader_next(reader->csv, row)
		                  : json_reader_next(reader->json, row)))
			return at_end(reader, err);
		row->position =
			(struct row_position){0, ++reader->row, byte_window_offset(reader->window)};
	} while (reader->mapping && !row->error[0] &&
	         !mapping_apply(reader->mapping, row, &reader->mapped));
	return ROW_READER_ROW;
}

bool row_reader_seek(struct row_reader *reader, const struct row_position *position)
{
	if (position->row == 0)
		return true; /* a new reader is already after the header */
	if (!byte_window_seek(reader->window, position->byte_offset))
		return false;
	reader->row = position->row;
	return true;
}

int64_t row_reader_bytes(const struct row_reader *reader)
{
	return byte_reader_position(reader->window->reader);
}

bool row_reader_is_nested(const struct row_reader *reader)
{
	return byte_reader_is_nested(reader->window->reader);
}

bool row_reader_waits(struct row_reader *reader)
{
	return byte_window_waits(reader->window);
}
