/* Callback of a client that turns librdkafka's statistics into metrics: lag, request times,
 * retries, queues. */
#ifndef FUNNEL_KAFKA_STATS_H
#define FUNNEL_KAFKA_STATS_H

#include <librdkafka/rdkafka.h>

int kafka_on_stats(rd_kafka_t *client, char *text, size_t len, void *opaque);

#endif
