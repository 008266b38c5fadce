/* A message of a topic as an input record: the one place where the two meet. */
#ifndef FUNNEL_KAFKA_RECORD_H
#define FUNNEL_KAFKA_RECORD_H

#include <librdkafka/rdkafka.h>
#include <stddef.h>

#include "stream/outbox.h"
#include "stream/record.h"

#define KAFKA_HEADERS_MAX 64 /* of one record; further ones are left out */

/* Topic, key and value borrow from the message, headers from the caller. The body is the value as
 * it came; the time is cut to the years 1970 to 9999. */
struct input_record kafka_record(const rd_kafka_message_t *message,
                                 struct header headers[KAFKA_HEADERS_MAX]);

/* The first `max` headers of a message alone. Returns how many there are. */
size_t kafka_record_headers(const rd_kafka_message_t *message, struct header *headers, size_t max);

/* A record's own time. Its writer may have set it to any number: cut to the years 1970 to 9999. */
int64_t kafka_time_ms(const rd_kafka_message_t *message);

/* Copies of an output's headers; given to a produce call, which takes them, or to rd_kafka_headers_destroy. */
rd_kafka_headers_t *kafka_headers_new(const struct output *output);

#endif
