/* Counts and prints what a redrive would do. */
#include "redrive_plan.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/timetext.h"
#include "event/clock.h"
#include "event/reason.h"

#define EXAMPLE_BYTES 120

static void widen(int64_t value, int64_t *first, int64_t *last)
{
	*first = value < *first ? value : *first;
	*last = value > *last ? value : *last;
}

static void note_example(struct redrive_plan *plan, const struct redrive *redrive,
                         const struct redrive_decision *decision, const struct input_record *record)
{
	char *text, bytes[EXAMPLE_BYTES + 1];
	size_t len = record->value.len < EXAMPLE_BYTES ? record->value.len : EXAMPLE_BYTES;

	if (plan->example_count == REDRIVE_EXAMPLES)
		return;
	for (size_t i = 0; i < len; i++)
		bytes[i] = record->value.at[i] >= ' ' && record->value.at[i] <= '~'
		                   ? record->value.at[i]
		                   : '.';
	bytes[len] = '\0';
	text = plan->examples[plan->example_count++];
	snprintf(text, sizeof(plan->examples[0]),
	         "%" PRId32 ":%" PRId64 ", reason %.*s, from %s %" PRId32 ":%" PRId64
	         ", to partition %" PRId32 ": %s",
	         record->partition, record->offset,
	         (int)(decision->dead_letter.reason.len < 64 ? decision->dead_letter.reason.len
	                                                     : 64),
	         decision->dead_letter.reason.at, redrive->raw,
	         decision->dead_letter.source_partition, decision->dead_letter.source_offset,
	         decision->target, bytes);
}

void redrive_plan_begin(struct redrive_plan *plan)
{
	*plan = (struct redrive_plan){.first_ms = INT64_MAX,
	                              .last_ms = INT64_MIN,
	                              .first_event_us = INT64_MAX,
	                              .last_event_us = INT64_MIN};
}

void redrive_plan_add(struct redrive *redrive, const struct redrive_decision *decision,
                      const struct input_record *record)
{
	struct redrive_plan *plan = &redrive->plan;

	plan->results[decision->result]++;
	if (decision->refused != REASON_NONE)
		plan->refused_reasons[decision->refused]++;
	if (decision->result != REDRIVE_SEND)
		return;
	plan->send_reasons[reason_from_name(decision->dead_letter.reason)]++;
	plan->ahead += decision->ahead;
	widen(record->timestamp_ms, &plan->first_ms, &plan->last_ms);
	if (decision->refused == REASON_NONE)
		widen(decision->event_time_us, &plan->first_event_us, &plan->last_event_us);
	note_example(plan, redrive, decision, record);
}

static void print_times(const char *what, int64_t first_us, int64_t last_us)
{
	char first[32], last[32];

	if (first_us > last_us)
		return;
	time_format_iso(first_us, first);
	time_format_iso(last_us, last);
	printf("  %s from %s to %s\n", what, first, last);
}

static void print_clocks(const struct redrive *redrive)
{
	int64_t first_us = INT64_MAX, last_us = INT64_MIN;
	char horizon[32] = "";

	for (int32_t p = 0; p < redrive->raw_partitions; p++)
		if (clock_now(&redrive->clocks[p]) != CLOCK_NONE)
			widen(clock_now(&redrive->clocks[p]), &first_us, &last_us);
	print_times("clocks of the partitions (lower bounds)", first_us, last_us);
	if (redrive->params.horizon_us)
		duration_format(redrive->params.horizon_us, horizon);
	printf("  de-duplication horizon: %s\n",
	       *horizon ? horizon : "not known, because bronze-sink has not committed yet");
}

static void print_send(const struct redrive *redrive)
{
	const struct redrive_plan *plan = &redrive->plan;

	for (int r = 0; r <= REASON_COUNT; r++)
		if (plan->send_reasons[r])
			printf("  reason %s: %" PRId64 "\n",
			       r < REASON_COUNT ? reason_name((enum reason)r)
			                        : "unknown to this version",
			       plan->send_reasons[r]);
	if (plan->results[REDRIVE_SEND]) {
		printf("  source %s: %" PRId64 "\n", redrive->raw, plan->results[REDRIVE_SEND]);
		print_times("dead letters written", plan->first_ms * 1000, plan->last_ms * 1000);
		print_times("event times", plan->first_event_us, plan->last_event_us);
	}
	if (plan->ahead)
		printf("  of these, still too far ahead of their partition's clock: %" PRId64
		       "; bronze-sink may refuse them again\n",
		       plan->ahead);
	for (int i = 0; i < plan->example_count; i++)
		printf("  example: dead letter %s\n", plan->examples[i]);
}

void redrive_plan_print(const struct redrive *redrive)
{
	const struct redrive_plan *plan = &redrive->plan;
	int64_t read = 0;

	for (int v = 0; v < REDRIVE_RESULT_COUNT; v++)
		read += plan->results[v];
	printf("%s: %" PRId64 " records\n", redrive->dead, read);
	print_clocks(redrive);
	for (int v = 0; v < REDRIVE_RESULT_COUNT; v++) {
		const char *advice = redrive_result_advice((enum redrive_result)v);

		if (!plan->results[v] && v != REDRIVE_SEND)
			continue;
		printf("%s: %" PRId64 "%s%s\n", redrive_result_text((enum redrive_result)v),
		       plan->results[v], *advice ? "; " : "", advice);
		if (v == REDRIVE_SEND)
			print_send(redrive);
	}
	for (int r = 0; r < REASON_COUNT; r++)
		if (plan->refused_reasons[r])
			printf("  refused again as %s: %" PRId64 "\n", reason_name((enum reason)r),
			       plan->refused_reasons[r]);
	fflush(stdout);
}
