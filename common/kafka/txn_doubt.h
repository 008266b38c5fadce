/* Doubt about a transactional producer: whether one of its requests may still reach the broker.
 *
 * librdkafka (every version up to 2.16.0) does not implement KIP-890. When the answer to a
 * transactional request does not come, it sends the request again on a new connection, and the
 * call of the application succeeds. The first copy may only be late: a stalled path, a router that
 * dropped the connection, a broker that was frozen. When the copy arrives, the broker applies it to
 * the transaction that is open then, which has the same producer epoch. A late EndTxn commits half
 * a transaction; a late TxnOffsetCommit moves offsets back.
 *
 * A producer is clean while all its AddPartitionsToTxn, AddOffsetsToTxn, TxnOffsetCommit and EndTxn
 * requests were answered. A producer in doubt must not begin another transaction: close it and
 * initialise a new one. The new epoch makes the broker refuse every request of the old one.
 * txn_doubt.c explains why no request escapes the count. */
#ifndef FUNNEL_TXN_DOUBT_H
#define FUNNEL_TXN_DOUBT_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* The doubt about one client; it must outlive the client. */
struct txn_doubt;

struct txn_doubt *txn_doubt_new(void);
/* NULL is allowed. After rd_kafka_destroy() only. */
void txn_doubt_free(struct txn_doubt *doubt);
/* A transactional producer whose unanswered requests are counted in doubt. Takes conf. NULL and
 * ERR_OPERATOR: no client; NULL and ERR_FATAL: its requests cannot be counted. */
rd_kafka_t *txn_doubt_client_new(struct txn_doubt *doubt, rd_kafka_conf_t *conf, struct err *err);

/* A transactional call ended without a result; its requests may still be on their way. */
void txn_doubt_raise(struct txn_doubt *doubt);
/* Requests and calls that ended without an answer; 0: the producer is clean. Any thread. */
int64_t txn_doubt_count(const struct txn_doubt *doubt);
/* Whether the producer is in doubt, so that its owner has to replace it now; logs that. */
bool txn_doubt_replaces(const struct txn_doubt *doubt);

/* Whether a request of this kind (Kafka's API key) that ended with err raises doubt. Pure. */
bool txn_doubt_is_raised_by(int16_t api_key, rd_kafka_resp_err_t err);

#endif
