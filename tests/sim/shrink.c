/* First leaves out large parts, then smaller ones, then single choices (delta debugging). */
#include "sim/shrink.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "sim/substitutes.h"

static bool still_fails(const struct schedule_options *options, const struct trace *trace)
{
	struct schedule_options with = *options;
	struct schedule_result result;
	bool failed;

	with.replayed = trace;
	schedule_run(&with, &result);
	failed = result.failed;
	trace_free(&result.trace);
	return failed;
}

static struct trace without(const struct trace *trace, size_t from, size_t count)
{
	struct trace shorter = {xzalloc(trace->count + 1, sizeof(*trace->at)), 0, 0};

	for (size_t i = 0; i < trace->count; i++)
		if (i < from || i >= from + count)
			shorter.at[shorter.count++] = trace->at[i];
	shorter.capacity = trace->count + 1;
	return shorter;
}

/* Leaves out parts of this size. Returns whether any could be left out. */
static bool pass(const struct schedule_options *options, struct trace *trace, size_t size,
                 double until)
{
	bool any = false;

	for (size_t from = 0; from < trace->count && real_seconds() < until;) {
		struct trace shorter = without(trace, from, size);

		if (still_fails(options, &shorter)) {
			trace_free(trace);
			*trace = shorter;
			any = true;
		} else {
			trace_free(&shorter);
			from += size;
		}
	}
	return any;
}

void shrink(const struct schedule_options *options, struct trace *trace, double seconds)
{
	double until = real_seconds() + seconds;
	size_t size = trace->count / 2;

	while (size >= 1 && real_seconds() < until) {
		bool any = pass(options, trace, size, until);

		if (size == 1 && !any)
			break;
		size = size > 1 ? size / 2 : 1;
	}
}
