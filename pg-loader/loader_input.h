/* The loader's side of Kafka: partitions are assigned and revoked, reading starts at the stored
 * offsets, and records enter the batch. */
#ifndef FUNNEL_LOADER_INPUT_H
#define FUNNEL_LOADER_INPUT_H

#include <stddef.h>

#include "base/err.h"
#include "loader_state.h"

/* Creates the consumer and subscribes. ERR_RETRY: call again. ERR_OPERATOR: the registry is not the
 * one that the topics were written with. */
MUST_USE bool loader_subscribe(struct loader *loader, struct err *err);
/* Takes the records that have arrived into the batch; waits up to wait_ms for the first one.
 * *count: records and partition ends. ERR_RETRY: the registry could not be asked for a schema;
 * rewind. */
MUST_USE bool loader_poll(struct loader *loader, int wait_ms, size_t *count, struct err *err);
/* Carries out a rebalance that the intake has noted; the batch must be empty. ERR_OPERATOR: a topic
 * has more partitions than before. */
MUST_USE bool loader_rebalance(struct loader *loader, struct err *err);
/* Reads the offsets from PostgreSQL, checks them against the log, and starts reading there. */
MUST_USE bool loader_position(struct loader *loader, struct err *err);
/* Updates each partition's lag, and reports partitions that an open transaction holds back. */
void loader_watch(struct loader *loader);
/* Copies the first moved_count offsets of loader->moved to the consumer group, for dashboards. */
void loader_mirror(struct loader *loader, size_t moved_count);
void loader_input_close(struct loader *loader);

#endif
