/* Where folds write: the output topics, and what every fold must know of them. */
#ifndef FUNNEL_OUTPUTS_H
#define FUNNEL_OUTPUTS_H

#include "fold.h"
#include "topics.h"

struct output_terms {
	const char *service;                            /* as it appears in dead letters and counts */
	int32_t partition_count[TOPIC_COUNT];    /* 0 where this service does not write */
	int32_t schema_id[SCHEMA_COUNT];                /* as the registry gave them */
};

/* Adds a record whose partition follows from partition_key as everywhere (murmur2). */
void output_keyed(struct outbox *out, const struct output_terms *terms, enum topic_id topic, struct span partition_key, struct span key,
                  struct span value);

/* Sends an input record to the dead letter as it came, with the reason in Kafka Connect's headers; the
 * original headers are kept. by_reference: without its bytes. What would be too large for the topic is left out, which the
 * message then says. out may be NULL (rebuild). Counts it. */
void output_dead_letter(struct outbox *out, const struct output_terms *terms, const struct input_record *record, enum reason reason,
                        const char *detail, bool by_reference, struct counts *counts);

/* Emits the cumulative counts of one task. */
void output_counts(struct outbox *out, const struct output_terms *terms, struct span topic, int32_t partition, const struct counts *counts,
                   int64_t revision);

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
