#include "stream/control.h"

#include "base/span.h"
#include "base/timetext.h"

struct control control_read(const struct input_record *record)
{
	struct span kind = record_header(record, "control");
	struct control control = {CONTROL_INVALID, 0};

	if (!kind.at)
		return (struct control){CONTROL_NONE, 0};
	if (span_is(kind, "end"))
		control.kind = CONTROL_END;
	else if (time_parse(record_header(record, "event_time"), &control.event_time_us))
		control.kind = span_is(kind, "begin")  ? CONTROL_BEGIN
		               : span_is(kind, "jump") ? CONTROL_JUMP
		                                       : CONTROL_INVALID;
	return control;
}
