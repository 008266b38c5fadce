/* The transactional producer. Records wait in a queue that refers to the application's bytes, and
 * are sent by a poll or by the commit. A batch without an answer is sent again with the same
 * sequence numbers. As in librdkafka, an abort purges the queue, and the sequence numbers go on
 * from the last acknowledgement: also if the broker has stored more.
 *
 * As in librdkafka: requests without an answer are sent again until the call's time is over; a call
 * that has timed out is called again and continues. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "sim/choice.h"
#include "sim/network.h"
#include "sim/process.h"
#include "sim/rd_client.h"
#include "sim/story.h"
#include "wire/group_offsets.h"

#define RETRY_US     5000
#define BATCH_MAX    64
#define QUEUE_MAX    4000
#define POLL_SEND_US 1000
#define HANG_US      INT64_C(3000000)
#define HANGS        31

static rd_kafka_error_t *timed_out(const char *what)
{
	return rd_error(RD_KAFKA_RESP_ERR__TIMED_OUT, true, false, false, what);
}

/* ---- states */

static void fail(rd_kafka_t *client, enum rd_txn state, rd_kafka_resp_err_t code, const char *what)
{
	if (client->txn == RD_TXN_FATAL)
		return;
	client->txn = state;
	client->failure = code;
	snprintf(client->failure_text, sizeof(client->failure_text), "%s: %s", what,
	         rd_kafka_err2name(code));
	story("producer: %s %s", client->failure_text,
	      state == RD_TXN_FATAL ? "(fatal)" : "(the transaction must be aborted)");
}

static bool has_failed(const rd_kafka_t *client)
{
	return client->txn == RD_TXN_ABORTABLE || client->txn == RD_TXN_FATAL;
}

static bool is_missing_right(rd_kafka_resp_err_t code)
{
	return code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
	       code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED ||
	       code == RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
}

static rd_kafka_error_t *failure(const rd_kafka_t *client)
{
	bool fatal = client->txn == RD_TXN_FATAL;

	return rd_error(fatal && !is_missing_right(client->failure) ? RD_KAFKA_RESP_ERR__FENCED
	                                                            : client->failure,
	                false, !fatal, fatal, client->failure_text);
}

/* ---- requests */

enum result { RESULT_OK, RESULT_FAILED, RESULT_TIMED_OUT };

static struct request request_of(const rd_kafka_t *client, enum request_kind kind)
{
	struct request request = {.kind = kind,
	                          .life = process_current()->life,
	                          .pid = client->pid,
	                          .epoch = client->epoch,
	                          .timeout_us = client->conf.transaction_timeout_us};

	snprintf(request.transactional_id, sizeof(request.transactional_id), "%s",
	         client->conf.transactional_id);
	return request;
}

static bool is_retried(rd_kafka_resp_err_t code)
{
	return code == RD_KAFKA_RESP_ERR_NOT_COORDINATOR ||
	       code == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE ||
	       code == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS ||
	       code == RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS ||
	       code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION ||
	       code == RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS ||
	       code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
}

static void report(const rd_kafka_t *client, enum request_kind kind, bool answered)
{
	if (client->on_response)
		client->on_response((rd_kafka_t *)(uintptr_t)client, -1, "simulated:9092", 1,
		                    (int16_t)kind, 0, 0, 0, 0,
		                    answered ? RD_KAFKA_RESP_ERR_NO_ERROR
		                             : RD_KAFKA_RESP_ERR__TRANSPORT,
		                    client->on_response_opaque);
}

/* A client without its coordinator still reaches the partition leaders. */
static bool is_silent(rd_kafka_t *client, enum request_kind kind)
{
	if (kind == REQUEST_PRODUCE)
		return client->silence == RD_NO_BROKER;
	return rd_is_silent(client, CHOICE_LOST) ||
	       (kind == REQUEST_INIT_PRODUCER_ID && rd_is_silent(client, CHOICE_LOST_INIT));
}

/* Sends the request until it gets an answer that is not retried, or until the time is over. A
 * request without an answer is reported before it is sent again. One that outlives its call is not:
 * librdkafka reports it at the request's own time-out, a minute later. */
static enum result ask(rd_kafka_t *client, const struct request *request, struct response *response,
                       int64_t until_us)
{
	for (;;) {
		bool answered, over;

		if (is_silent(client, request->kind)) {
			process_sleep(until_us - sim_now_us());
			return RESULT_TIMED_OUT;
		}
		answered = network_write(request, response);
		over = sim_now_us() >= until_us || (response->outlives && !client->polling);
		if (answered || !over || client->polling)
			report(client, request->kind, answered);
		if (answered && !is_retried(response->code))
			return response->code ? RESULT_FAILED : RESULT_OK;
		if (over)
			return RESULT_TIMED_OUT;
		process_sleep(RETRY_US);
	}
}

/* Some calls give up early, and some hang first. */
static int64_t until(int timeout_ms)
{
	uint32_t early = choose(CHOICE_CALL, process_current()->actor, 4),
		 hangs = choose(CHOICE_HANG, process_current()->actor, HANGS);

	if (hangs) {
		story("the next call of the producer hangs for %u s", hangs * 3);
		process_sleep(hangs * HANG_US);
	}
	if (early)
		story("the next call of the producer times out after %u ms", early * 2);
	return sim_now_us() + (early ? (int64_t)early * 2000 : (int64_t)timeout_ms * 1000);
}

static void fail_by(rd_kafka_t *client, rd_kafka_resp_err_t code, const char *what)
{
	bool fatal = code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH ||
	             code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
	             code == RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER ||
	             code == RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;

	fail(client, fatal ? RD_TXN_FATAL : RD_TXN_ABORTABLE, code, what);
}

/* ---- records */

static size_t writing_of(rd_kafka_t *client, const char *topic, int32_t partition)
{
	size_t i = 0;

	while (i < client->writing_count && (strcmp(client->writings[i].topic, topic) != 0 ||
	                                     client->writings[i].partition != partition))
		i++;
	if (i < client->writing_count)
		return i;
	client->writings[i] = (struct rd_writing){.partition = partition};
	snprintf(client->writings[i].topic, sizeof(client->writings[i].topic), "%s", topic);
	client->writing_count++;
	return i;
}

static rd_kafka_resp_err_t enqueue(rd_kafka_t *client, const rd_kafka_topic_t *topic,
                                   int32_t partition, struct span key, struct span value,
                                   rd_kafka_headers_t *headers)
{
	if (client->txn != RD_TXN_OPEN)
		return RD_KAFKA_RESP_ERR__STATE;
	if (rd_local_fails("rd_kafka_produce"))
		return RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
	if (client->queue_count >= QUEUE_MAX ||
	    choose(CHOICE_QUEUE_FULL, process_current()->actor, 2))
		return RD_KAFKA_RESP_ERR__QUEUE_FULL;
	GROW(client->queue, client->queue_count, client->queue_capacity);
	client->queue[client->queue_count++] =
		(struct rd_queued){.writing = writing_of(client, topic->name, partition),
	                           .key = key,
	                           .value = value,
	                           .headers = headers,
	                           .since_us = sim_now_us()};
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

int rd_kafka_produce_batch(rd_kafka_topic_t *topic, int32_t partition, int flags,
                           rd_kafka_message_t *messages, int count)
{
	int good = 0;

	(void)partition, (void)flags;
	for (int i = 0; i < count; i++) {
		rd_kafka_message_t *m = &messages[i];

		m->err = good < i ? messages[i - 1].err
		                  : enqueue(topic->client, topic, m->partition,
		                            (struct span){m->key, m->key_len},
		                            (struct span){m->payload, m->len}, NULL);
		good += !m->err;
	}
	return good;
}

rd_kafka_resp_err_t rd_kafka_producev(rd_kafka_t *client, ...)
{
	rd_kafka_topic_t *topic = NULL;
	rd_kafka_headers_t *headers = NULL;
	int32_t partition = 0;
	struct span key = SPAN_NULL, value = SPAN_NULL;
	va_list args;
	rd_kafka_vtype_t type;

	va_start(args, client);
	while ((type = va_arg(args, rd_kafka_vtype_t)) != RD_KAFKA_VTYPE_END) {
		if (type == RD_KAFKA_VTYPE_RKT)
			topic = va_arg(args, rd_kafka_topic_t *);
		else if (type == RD_KAFKA_VTYPE_PARTITION)
			partition = va_arg(args, int32_t);
		else if (type == RD_KAFKA_VTYPE_HEADERS)
			headers = va_arg(args, rd_kafka_headers_t *);
		else if (type == RD_KAFKA_VTYPE_KEY || type == RD_KAFKA_VTYPE_VALUE) {
			struct span *to = type == RD_KAFKA_VTYPE_KEY ? &key : &value;

			to->at = va_arg(args, const char *);
			to->len = va_arg(args, size_t);
		}
	}
	va_end(args);
	return enqueue(client, topic, partition, key, value, headers);
}

static void queue_remove_done(rd_kafka_t *client)
{
	size_t left = 0;

	for (size_t i = 0; i < client->queue_count; i++) {
		struct rd_queued *queued = &client->queue[i];

		if (!queued->done)
			client->queue[left++] = *queued;
		else if (queued->headers)
			rd_kafka_headers_destroy(queued->headers);
	}
	client->queue_count = left;
}

static void queue_drop(rd_kafka_t *client)
{
	for (size_t i = 0; i < client->queue_count; i++)
		client->queue[i].done = true;
	queue_remove_done(client);
	for (size_t i = 0; i < client->writing_count; i++)
		client->writings[i].in_flight = 0;
}

void rd_producer_destroy(rd_kafka_t *client)
{
	queue_drop(client);
	free(client->queue);
}

static enum result add_partition(rd_kafka_t *client, struct rd_writing *writing, int64_t until_us)
{
	struct request request = request_of(client, REQUEST_ADD_PARTITIONS);
	struct response response;
	enum result result;

	if (writing->added)
		return RESULT_OK;
	client->requested = true;
	snprintf(request.topic, sizeof(request.topic), "%s", writing->topic);
	request.partition = writing->partition;
	result = ask(client, &request, &response, until_us);
	if (result == RESULT_FAILED)
		fail_by(client, response.code, "AddPartitionsToTxn");
	writing->added = result == RESULT_OK;
	return result;
}

/* The batch that waits for its answer, or a new one. Marks its records in `at`. */
static size_t next_batch(rd_kafka_t *client, size_t number, size_t at[BATCH_MAX])
{
	struct rd_writing *writing = &client->writings[number];
	size_t max = writing->in_flight ? writing->in_flight : BATCH_MAX, count = 0;

	for (size_t i = 0; i < client->queue_count && count < max; i++)
		if (client->queue[i].writing == number)
			at[count++] = i;
	writing->in_flight = count;
	return count;
}

static enum result send_batch(rd_kafka_t *client, size_t number, int64_t until_us)
{
	struct rd_writing *writing = &client->writings[number];
	struct request request = request_of(client, REQUEST_PRODUCE);
	struct sim_record records[BATCH_MAX];
	struct response response;
	size_t at[BATCH_MAX], count = next_batch(client, number, at);
	enum result result;

	for (size_t i = 0; i < count; i++) {
		const struct rd_queued *queued = &client->queue[at[i]];

		records[i] =
			(struct sim_record){.key = queued->key,
		                            .value = queued->value,
		                            .time_ms = sim_wallclock_us() / 1000,
		                            .headers = queued->headers ? queued->headers->at : NULL,
		                            .header_count =
		                                    queued->headers ? queued->headers->count : 0};
	}
	snprintf(request.topic, sizeof(request.topic), "%s", writing->topic);
	request.partition = writing->partition;
	request.batch = (struct batch){client->pid, client->epoch, true, writing->next_sequence,
	                               records,     count};
	result = ask(client, &request, &response, until_us);
	if (result == RESULT_FAILED)
		fail_by(client, response.code, "Produce");
	if (response.outlives) /* message.timeout.ms */
		fail_by(client, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, "Produce");
	if (result != RESULT_OK)
		return result;
	for (size_t i = 0; i < count; i++)
		client->queue[at[i]].done = true;
	writing->next_sequence += (int32_t)count;
	writing->in_flight = 0;
	queue_remove_done(client);
	return RESULT_OK;
}

/* message.timeout.ms: a transactional producer gives up its records after the time-out of the
 * transaction. */
static bool message_has_timed_out(rd_kafka_t *client)
{
	if (sim_now_us() - client->queue[0].since_us <= client->conf.transaction_timeout_us)
		return false;
	fail(client, RD_TXN_ABORTABLE, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, "Produce");
	return true;
}

static enum result flush(rd_kafka_t *client, int64_t until_us)
{
	while (client->queue_count && !has_failed(client) && !message_has_timed_out(client)) {
		size_t number = client->queue[0].writing;
		enum result result = add_partition(client, &client->writings[number], until_us);

		if (result == RESULT_OK)
			result = send_batch(client, number, until_us);
		if (result != RESULT_OK)
			return result;
	}
	return has_failed(client) ? RESULT_FAILED : RESULT_OK;
}

/* What librdkafka does in the background. */
static void poll_send(rd_kafka_t *client)
{
	client->polling = true;
	flush(client, sim_now_us() + POLL_SEND_US);
	client->polling = false;
}

int rd_kafka_poll(rd_kafka_t *client, int timeout_ms)
{
	if (client->txn == RD_TXN_OPEN && client->queue_count &&
	    (timeout_ms > 0 || choose(CHOICE_SEND_EARLY, process_current()->actor, 2)))
		poll_send(client);
	else if (timeout_ms > 0)
		process_sleep((int64_t)timeout_ms * 1000);
	return 0;
}

rd_kafka_resp_err_t rd_kafka_purge(rd_kafka_t *client, int flags)
{
	(void)flags;
	queue_drop(client);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* ---- transactions */

rd_kafka_error_t *rd_kafka_init_transactions(rd_kafka_t *client, int timeout_ms)
{
	struct request request = request_of(client, REQUEST_INIT_PRODUCER_ID);
	struct response response;

	switch (ask(client, &request, &response, until(timeout_ms))) {
	case RESULT_TIMED_OUT: return timed_out("InitProducerId");
	case RESULT_FAILED:
		fail_by(client, response.code, "InitProducerId");
		return failure(client);
	case RESULT_OK: break;
	}
	client->pid = response.pid;
	client->epoch = response.epoch;
	client->txn = RD_TXN_READY;
	return NULL;
}

rd_kafka_error_t *rd_kafka_begin_transaction(rd_kafka_t *client)
{
	if (has_failed(client))
		return failure(client);
	if (rd_local_fails("rd_kafka_begin_transaction") || client->txn != RD_TXN_READY)
		return rd_error(RD_KAFKA_RESP_ERR__STATE, false, false, false, "begin_transaction");
	client->txn = RD_TXN_OPEN;
	client->requested = false;
	for (size_t i = 0; i < client->writing_count; i++)
		client->writings[i].added = false;
	return NULL;
}

static void fill_offsets(struct request *request, const rd_kafka_topic_partition_list_t *offsets,
                         const rd_kafka_consumer_group_metadata_t *group)
{
	snprintf(request->group, sizeof(request->group), "%s", group->group);
	snprintf(request->member, sizeof(request->member), "%s", group->member);
	request->generation = group->generation;
	for (int i = 0; i < offsets->cnt && i < SIM_OFFSETS_MAX; i++) {
		struct sim_offset *to = &request->offsets[request->offset_count++];

		*to = (struct sim_offset){.partition = offsets->elems[i].partition,
		                          .offset = offsets->elems[i].offset,
		                          .metadata = {offsets->elems[i].metadata,
		                                       offsets->elems[i].metadata_size}};
		snprintf(to->topic, sizeof(to->topic), "%s", offsets->elems[i].topic);
	}
}

static enum result add_offsets(rd_kafka_t *client, const char *group, int64_t until_us)
{
	struct request request = request_of(client, REQUEST_ADD_OFFSETS);
	const struct sim_topic *topic = cluster_topic("__consumer_offsets");
	struct response response;
	enum result result;

	(void)group;
	client->requested = true;
	snprintf(request.topic, sizeof(request.topic), "%s", topic->name);
	request.partition = group_offsets_partition(span_of(group), topic->partition_count);
	result = ask(client, &request, &response, until_us);
	if (result == RESULT_FAILED)
		fail_by(client, response.code, "AddOffsetsToTxn");
	return result;
}

rd_kafka_error_t *rd_kafka_send_offsets_to_transaction(
	rd_kafka_t *client, const rd_kafka_topic_partition_list_t *offsets,
	const rd_kafka_consumer_group_metadata_t *group, int timeout_ms)
{
	struct request request = request_of(client, REQUEST_TXN_OFFSET_COMMIT);
	struct response response;
	int64_t until_us = until(timeout_ms);
	enum result result;

	if (has_failed(client))
		return failure(client);
	fill_offsets(&request, offsets, group);
	result = add_offsets(client, request.group, until_us);
	if (result == RESULT_OK) {
		result = ask(client, &request, &response, until_us);
		if (result == RESULT_FAILED)
			fail_by(client, response.code, "TxnOffsetCommit");
	}
	if (result == RESULT_TIMED_OUT)
		return timed_out("send_offsets_to_transaction");
	return result == RESULT_OK ? NULL : failure(client);
}

static void ended(rd_kafka_t *client)
{
	client->txn = RD_TXN_READY;
	client->requested = false;
}

static enum result end(rd_kafka_t *client, bool commit, int64_t until_us)
{
	struct request request = request_of(client, REQUEST_END_TXN);
	struct response response;
	enum result result;

	if (!client->requested)
		return RESULT_OK;
	request.commit = commit;
	result = ask(client, &request, &response, until_us);
	if (result == RESULT_FAILED && response.code == RD_KAFKA_RESP_ERR_INVALID_TXN_STATE)
		fail(client, RD_TXN_FATAL, response.code, "EndTxn");
	else if (result == RESULT_FAILED)
		fail_by(client, response.code, "EndTxn");
	return result;
}

rd_kafka_error_t *rd_kafka_commit_transaction(rd_kafka_t *client, int timeout_ms)
{
	int64_t until_us = until(timeout_ms);
	enum result result;

	if (has_failed(client))
		return failure(client);
	if (client->txn == RD_TXN_OPEN) {
		result = flush(client, until_us);
		if (result == RESULT_TIMED_OUT)
			return timed_out("commit_transaction: flush");
		if (result == RESULT_FAILED)
			return failure(client);
		client->txn = RD_TXN_COMMITTING;
	}
	result = end(client, true, until_us);
	if (result == RESULT_TIMED_OUT)
		return timed_out("commit_transaction");
	if (result == RESULT_FAILED)
		return failure(client);
	ended(client);
	return NULL;
}

rd_kafka_error_t *rd_kafka_abort_transaction(rd_kafka_t *client, int timeout_ms)
{
	int64_t until_us = until(timeout_ms);
	enum result result;

	if (client->txn == RD_TXN_FATAL)
		return failure(client);
	queue_drop(client);
	result = end(client, false, until_us);
	if (result == RESULT_TIMED_OUT)
		return timed_out("abort_transaction");
	if (result == RESULT_FAILED)
		return failure(client);
	ended(client);
	return NULL;
}
