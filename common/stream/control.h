/* Control records: messages of the producer and of funnel-aggregator in the topics of events and
 * partials. They carry no event. */
#ifndef FUNNEL_CONTROL_H
#define FUNNEL_CONTROL_H

#include <stdint.h>

#include "stream/record.h"

/* The kind of control that a record of raw or bronze is, by its header `control`. */
enum control_kind {
	CONTROL_NONE,    /* not a control */
	CONTROL_BEGIN,   /* the producer begins a run at an event time */
	CONTROL_JUMP,    /* the producer announces an event time */
	CONTROL_END,     /* the producer ends a run */
	CONTROL_INVALID, /* an unknown kind, or a time that cannot be read */
};
struct control {
	enum control_kind kind;
	int64_t event_time_us; /* of begin and jump; otherwise 0 */
};
struct control control_read(const struct input_record *record);

/* Value of the header `control` in the topic of partials. Such a record announces the start times
 * of a source's rollups. It has the headers `source_partition` and `since` (format:
 * event/window.h), and no value. */
#define CONTROL_ROLLUPS "rollups"

#endif
