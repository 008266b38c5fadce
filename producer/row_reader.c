/* Chooses the reader by the first bytes of the content. */
#include "row_reader.h"

#include "csv_reader.h"

const struct row_format row_format_default = {'\0', "", "", NULL};

struct row_reader *row_reader_new(const char *path, const struct row_format *format,
                                  struct err *err)
{
	(void)format;
	return (struct row_reader *)csv_reader_new(path, err);
}

void row_reader_free(struct row_reader *reader)
{
	csv_reader_free((struct csv_reader *)reader);
}

enum row_reader_result row_reader_next(struct row_reader *reader, struct row *row, struct err *err)
{
	return (enum row_reader_result)csv_reader_next((struct csv_reader *)reader, row, err);
}

bool row_reader_seek(struct row_reader *reader, const struct row_position *position)
{
	return csv_reader_seek((struct csv_reader *)reader, position);
}

int64_t row_reader_bytes(const struct row_reader *reader)
{
	return csv_reader_bytes((const struct csv_reader *)reader);
}

bool row_reader_waits(struct row_reader *reader)
{
	(void)reader;
	return false;
}
