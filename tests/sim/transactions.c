/* A commit is decided when EndTxn is accepted. Markers are written a moment later, one per
 * partition; a partition whose leader is away gets its marker when the leader is back. */
#include "sim/transactions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/choice.h"
#include "sim/process.h"
#include "sim/story.h"

#define TXNS_MAX        16
#define MARKER_DELAY_US 800
#define MARKER_AGAIN_US 20000
/* Of an unused id. In Kafka 7 days. Longer than a session, so a process that was frozen for this
 * time has lost its partitions. */
#define EXPIRES_US INT64_C(12000000)

static struct {
	struct txn at[TXNS_MAX];
	size_t count;
	int64_t next_pid;
	txn_decided_fn *decided;
	txn_marked_fn *marked;
} txns;

void transactions_begin(txn_decided_fn *decided, txn_marked_fn *marked)
{
	memset(&txns, 0, sizeof(txns));
	txns.next_pid = 1000;
	txns.decided = decided;
	txns.marked = marked;
}

static struct txn *find(const char *id)
{
	for (size_t i = 0; i < txns.count; i++)
		if (strcmp(txns.at[i].id, id) == 0)
			return &txns.at[i];
	return NULL;
}

/* ---- markers */

static void write_markers(void *context);

static void complete(struct txn *txn)
{
	bool commit = txn->state == TXN_PREPARE_COMMIT;

	txn->state = commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT;
	txn->partition_count = 0;
}

/* With the bug, leaders are away more often at this moment. */
static bool leaves_out(void)
{
	return cluster.bugs.drop_markers && choose(CHOICE_ANSWER_ERROR, 0, 2);
}

/* Writes the markers that can be written. Calls itself again for the others. */
static void write_markers(void *context)
{
	struct txn *txn = context;
	bool commit = txn->state == TXN_PREPARE_COMMIT;
	size_t left = 0;

	if (txn->state != TXN_PREPARE_COMMIT && txn->state != TXN_PREPARE_ABORT)
		return;
	for (size_t i = 0; i < txn->partition_count; i++) {
		struct partition_log *log = txn->partitions[i];

		if (cluster_is_down() || log_is_away(log) || leaves_out()) {
			if (cluster.bugs.drop_markers && !cluster_is_down())
				story("the marker of %s is left out at %s/%d (KAFKA-20734)",
				      txn->id, log->topic, log->partition);
			else
				txn->partitions[left++] = log;
			continue;
		}
		log_append_marker(log, txn->pid, txn->epoch, commit);
		txns.marked(txn, log, commit);
	}
	txn->partition_count = left;
	if (left)
		timer_at(sim_now_us() + MARKER_AGAIN_US, write_markers, txn);
	else
		complete(txn);
}

static void prepare(struct txn *txn, bool commit)
{
	txn->state = commit ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT;
	timer_at(sim_now_us() + MARKER_DELAY_US, write_markers, txn);
}

/* ---- time-outs */

struct timeout {
	struct txn *txn;
	uint32_t number;
};

static void time_out(void *context)
{
	struct timeout *timeout = context;
	struct txn *txn = timeout->txn;

	if (txn->state != TXN_ONGOING || txn->number != timeout->number)
		return;
	story("the coordinator aborts the transaction of %s: it timed out", txn->id);
	txn->epoch++;
	prepare(txn, false);
}

static void begin(struct txn *txn)
{
	struct timeout *timeout = malloc(sizeof(*timeout));

	txn->state = TXN_ONGOING;
	txn->partition_count = 0;
	txn->began_us = sim_now_us();
	*timeout = (struct timeout){txn, ++txn->number};
	timer_at(sim_now_us() + txn->timeout_us, time_out, timeout);
}

/* ---- requests */

static struct txn *add(const struct request *request)
{
	struct txn *txn = &txns.at[txns.count++];

	*txn = (struct txn){.pid = txns.next_pid++, .epoch = -1};
	snprintf(txn->id, sizeof(txn->id), "%s", request->transactional_id);
	return txn;
}

static void init_producer_id(const struct request *request, struct response *response)
{
	struct txn *txn = find(request->transactional_id);

	if (!txn && txns.count == TXNS_MAX) {
		response->code = RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE;
		return;
	}
	if (!txn)
		txn = add(request);
	txn->timeout_us = request->timeout_us;
	txn->used_us = sim_now_us();
	if (txn->state == TXN_ONGOING) {
		txn->epoch++;
		prepare(txn, false);
	}
	if (txn->state == TXN_PREPARE_ABORT || txn->state == TXN_PREPARE_COMMIT) {
		response->code = RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS;
		return;
	}
	txn->epoch++;
	txn->state = TXN_EMPTY;
	response->pid = txn->pid;
	response->epoch = txn->epoch;
}

static rd_kafka_resp_err_t check(const struct txn *txn, const struct request *request)
{
	if (!txn || txn->pid != request->pid)
		return RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING;
	if (txn->epoch != request->epoch)
		return RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t add_partition(struct txn *txn, struct partition_log *log)
{
	if (!log)
		return RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	if (txn->state == TXN_PREPARE_COMMIT || txn->state == TXN_PREPARE_ABORT)
		return RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS;
	if (txn->state != TXN_ONGOING)
		begin(txn);
	for (size_t i = 0; i < txn->partition_count; i++)
		if (txn->partitions[i] == log)
			return RD_KAFKA_RESP_ERR_NO_ERROR;
	txn->partitions[txn->partition_count++] = log;
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t end_txn(struct txn *txn, bool commit)
{
	enum txn_state done = commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT,
		       doing = commit ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT;

	if (txn->state == done)
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	if (txn->state == doing)
		return RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS;
	if (txn->state != TXN_ONGOING)
		return RD_KAFKA_RESP_ERR_INVALID_TXN_STATE;
	prepare(txn, commit);
	if (commit)
		txns.decided(txn);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void transactions_handle(const struct request *request, struct response *response)
{
	struct txn *txn = find(request->transactional_id);

	if (request->kind == REQUEST_INIT_PRODUCER_ID) {
		init_producer_id(request, response);
		return;
	}
	response->code = check(txn, request);
	if (response->code)
		return;
	txn->ended_by = request->life;
	txn->used_us = sim_now_us();
	if (request->kind == REQUEST_END_TXN)
		response->code = end_txn(txn, request->commit);
	else
		response->code =
			add_partition(txn, cluster_log(request->topic, request->partition));
}

rd_kafka_resp_err_t transactions_verify(int64_t pid, int16_t epoch, const struct partition_log *log)
{
	for (size_t i = 0; i < txns.count; i++) {
		const struct txn *txn = &txns.at[i];

		if (txn->pid != pid)
			continue;
		if (epoch < txn->epoch)
			return RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
		for (size_t p = 0; txn->state == TXN_ONGOING && p < txn->partition_count; p++)
			if (txn->partitions[p] == log)
				return RD_KAFKA_RESP_ERR_NO_ERROR;
		return RD_KAFKA_RESP_ERR_INVALID_TXN_STATE;
	}
	return RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING;
}

void transactions_expire(void)
{
	for (size_t i = 0; i < txns.count; i++) {
		struct txn *txn = &txns.at[i];

		if (txn->state == TXN_ONGOING || txn->state == TXN_PREPARE_ABORT ||
		    txn->state == TXN_PREPARE_COMMIT || sim_now_us() - txn->used_us < EXPIRES_US)
			continue;
		story("the coordinator forgets the transactional id %s: it has expired", txn->id);
		txn->pid = txns.next_pid++;
		txn->epoch = -1;
		txn->state = TXN_EMPTY;
	}
}

bool transactions_are_quiet(void)
{
	for (size_t i = 0; i < txns.count; i++)
		if (txns.at[i].state == TXN_ONGOING || txns.at[i].state == TXN_PREPARE_ABORT ||
		    txns.at[i].state == TXN_PREPARE_COMMIT)
			return false;
	return true;
}
