/* The columns are found by the names in the header: exact, in lower case. A byte order mark before
 * the first name is skipped. A row fits if it has as many columns as the header; bronze-sink
 * validates the fields. Rejected: repairing rows with too few or too many columns, because a
 * shifted column makes a wrong event. */
#include "row.h"

#include <stdio.h>

#include "base/timetext.h"

#define HEADER_MAX 4096

const struct row_columns row_columns_standard = {EVENT_FIELD_COUNT, {0, 1, 2, 3, 4, 5, 6, 7, 8}};

bool row_columns_read(struct span header, struct row_columns *columns, struct err *err)
{
	struct span fields[ROW_COLUMNS_MAX];
	struct csv_record record;
	char line[HEADER_MAX];
	size_t used, found = 0;
	const char *missing = NULL;

	if (header.len >= 3 && memcmp(header.at, "\xef\xbb\xbf", 3) == 0)
		header = (struct span){header.at + 3, header.len - 3};
	if (header.len == 0 || header.len > sizeof(line))
		return err_set(err, ERR_INPUT, "the header line has %zu bytes; expected 1 to %d",
		               header.len, HEADER_MAX);
	memcpy(line, header.at, header.len);
	if (csv_next(line, header.len, true, fields, ROW_COLUMNS_MAX, &record, &used) !=
	            CSV_RECORD ||
	    record.field_count > ROW_COLUMNS_MAX)
		return err_set(
			err, ERR_INPUT,
			"the first line cannot be read as a header: it has broken quotes or more "
			"than %d columns",
			ROW_COLUMNS_MAX);
	columns->count = record.field_count;
	for (size_t i = 0; i < EVENT_FIELD_COUNT; i++) {
		size_t c = 0;

		while (c < record.field_count && !span_is(fields[c], event_field_names[i]))
			c++;
		columns->at[i] = (uint8_t)c;
		if (c < record.field_count)
			found++;
		else if (!missing)
			missing = event_field_names[i];
	}
	if (found == 0)
		return err_set(err, ERR_INPUT,
		               "no header line: the first line has none of the nine column names "
		               "(event_time, event_type, ...); add a header line");
	return !missing ||
	       err_set(err, ERR_INPUT, "column %s is missing in the header line", missing);
}

void row_clear(struct row *row)
{
	row->error[0] = '\0';
	row->event_time_us = ROW_TIME_NONE;
	row->extras = NULL;
	row->extra_count = 0;
	row->unmapped_type = false;
}

void row_split(struct row *row, const struct row_columns *columns, enum csv_result verdict,
               const struct csv_record *record, const struct span *fields)
{
	row_clear(row);
	row->raw = record->raw;
	if (verdict == CSV_MALFORMED) {
		snprintf(row->error, sizeof(row->error), "broken quotes");
		return;
	}
	if (record->field_count != columns->count) {
		snprintf(row->error, sizeof(row->error), "expected %zu columns, found %zu",
		         columns->count, record->field_count);
		return;
	}
	for (size_t i = 0; i < EVENT_FIELD_COUNT; i++)
		row->fields[i] = fields[columns->at[i]];
	if (!time_parse(row->fields[0], &row->event_time_us))
		row->event_time_us = ROW_TIME_NONE;
}
