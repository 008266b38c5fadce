/* Sequence numbers are checked as Kafka's ProducerStateManager does: a batch that is among the last
 * five is a duplicate, and any other batch must begin at the next number. */
#include "sim/partition_log.h"

#include <string.h>

#include "base/memory.h"
#include "sim/process.h"

static struct log_producer *find(const struct partition_log *log, int64_t pid)
{
	for (size_t i = 0; i < log->producer_count; i++)
		if (log->producers[i].pid == pid)
			return &log->producers[i];
	return NULL;
}

static struct log_producer *find_or_add(struct partition_log *log, int64_t pid, int16_t epoch)
{
	struct log_producer *producer = find(log, pid);

	if (producer)
		return producer;
	GROW(log->producers, log->producer_count, log->producer_capacity);
	producer = &log->producers[log->producer_count++];
	*producer = (struct log_producer){.pid = pid, .epoch = epoch, .open_from = -1};
	return producer;
}

static void new_epoch(struct log_producer *producer, int16_t epoch)
{
	producer->epoch = epoch;
	producer->next_sequence = 0;
	memset(producer->cached, 0, sizeof(producer->cached));
}

static bool is_cached(const struct log_producer *producer, const struct batch *batch)
{
	for (int i = 0; i < CACHED_BATCHES; i++)
		if (producer->cached[i].count == (int32_t)batch->count &&
		    producer->cached[i].first == batch->first_sequence)
			return true;
	return false;
}

static void append_record(struct partition_log *log, const struct sim_record *record,
                          const struct batch *batch)
{
	GROW(log->records, log->end, log->capacity);
	log->records[log->end] = *record;
	log->records[log->end].pid = batch->pid;
	log->records[log->end].epoch = batch->epoch;
	log->records[log->end].fate = batch->transactional ? FATE_OPEN : FATE_PLAIN;
	log->records[log->end].decided = false;
	log->records[log->end].appended_us = sim_now_us();
	log->end++;
}

static rd_kafka_resp_err_t check(struct log_producer *producer, const struct batch *batch,
                                 bool *known)
{
	*known = false;
	if (batch->epoch < producer->epoch)
		return RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
	if (batch->epoch > producer->epoch)
		new_epoch(producer, batch->epoch);
	if (batch->first_sequence < 0 || batch->first_sequence == producer->next_sequence)
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	*known = is_cached(producer, batch);
	return *known ? RD_KAFKA_RESP_ERR_NO_ERROR : RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
}

rd_kafka_resp_err_t log_append(struct partition_log *log, const struct batch *batch)
{
	struct log_producer *producer =
		batch->pid < 0 ? NULL : find_or_add(log, batch->pid, batch->epoch);
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
	bool known = false;

	if (producer)
		code = check(producer, batch, &known);
	if (code || known)
		return code;
	if (producer && batch->transactional && producer->open_from < 0)
		producer->open_from = (int64_t)log->end;
	for (size_t i = 0; i < batch->count; i++)
		append_record(log, &batch->records[i], batch);
	if (producer && batch->first_sequence >= 0) {
		int at = producer->cached_next++ % CACHED_BATCHES;

		producer->cached[at].first = batch->first_sequence;
		producer->cached[at].count = (int32_t)batch->count;
		producer->next_sequence = batch->first_sequence + (int32_t)batch->count;
	}
	return code;
}

void log_append_marker(struct partition_log *log, int64_t pid, int16_t epoch, bool commit)
{
	struct log_producer *producer = find_or_add(log, pid, epoch);
	struct sim_record marker = {.time_ms = 0};
	struct batch batch = {.pid = pid, .epoch = epoch};

	if (producer->open_from >= 0)
		for (size_t i = (size_t)producer->open_from; i < log->end; i++)
			if (log->records[i].pid == pid && log->records[i].fate == FATE_OPEN)
				log->records[i].fate = commit ? FATE_COMMITTED : FATE_ABORTED;
	producer->open_from = -1;
	if (epoch > producer->epoch)
		new_epoch(producer, epoch);
	append_record(log, &marker, &batch);
	log->records[log->end - 1].fate = FATE_MARKER;
}

int64_t log_lso(const struct partition_log *log)
{
	int64_t lso = (int64_t)log->end;

	for (size_t i = 0; i < log->producer_count; i++)
		if (log->producers[i].open_from >= 0 && log->producers[i].open_from < lso)
			lso = log->producers[i].open_from;
	return lso;
}

bool log_is_open(const struct partition_log *log, int64_t pid, int16_t epoch)
{
	const struct log_producer *producer = find(log, pid);

	return producer && producer->open_from >= 0 && producer->epoch == epoch;
}

void log_trim(struct partition_log *log, int64_t start)
{
	if (start > log->start)
		log->start = start < (int64_t)log->end ? start : (int64_t)log->end;
}

struct span span_copy(struct span from)
{
	char *at;

	if (!from.at)
		return from;
	at = xrealloc(NULL, from.len + 1);
	memcpy(at, from.at, from.len);
	at[from.len] = '\0';
	return (struct span){at, from.len};
}

struct input_record sim_record_input(const struct sim_record *from, const char *topic,
                                     int32_t partition, int64_t offset)
{
	return (struct input_record){.topic = span_of(topic),
	                             .offset = offset,
	                             .timestamp_ms = from->time_ms,
	                             .partition = partition,
	                             .key = from->key,
	                             .value = from->value,
	                             .body = from->value,
	                             .refused = REASON_NONE,
	                             .detail = "",
	                             .headers = from->headers,
	                             .header_count = from->header_count};
}
