/* Control records: what the producer and funnel-aggregator say beside the events. */
#ifndef FUNNEL_CONTROL_H
#define FUNNEL_CONTROL_H

#include <stdint.h>

#include "stream/record.h"

/* A control record (header `control`) of raw or bronze. */
enum control_kind { CONTROL_NONE, CONTROL_BEGIN, CONTROL_JUMP, CONTROL_END, CONTROL_INVALID };
struct control {
	enum control_kind kind;
	int64_t event_time_us; /* begin and jump */
};
struct control control_read(const struct input_record *record);

/* Header `control` of a record in the internal topic of partials by which a source tells since when it counts which rollups: headers
 * `source_partition` and `since` (see window.h), no value. */
#define CONTROL_ROLLUPS "rollups"

#endif
