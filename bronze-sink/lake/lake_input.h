/* The writer's side of Kafka: partitions are assigned and revoked, reading starts at the stored
 * offsets, and records become rows. */
#ifndef FUNNEL_LAKE_INPUT_H
#define FUNNEL_LAKE_INPUT_H

#include <stddef.h>

#include "base/err.h"
#include "lake_writer_state.h"

/* Creates the consumer and subscribes. ERR_RETRY: call again. ERR_OPERATOR: the registry is not the
 * one that the topics were written with. */
MUST_USE bool lake_subscribe(struct lake_writer *writer, struct err *err);
/* Takes the records that have arrived; waits up to wait_ms for the first one. *count: records and
 * partition ends. Any error: drop the rows, and read them again. */
MUST_USE bool lake_poll(struct lake_writer *writer, int wait_ms, size_t *count, struct err *err);
/* Rows that are in no file yet. */
int64_t lake_waiting_rows(const struct lake_writer *writer);
/* Carries out a rebalance that the intake has noted; there must be no rows. ERR_OPERATOR: a topic
 * has more partitions than before. */
MUST_USE bool lake_rebalance(struct lake_writer *writer, struct err *err);
/* Locks the partitions, reads their positions from the catalogue, removes files that it does not
 * know, and starts reading there. */
MUST_USE bool lake_position(struct lake_writer *writer, struct err *err);
/* Updates each partition's lag, and reports partitions that an open transaction holds back. */
void lake_watch(struct lake_writer *writer);
/* Whether all partitions have been read to their end. */
bool lake_at_end(const struct lake_writer *writer);
/* Copies the offsets to the consumer group, for dashboards. */
void lake_mirror(struct lake_writer *writer);
void lake_input_close(struct lake_writer *writer);

#endif
