/* Records from the intake into the batch, partitions that come and go, and where they start. */
#ifndef FUNNEL_LOADER_INPUT_H
#define FUNNEL_LOADER_INPUT_H

#include <stddef.h>

#include "base/err.h"
#include "loader_state.h"

/* The consumer, and its subscription. ERR_RETRY: call again. ERR_OPERATOR: the registry is not the
 * one that the topics were written with. */
MUST_USE bool loader_subscribe(struct loader *loader, struct err *err);
/* Takes in what has arrived, waiting up to wait_ms for the first record. *count: records and ends. ERR_RETRY: a schema could not be
 * asked for, rewind. */
MUST_USE bool loader_poll(struct loader *loader, int wait_ms, size_t *count, struct err *err);
/* Carries out a noted rebalance; the batch must be empty. ERR_OPERATOR: a topic has more partitions
 * than before. */
MUST_USE bool loader_rebalance(struct loader *loader, struct err *err);
/* Reads the offsets from PostgreSQL, judges them, and starts reading there. */
MUST_USE bool loader_position(struct loader *loader, struct err *err);
/* Updates each partition's lag, and reports partitions that a transaction holds back. */
void loader_watch(struct loader *loader);
/* Tells the group the committed offsets, for dashboards. */
void loader_mirror(struct loader *loader, size_t moved_count);
void loader_input_close(struct loader *loader);

#endif
