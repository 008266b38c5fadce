/* Reads topics for redrive, and the clocks of raw partitions. */
#ifndef FUNNEL_REDRIVE_READ_H
#define FUNNEL_REDRIVE_READ_H

#include "base/err.h"
#include "kafka/kafka_conf.h"
#include "redrive_state.h"
#include "stream/record.h"

/* NULL, and why. `extra`: properties, name and value in turn, NULL behind the last. */
rd_kafka_t *redrive_client(struct redrive *redrive, enum kafka_role role, const char *const *extra, struct err *err);
void redrive_client_close(rd_kafka_t *client);

/* Shows every committed record between two offsets per partition to `take`, until that fails. */
MUST_USE bool redrive_read(struct redrive *redrive, const char *topic, int32_t partitions, const int64_t *from, const int64_t *to,
                           bool (*take)(struct redrive *, const struct input_record *, struct err *), struct err *err);
/* Fills redrive->clocks, and the horizon in its terms. */
MUST_USE bool redrive_read_clocks(struct redrive *redrive, struct err *err);

#endif
