/* The header is found by its names: exact, in lower case, a byte order mark before the first is
 * skipped. A row fits when it has as many columns as the header; what its fields hold is the sink's
 * to judge. Rejected: mending rows with too few or too many columns, as a shifted column makes a wrong event. */
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
		return err_set(err, ERR_INPUT, "the first line is no header of columns (%zu bytes)",
		               header.len);
	memcpy(line, header.at, header.len);
	if (csv_next(line, header.len, true, fields, ROW_COLUMNS_MAX, &record, &used) !=
	            CSV_RECORD ||
	    record.field_count > ROW_COLUMNS_MAX)
		return err_set(err, ERR_INPUT, "the first line is no header of columns");
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
		return err_set(
			err, ERR_INPUT,
			"no header line: the first line names none of the nine columns (event_time, event_type, ...); put one before it");
	return !missing || err_set(err, ERR_INPUT, "column %s is missing in the header", missing);
}

void row_split(struct row *row, const struct row_columns *columns, enum csv_result verdict,
               const struct csv_record *record, const struct span *fields)
{
	row->raw = record->raw;
	row->error[0] = '\0';
	row->event_time_us = ROW_TIME_NONE;
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
