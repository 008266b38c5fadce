#include "stream/record.h"

int64_t record_time_clamp_ms(int64_t timestamp_ms)
{
	const int64_t last_ms = INT64_C(253402300799999);

	return timestamp_ms < 0 ? 0 : timestamp_ms > last_ms ? last_ms : timestamp_ms;
}

struct header_list record_headers(const struct input_record *record)
{
	if (!record->read_headers)
		return (struct header_list){record->headers, record->header_count};
	return (struct header_list){record->header_room,
	                            record->read_headers(record->message, record->header_room)};
}

struct span record_header(const struct input_record *record, const char *name)
{
	struct header_list headers = record_headers(record);
	struct span wanted = span_of(name);

	for (size_t i = headers.count; i-- > 0;)
		if (span_equal(headers.at[i].name, wanted))
			return headers.at[i].value;
	return SPAN_NULL;
}
