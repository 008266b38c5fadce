/* Look-ups in REASON_TABLE. */
#include "event/reason.h"

#include "base/span.h"

static const struct {
	const char *name, *help;
} reasons[REASON_COUNT] = {
#define REASON_ROW(id, name, help) {name, help},
	REASON_TABLE(REASON_ROW)
#undef REASON_ROW
};

const char *reason_name(enum reason reason)
{
	return reasons[reason].name;
}

const char *reason_help(enum reason reason)
{
	return reasons[reason].help;
}

enum reason reason_from_name(struct span name)
{
	for (int i = 0; i < REASON_COUNT; i++)
		if (span_is(name, reasons[i].name))
			return (enum reason)i;
	return REASON_COUNT;
}
