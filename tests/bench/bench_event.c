/* Cost per event of the pure core, in events per second of CPU time: parsing an event by the
 * scanner and by the library, its id, its JSON, its partition, and splitting its CSV row. The event
 * is a typical one of about 250 bytes. Each figure is the best of 5 runs of at least 50 ms. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/csv.h"
#include "base/span.h"
#include "event/event.h"
#include "event/event_id.h"
#include "event/event_json_fast.h"
#include "event/event_json_library.h"
#include "event/event_json_write.h"
#include "event/event_rules.h"
#include "event/reason.h"
#include "wire/partitioner.h"

#define RUNS        5
#define RUN_SECONDS 0.05
#define BATCH       2000

static const char json[] =
	"{\"event_time\":\"2019-10-01 00:00:00 UTC\",\"event_type\":\"view\","
	"\"product_id\":44600062,"
	"\"category_id\":2103807459595387724,\"category_code\":\"electronics.smartphone\","
	"\"brand\":\"shiseido\",\"price\":35.79,\"user_id\":541312140,"
	"\"user_session\":\"72d76fde-8bb3-4e00-8c23-a032dfed738c\"}";
static const char row[] =
	"2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,electronics.smartphone,"
	"shiseido,35.79,541312140,72d76fde-8bb3-4e00-8c23-a032dfed738c\n";
static const char quoted_row[] =
	"2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,\"electronics.smartphone\","
	"\"a, b\",35.79,541312140,72d76fde-8bb3-4e00-8c23-a032dfed738c\n";

struct subject {
	struct event_parser *parser;
	struct event_rules rules;
	struct event event;
	struct span fields[EVENT_FIELD_COUNT];
	char row[256], quoted[256];
	uint64_t sink; /* prevents the compiler from removing the calls */
};

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void run_fast(struct subject *s)
{
	enum reason reason;

	s->sink += event_parse_json_fast(SPAN(json), &s->rules, &s->event, &reason);
}

static void run_library(struct subject *s)
{
	s->sink +=
		event_parse_json_library(s->parser, SPAN(json), &s->event, NULL, 0) == REASON_NONE;
}

static void run_id(struct subject *s)
{
	uint8_t id[EVENT_ID_BYTES];

	event_id_content(&s->event, id);
	s->sink += id[0];
}

static void run_write(struct subject *s)
{
	char out[512];

	s->sink += event_write_json(s->fields, out, sizeof(out));
}

static void run_partition(struct subject *s)
{
	s->sink += (uint64_t)partition_of(s->event.user_session, 12);
}

static void split(struct subject *s, char *text, size_t len)
{
	struct csv_record record;
	size_t used;

	s->sink += csv_next(text, len, false, s->fields, EVENT_FIELD_COUNT, &record, &used) ==
	           CSV_RECORD;
}

static void run_csv(struct subject *s)
{
	split(s, s->row, sizeof(row) - 1);
}

static void run_csv_quoted(struct subject *s)
{
	split(s, s->quoted, sizeof(quoted_row) - 1);
}

static double events_per_second(void (*run)(struct subject *), struct subject *s)
{
	double best = 0;

	for (int i = 0; i < RUNS; i++) {
		double start = cpu_seconds(), spent;
		uint64_t events = 0;

		do {
			for (int j = 0; j < BATCH; j++)
				run(s);
			events += BATCH;
			spent = cpu_seconds() - start;
		} while (spent < RUN_SECONDS);
		if ((double)events / spent > best)
			best = (double)events / spent;
	}
	return best;
}

int main(void)
{
	static const struct {
		const char *label;
		void (*run)(struct subject *);
	} figures[] = {
		{"parse_json_fast", run_fast},
		{"parse_json_library", run_library},
		{"event_id", run_id},
		{"csv_split", run_csv},
		{"csv_split_quoted", run_csv_quoted},
		{"write_json", run_write},
		{"partition", run_partition},
	};
	struct subject s = {.parser = event_parser_new(NULL)};
	enum reason reason;

	memcpy(s.row, row, sizeof(row));
	memcpy(s.quoted, quoted_row, sizeof(quoted_row));
	event_rules_default(&s.rules);
	if (!s.parser || !event_parse_json_fast(SPAN(json), &s.rules, &s.event, &reason)) {
		fprintf(stderr, "bench_event: the scanner does not handle the event\n");
		return EXIT_FAILURE;
	}
	printf("value_bytes=%zu\n", sizeof(json) - 1);
	for (size_t i = 0; i < sizeof(figures) / sizeof(*figures); i++)
		printf("%-20s %12.0f events/cpu-s\n", figures[i].label,
		       events_per_second(figures[i].run, &s));
	event_parser_free(s.parser);
	return s.sink == 0;
}
