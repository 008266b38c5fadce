/* Converts between messages of librdkafka and our records. */
#ifndef FUNNEL_KAFKA_RECORD_H
#define FUNNEL_KAFKA_RECORD_H

#include <librdkafka/rdkafka.h>
#include <stddef.h>

#include "stream/outbox.h"
#include "stream/record.h"

#define KAFKA_HEADERS_MAX 64 /* per record; further ones are ignored */

/* Topic, key and value borrow from the message, headers from the caller. The body is the undecoded
 * value. The time is clamped to the years 1970 to 9999. */
struct input_record kafka_record(const rd_kafka_message_t *message,
                                 struct header headers[KAFKA_HEADERS_MAX]);
/* The same, but headers are not read before record_headers needs them. Message and memory of the
 * headers must live as long as the list that it returns. */
struct input_record kafka_record_unread(const rd_kafka_message_t *message,
                                        struct header headers[KAFKA_HEADERS_MAX]);

/* Reads at most the first `max` headers of a message. Returns their number. */
size_t kafka_record_headers(const rd_kafka_message_t *message, struct header *headers, size_t max);

/* The record's timestamp. Its writer may set any number, so it is clamped to the years 1970 to
 * 9999. */
int64_t kafka_time_ms(const rd_kafka_message_t *message);

/* Copies an output's headers. A successful produce call takes them; else free them with
 * rd_kafka_headers_destroy. */
rd_kafka_headers_t *kafka_headers_new(const struct output *output);

#endif
