/* librdkafka's results as error classes. */
#ifndef FUNNEL_KAFKA_ERROR_H
#define FUNNEL_KAFKA_ERROR_H

#include <librdkafka/rdkafka.h>

#include "base/err.h"

/* Error classes of librdkafka's results. */
enum err_class kafka_err_class(rd_kafka_resp_err_t code);
/* A right is missing: somebody has to give it. */
bool kafka_err_missing_right(rd_kafka_resp_err_t code);
/* From an rd_kafka_error_t (taken and destroyed): a missing right, fenced, fatal, abortable, retriable. Returns false. */
bool kafka_err_take(struct err *err, rd_kafka_error_t *error, const char *context);

/* The broker has dropped a transactional id that was unused for transactional.id.expiration.ms; a
 * new client can go on. */
bool kafka_err_is_expired_id(const struct err *err);

/* Whether a text says the same. */
bool kafka_err_says_expired_id(const char *text);

#endif
