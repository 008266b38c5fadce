/* The transaction coordinator: producer ids and epochs, the transaction of each transactional id,
 * markers, time-outs. It is that of Kafka 4.2 for clients without KIP-890. */
#ifndef SIM_TRANSACTIONS_H
#define SIM_TRANSACTIONS_H

#include "sim/cluster.h"

enum txn_state {
	TXN_EMPTY,
	TXN_ONGOING,
	TXN_PREPARE_COMMIT, /* decided; the markers are on their way */
	TXN_PREPARE_ABORT,
	TXN_COMPLETE_COMMIT,
	TXN_COMPLETE_ABORT,
};

struct txn {
	char id[64];
	int64_t pid;
	int16_t epoch;
	enum txn_state state;
	struct partition_log *partitions[64];
	size_t partition_count;
	int64_t began_us, timeout_us, used_us;
	uint32_t number;   /* counts its transactions */
	uint32_t ended_by; /* life of the process that sent EndTxn */
};

/* Called when a commit is decided, before any marker is written. */
typedef void txn_decided_fn(const struct txn *txn);
/* Called when a marker is in the log. */
typedef void txn_marked_fn(const struct txn *txn, const struct partition_log *log, bool commit);

void transactions_begin(txn_decided_fn *decided, txn_marked_fn *marked);
void transactions_handle(const struct request *request, struct response *response);
/* Whether a producer may write to the partition now (KIP-890 part 1). */
rd_kafka_resp_err_t transactions_verify(int64_t pid, int16_t epoch,
                                        const struct partition_log *log);
/* The coordinator drops ids without an open transaction (transactional.id.expiration.ms). */
void transactions_expire(void);
/* No transaction is open or being ended. */
bool transactions_are_quiet(void);

#endif
