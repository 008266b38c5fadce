/* The origin of an event, and the event ids that identify duplicates. */
#ifndef FUNNEL_EVENT_ID_H
#define FUNNEL_EVENT_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "event/event.h"

/* The origin of an event. */
struct lineage {
	struct span source_file; /* at == NULL: unknown */
	int64_t source_row;      /* 1: the first row after the header; 0: unknown */
	int64_t raw_offset;
	int64_t raw_time_ms; /* the raw record's own time */
	/* The time that the source announced, at most raw_time_ms; INT64_MIN: none. */
	int64_t source_clock_us;
	int32_t raw_partition;
};

#define EVENT_ID_BYTES 16
/* MD5 of "user_session|user_id|product_id|event_type|event_time". */
void event_id_content(const struct event *event, uint8_t id[EVENT_ID_BYTES]);
/* MD5 of "source_file|source_row". */
void event_id_source(const struct lineage *lineage, uint8_t id[EVENT_ID_BYTES]);
/* An id as a UUID: 36 characters and a terminator. */
void event_id_format(const uint8_t id[EVENT_ID_BYTES], char text[37]);
bool event_id_parse(struct span text, uint8_t id[EVENT_ID_BYTES]);

#endif
