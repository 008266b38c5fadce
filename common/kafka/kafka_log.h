/* Callbacks of a client that write librdkafka's log lines and errors to our log. */
#ifndef FUNNEL_KAFKA_LOG_H
#define FUNNEL_KAFKA_LOG_H

#include <librdkafka/rdkafka.h>

void kafka_on_log(const rd_kafka_t *client, int level, const char *facility, const char *text);
void kafka_on_error(rd_kafka_t *client, int code, const char *reason, void *opaque);

#endif
