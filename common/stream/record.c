#include "stream/record.h"

int64_t record_time_clamp_ms(int64_t timestamp_ms)
{
	const int64_t last_ms = INT64_C(253402300799999);

	return timestamp_ms < 0 ? 0 : timestamp_ms > last_ms ? last_ms : timestamp_ms;
}

struct span record_header(const struct input_record *record, const char *name)
{
	for (size_t i = record->header_count; i-- > 0;)
		if (span_is(record->headers[i].name, name))
			return record->headers[i].value;
	return SPAN_NULL;
}
