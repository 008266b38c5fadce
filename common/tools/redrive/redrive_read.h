/* Reads topics for redrive, and the clocks of the raw partitions. */
#ifndef FUNNEL_REDRIVE_READ_H
#define FUNNEL_REDRIVE_READ_H

#include "base/err.h"
#include "kafka/kafka_conf.h"
#include "kafka/topic_reader.h"
#include "redrive_state.h"

/* NULL and err: failed. `extra`: names and values of properties in turn, then NULL. */
rd_kafka_t *redrive_client(struct redrive *redrive, enum kafka_role role, const char *const *extra,
                           struct err *err);
void redrive_client_close(rd_kafka_t *client);

/* Passes every committed record between two offsets per partition to `take`, with redrive as its
 * context. Ends if `take` fails. */
MUST_USE bool redrive_read(struct redrive *redrive, const char *topic, int32_t partitions,
                           const int64_t *from, const int64_t *to, topic_take_fn *take,
                           struct err *err);
/* Sets redrive->clocks, and clocks and horizon_us in its params. */
MUST_USE bool redrive_read_clocks(struct redrive *redrive, struct err *err);

#endif
