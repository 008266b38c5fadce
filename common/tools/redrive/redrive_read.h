/* Reads topics for redrive, and the clocks of raw partitions. */
#ifndef FUNNEL_REDRIVE_READ_H
#define FUNNEL_REDRIVE_READ_H

#include "base/err.h"
#include "kafka/kafka_conf.h"
#include "kafka/topic_reader.h"
#include "redrive_state.h"

/* NULL, and why. `extra`: properties, name and value in turn, NULL behind the last. */
rd_kafka_t *redrive_client(struct redrive *redrive, enum kafka_role role, const char *const *extra,
                           struct err *err);
void redrive_client_close(rd_kafka_t *client);

/* Hands every committed record between two offsets per partition to `take`, with redrive as its
 * context, until that fails. */
MUST_USE bool redrive_read(struct redrive *redrive, const char *topic, int32_t partitions,
                           const int64_t *from, const int64_t *to, topic_take_fn *take,
                           struct err *err);
/* Fills redrive->clocks, and the horizon in its terms. */
MUST_USE bool redrive_read_clocks(struct redrive *redrive, struct err *err);

#endif
