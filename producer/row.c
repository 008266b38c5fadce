/* A row fits if it has as many columns as the header; bronze-sink validates the fields. Rejected:
 * repairing rows with too few or too many columns, because a shifted column makes a wrong event. */
#include "row.h"

#include <stdio.h>

#include "event/event_fields.h"
#include "event/event_values.h"

const struct row_columns row_columns_standard = {EVENT_FIELD_COUNT,
                                                 {0, 1, 2, 3, 4, 5, 6, 7, 8},
                                                 ','};

void row_clear(struct row *row)
{
	row->error[0] = '\0';
	row->event_time_us = ROW_TIME_NONE;
	row->extras = NULL;
	row->extra_count = 0;
	row->unmapped_type = false;
	row->price_is_number = false;
}

int64_t row_user_id(const struct row *row)
{
	int64_t user_id = ROW_USER_NONE;

	if (!row->error[0])
		(void)event_integer_read(row->fields[FIELD_USER_ID], &user_id);
	return user_id;
}

void row_too_long(struct row *row, struct span raw)
{
	row_clear(row);
	row->raw = raw;
	snprintf(row->error, sizeof(row->error), "line longer than %d bytes, cut", CSV_LINE_MAX);
}

void row_cut_off(struct row *row)
{
	if (!row->error[0])
		snprintf(row->error, sizeof(row->error),
		         "row cut off at the early end of the compressed stream");
}

void row_split(struct row *row, const struct row_columns *columns, enum csv_result result,
               const struct csv_record *record, const struct span *fields)
{
	row_clear(row);
	row->raw = record->raw;
	if (result == CSV_MALFORMED) {
		snprintf(row->error, sizeof(row->error), "broken quotes");
		return;
	}
	if (record->field_count != columns->count) {
		snprintf(row->error, sizeof(row->error), "expected %zu columns, found %zu",
		         columns->count, record->field_count);
		return;
	}
	for (size_t i = 0; i < EVENT_FIELD_COUNT; i++)
		row->fields[i] =
			columns->at[i] == ROW_COLUMN_NONE ? SPAN_NULL : fields[columns->at[i]];
	if (!event_time_read(row->fields[FIELD_EVENT_TIME], &row->event_time_us))
		row->event_time_us = ROW_TIME_NONE;
}
