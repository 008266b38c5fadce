/* Maps librdkafka's errors to our error classes. */
#ifndef FUNNEL_KAFKA_ERROR_H
#define FUNNEL_KAFKA_ERROR_H

#include <librdkafka/rdkafka.h>

#include "base/err.h"

/* ERR_NONE for no error; ERR_FATAL for an unknown code. */
enum err_class kafka_err_class(rd_kafka_resp_err_t code);
/* True: authentication failed, or the client lacks a right. An operator has to act. */
bool kafka_err_missing_right(rd_kafka_resp_err_t code);
/* The text of a code. For a missing right it says what to grant. */
const char *kafka_err_text(rd_kafka_resp_err_t code);
/* Sets err from an error, which it takes and destroys. Checks in this order: missing right,
 * fenced or fatal, abortable, retriable. Always false. */
bool kafka_err_take(struct err *err, rd_kafka_error_t *error, const char *context);

/* Sets err to "what name: text" from the answer to a request of an administrator. `text`: the
 * broker's words. A missing right is ERR_OPERATOR, and its text says what to grant; all others are
 * ERR_RETRY. Always false. */
bool kafka_err_answer(struct err *err, rd_kafka_resp_err_t code, const char *what, const char *name,
                      const char *text);

/* True: the broker has dropped our transactional id, because it was unused for
 * transactional.id.expiration.ms. A new client can continue. */
bool kafka_err_is_expired_id(const struct err *err);
/* The same for the text of an error. */
bool kafka_err_says_expired_id(const char *text);

#endif
