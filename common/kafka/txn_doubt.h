/* Counts the transactional requests of a producer that got no answer and may still reach the
 * broker.
 *
 * librdkafka (every version up to 2.16.0) does not implement KIP-890. If a transactional request
 * gets no answer, librdkafka sends it again on a new connection, and the application's call
 * succeeds. But the first copy may only be late: the network stalled, a router dropped the
 * connection, or the broker was frozen. When the copy arrives, the broker applies it to the
 * transaction that is open then, because that one has the same producer epoch. A late EndTxn
 * commits half a transaction; a late TxnOffsetCommit moves offsets back.
 *
 * A producer is clean if all its AddPartitionsToTxn, AddOffsetsToTxn, TxnOffsetCommit and EndTxn
 * requests got an answer. Otherwise it is in doubt, and must not begin another transaction: close
 * it and initialise a new one. The new one has a new epoch, so the broker refuses late requests
 * of the old one. txn_doubt.c explains why the count misses no request. */
#ifndef FUNNEL_TXN_DOUBT_H
#define FUNNEL_TXN_DOUBT_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* The count for one client. It must outlive the client. */
struct txn_doubt;

struct txn_doubt *txn_doubt_new(void);
/* Call it after rd_kafka_destroy(). NULL is allowed. */
void txn_doubt_free(struct txn_doubt *doubt);
/* Creates a transactional producer whose unanswered requests `doubt` counts. Takes conf. NULL with
 * ERR_OPERATOR: no client. NULL with ERR_FATAL: librdkafka does not report the requests. */
rd_kafka_t *txn_doubt_client_new(struct txn_doubt *doubt, rd_kafka_conf_t *conf, struct err *err);

/* Call this if a transactional call timed out: its requests may still reach the broker. */
void txn_doubt_raise(struct txn_doubt *doubt);
/* Number of requests and calls that ended without an answer; 0: clean. Thread-safe. */
int64_t txn_doubt_count(const struct txn_doubt *doubt);
/* True, with a log line: the producer is in doubt, and its owner has to replace it now. */
bool txn_doubt_replaces(const struct txn_doubt *doubt);

/* Whether a request with this API key of Kafka that ended with err raises doubt. Pure. */
bool txn_doubt_is_raised_by(int16_t api_key, rd_kafka_resp_err_t err);

#endif
