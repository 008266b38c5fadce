/* Where folds write: the output topics, and what every fold must know of them. */
#ifndef FUNNEL_OUTPUTS_H
#define FUNNEL_OUTPUTS_H

#include "base/span.h"
#include "stream/outbox.h"
#include "wire/records_counts.h"
#include "wire/schemas.h"
#include "wire/topics.h"

struct output_context {
	const char *service;                  /* as it appears in dead letters and counts */
	int32_t partition_count[TOPIC_COUNT]; /* 0 where this service does not write */
	int32_t schema_id[SCHEMA_COUNT];      /* as the registry gave them */
};

/* Adds a record whose partition follows from partition_key as everywhere (murmur2). */
void output_keyed(struct outbox *out, const struct output_context *terms, enum topic_id topic,
                  struct span partition_key, struct span key, struct span value);

/* Emits the cumulative counts of one task. */
void output_counts(struct outbox *out, const struct output_context *terms, struct span topic,
                   int32_t partition, const struct counts *counts, int64_t revision);

#endif
