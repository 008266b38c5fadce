/* A file of an input: first the splitter of CSV alone, then the reader, whose rows become the JSON
 * of the raw topic. Both must end, and must not read outside their bytes. bronze-sink must be able
 * to parse the JSON. */
#define _GNU_SOURCE /* memfd_create */
#include <sys/mman.h>
#include <unistd.h>

#include "base/csv.h"
#include "base/err.h"
#include "base/span.h"
#include "base/utf8.h"
#include "event/event.h"
#include "event/event_json_library.h"
#include "event/event_json_write.h"
#include "event/reason.h"
#include "fuzz.h"
#include "fuzz/fuzz.h"
#include "row.h"
#include "row_reader.h"

#define FIELDS   16
#define JSON_MAX 262144 /* an input of 4 KiB, each byte escaped, twice, and the names */

static bool lies_within(struct span part, const char *from, const char *to)
{
	return part.at >= from && part.at + part.len <= to;
}

static void split_all(char *bytes, size_t size, bool at_end)
{
	struct span fields[FIELDS];
	struct csv_record record;
	size_t used = 0;

	for (size_t at = 0;; at += used) {
		enum csv_result result =
			csv_next(bytes + at, size - at, at_end, fields, FIELDS, &record, &used);

		if (result == CSV_NEED_MORE || result == CSV_END) {
			fuzz_check(used == 0 && at_end == (result == CSV_END));
			fuzz_check(result == CSV_NEED_MORE || at == size);
			return;
		}
		fuzz_check(used > 0 && used <= size - at);
		fuzz_check(lies_within(record.raw, bytes + at, bytes + at + used));
		fuzz_check(result == CSV_MALFORMED || record.field_count > 0);
		for (size_t i = 0; i < record.field_count && i < FIELDS; i++)
			fuzz_check(lies_within(fields[i], bytes + at, bytes + at + used));
	}
}

static void check_row(struct event_parser *parser, const struct row *row)
{
	static char json[JSON_MAX];
	struct event event;
	enum reason reason;
	size_t len;

	if (row->error[0])
		return;
	len = event_write_json_extras(row->fields, row->extras, row->extra_count, json,
	                              sizeof(json));
	fuzz_check(len > 0);
	reason = event_parse_json(parser, (struct span){json, len}, &event, NULL, 0);
	fuzz_check(reason != REASON_MALFORMED_JSON);
	fuzz_check((reason == REASON_INVALID_UTF8) ==
	           (utf8_valid_length((struct span){json, len}) < len));
}

static void read_file(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", 0);
	struct event_parser *parser = event_parser_new(NULL);
	enum row_reader_result result = ROW_READER_ROW;
	struct row_reader *reader;
	struct row row;
	struct err err;
	char path[64];

	fuzz_check(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reader = row_reader_new(path, NULL, &err);
	for (int64_t rows = 1; reader && result == ROW_READER_ROW; rows++) {
		result = row_reader_next(reader, &row, &err);
		if (result != ROW_READER_ROW)
			continue;
		fuzz_check(row.position.row == rows);
		check_row(parser, &row);
	}
	row_reader_free(reader);
	event_parser_free(parser);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char header[] =
		"event_time,event_type,product_id,category_id,category_code,brand,price,user_id,"
		"user_session\n";
	char *copy = malloc(sizeof(header) + size);

	fuzz_check(copy);
	memcpy(copy, data, size);
	split_all(copy, size, false);
	memcpy(copy, data, size);
	split_all(copy, size, true);
	/* The input has its own header, or none. Only one of the two, since a reader is large. */
	if (size > 0 && data[0] != ',') {
		free(copy);
		read_file(data, size);
		return 0;
	}
	memcpy(copy, header, sizeof(header) - 1);
	memcpy(copy + sizeof(header) - 1, data, size);
	read_file((const uint8_t *)copy, sizeof(header) - 1 + size);
	free(copy);
	return 0;
}
