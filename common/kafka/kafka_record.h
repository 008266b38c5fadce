/* Between records of ours and messages of librdkafka. */
#ifndef FUNNEL_KAFKA_RECORD_H
#define FUNNEL_KAFKA_RECORD_H

#include <librdkafka/rdkafka.h>

#include "stream/outbox.h"

/* A record's own time. Its writer may have set it to any number: cut to the years 1970 to 9999. */
int64_t kafka_time_ms(const rd_kafka_message_t *message);

/* Copies of an output's headers; given to a produce call, which takes them, or to rd_kafka_headers_destroy. */
rd_kafka_headers_t *kafka_headers_new(const struct output *output);

#endif
