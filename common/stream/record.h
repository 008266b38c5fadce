/* A record of an input topic, as the folds see it. */
#ifndef FUNNEL_RECORD_H
#define FUNNEL_RECORD_H

#include <stdint.h>

#include "base/span.h"
#include "event/reason.h"
#include "stream/outbox.h"

struct input_record {
	struct span topic;
	int64_t offset;
	int64_t timestamp_ms; /* the record's own time, in the years 1970 to 9999 */
	int32_t partition;
	struct span key, value; /* as they came */
	struct span body;       /* the value without framing, under our own schema */
	enum reason refused;    /* why body could not be had; then detail says more */
	const char *detail;
	const struct header *headers;
	size_t header_count;
};

/* A record's time as its writer has set it, clamped to the years 1970 to 9999. */
int64_t record_time_clamp_ms(int64_t timestamp_ms);
/* A header's last value; at == NULL where there is none. */
struct span record_header(const struct input_record *record, const char *name);

#endif
