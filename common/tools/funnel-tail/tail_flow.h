/* What flows through the pipeline: watermarks of the partials, and counts of the services. Pure. */
#ifndef FUNNEL_TAIL_FLOW_H
#define FUNNEL_TAIL_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/records_aggregate.h"
#include "wire/records_counts.h"

#define TAIL_SOURCES_MAX 1024 /* source partitions with a watermark */
#define TAIL_COUNTS_MAX  4096 /* services times partitions */
#define TAIL_SAMPLES     12

struct tail_source {
	int64_t watermark_us;
	bool seen, idle;
};

struct tail_flow {
	struct tail_source *sources;
	int source_count; /* partitions of bronze_events */
	struct tail_counts *counts;
	size_t counts_count, counts_capacity;
	struct tail_sample {
		int64_t time_us, events;
	} samples[TAIL_SAMPLES];
	int sample_count;
};

/* source_count: limited to TAIL_SOURCES_MAX. */
void tail_flow_init(struct tail_flow *flow, int source_count);
void tail_flow_free(struct tail_flow *flow);

void tail_flow_partial(struct tail_flow *flow, const struct partial *partial);
void tail_flow_counts(struct tail_flow *flow, const struct counts_record *counts,
                      int64_t unknown_dead);
/* Notes the events counted so far, for the rate. Call about once a second, after all old records
 * have been read. */
void tail_flow_sample(struct tail_flow *flow, int64_t now_us);

/* Sums over all partitions of the counts of bronze-sink; late is funnel-aggregator's. */
struct tail_sums {
	int64_t records_in, records_out, duplicates, dead, late;
};
struct tail_sums tail_flow_sums(const struct tail_flow *flow);
/* Events per second over the last samples; -1: not known. */
int64_t tail_flow_rate(const struct tail_flow *flow);
/* The lowest watermark of the sources that are not idle; if all are, the highest. INT64_MIN: none.
 * *seen: sources with a watermark. */
int64_t tail_flow_watermark(const struct tail_flow *flow, int *seen);

#endif
