/* One pass over the headers: each access to them is a call of the client library. */
#include "stream/trace_headers.h"

#include <stdbool.h>

#include "base/span.h"

static bool is_usable(const struct header *header, const char *name)
{
	return span_is(header->name, name) && header->value.len > 0 &&
	       header->value.len <= TRACE_VALUE_MAX;
}

size_t trace_headers_read(const struct input_record *record, struct header out[TRACE_HEADERS])
{
	struct header_list headers = record_headers(record);
	struct header parent = {SPAN_NULL, SPAN_NULL}, state = {SPAN_NULL, SPAN_NULL};
	size_t count = 0;

	for (size_t i = 0; i < headers.count; i++) {
		if (is_usable(&headers.at[i], "traceparent"))
			parent = headers.at[i];
		else if (is_usable(&headers.at[i], "tracestate"))
			state = headers.at[i];
	}
	if (parent.name.at)
		out[count++] = parent;
	if (count && state.name.at)
		out[count++] = state;
	return count;
}
