/* Outputs that several folds have, and the description of the output topics that folds need. */
#ifndef FUNNEL_OUTPUTS_H
#define FUNNEL_OUTPUTS_H

#include "base/span.h"
#include "stream/outbox.h"
#include "wire/records_counts.h"
#include "wire/schemas.h"
#include "wire/topics.h"

struct output_context {
	const char *service;                  /* name in dead letters and counts */
	int32_t partition_count[TOPIC_COUNT]; /* 0: this service does not write to the topic */
	int32_t schema_id[SCHEMA_COUNT];      /* the registry's */
	const char *stages;                   /* of the funnels in its counts; NULL: none */
};

/* Adds a record to the partition that partition_of (murmur2) gives for partition_key. */
void output_keyed(struct outbox *out, const struct output_context *context, enum topic_id topic,
                  struct span partition_key, struct span key, struct span value);

/* Adds the cumulative counts of one task. */
void output_counts(struct outbox *out, const struct output_context *context, struct span topic,
                   int32_t partition, const struct counts *counts, int64_t revision);

#endif
