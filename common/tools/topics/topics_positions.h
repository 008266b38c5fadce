/* topics positions: the bounds of the logs of a set and the committed offsets of its groups, for
 * programs. A backup keeps them (deploy/backup). */
#ifndef FUNNEL_TOPICS_POSITIONS_H
#define FUNNEL_TOPICS_POSITIONS_H

#include <librdkafka/rdkafka.h>

#include "base/err.h"
#include "wire/topics.h"

/* Prints lines of fields with tabs between them. partitions as in topics_lag_print.
 *
 *   topic      NAME   PARTITIONS
 *   setting    TOPIC  NAME       VALUE    each setting of the topic that is not the broker's
 *   committed  GROUP  TOPIC      PARTITION  OFFSET    each partition with a committed offset
 *   log        TOPIC  PARTITION  FIRST    END         offsets; END is the high watermark
 *
 * The committed offsets are read before the bounds. So none is past the END that is printed. */
MUST_USE bool topics_positions_print(rd_kafka_t *client, const char *prefix,
                                     const int32_t partitions[TOPIC_COUNT], int timeout_ms,
                                     struct err *err);

#endif
