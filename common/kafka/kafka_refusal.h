/* Whether the brokers refuse a client, and why: a wrong password, a certificate.
 *
 * librdkafka tries again forever, and a call only reports that no broker has answered. Trying again
 * does not help here, so the programs ask this when their first call fails. */
#ifndef FUNNEL_KAFKA_REFUSAL_H
#define FUNNEL_KAFKA_REFUSAL_H

#include <librdkafka/rdkafka.h>

#include "base/err.h"

/* Connects with a second client that has the properties of this one. True: a broker has refused
 * it; err is set, ERR_OPERATOR, and says which setting to check. False: a broker has answered, none
 * can be reached within 5 s, or the client uses neither TLS nor a password. */
bool kafka_refused(rd_kafka_t *client, struct err *err);

/* Whether an error of a client means that a broker refuses it. A connection that was lost during
 * the handshake does not mean that. reason: of the error callback. For tests. */
bool kafka_is_refusal(rd_kafka_resp_err_t code, const char *reason);
/* What to do about an error of verifying a certificate, an X509_V_ERR_*. */
const char *kafka_certificate_advice(int x509_error);

#endif
