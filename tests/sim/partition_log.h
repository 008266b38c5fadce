/* The log of one partition: records, transaction markers, and the state of its producers. Offsets
 * have no gaps: each record and each marker takes one.
 *
 *   start ............ lso ........... end
 *   readable committed  held by an open transaction */
#ifndef SIM_PARTITION_LOG_H
#define SIM_PARTITION_LOG_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "stream/outbox.h"
#include "stream/record.h"

enum fate {
	FATE_PLAIN, /* not in a transaction */
	FATE_OPEN,
	FATE_COMMITTED,
	FATE_ABORTED,
	FATE_MARKER, /* of a transaction; not delivered */
};

struct sim_record {
	struct span key, value;
	const struct header *headers;
	size_t header_count;
	int64_t time_ms;
	int64_t pid; /* -1: none */
	int16_t epoch;
	enum fate fate;
	bool decided;        /* the coordinator has decided to commit it */
	int64_t appended_us; /* virtual time */
};

#define CACHED_BATCHES 5 /* as in Kafka */
struct log_producer {
	int64_t pid;
	int16_t epoch;
	int32_t next_sequence;
	int64_t open_from; /* the first offset of its open transaction; -1: none */
	struct {
		int32_t first, count;
	} cached[CACHED_BATCHES];
	int cached_next;
};

struct partition_log {
	char topic[64];
	int32_t partition;
	struct sim_record *records; /* index = offset */
	size_t end, capacity;
	int64_t start;
	int32_t leader_epoch;
	int64_t away_until_us; /* it has no leader until then */
	struct log_producer *producers;
	size_t producer_count, producer_capacity;
};

/* A batch of one producer. The log keeps the records' bytes. first_sequence -1: not checked.
 * A batch that is known is acknowledged and not appended. */
struct batch {
	int64_t pid;
	int16_t epoch;
	bool transactional;
	int32_t first_sequence;
	const struct sim_record *records;
	size_t count;
};
rd_kafka_resp_err_t log_append(struct partition_log *log, const struct batch *batch);
/* Ends the producer's open transaction. epoch: of the coordinator; older ones are refused later. */
void log_append_marker(struct partition_log *log, int64_t pid, int16_t epoch, bool commit);
int64_t log_lso(const struct partition_log *log);
/* Whether the producer has an open transaction here, with this epoch. */
bool log_is_open(const struct partition_log *log, int64_t pid, int16_t epoch);
/* Removes the records before the offset. */
void log_trim(struct partition_log *log, int64_t start);

/* A copy in the world's memory; at == NULL stays so. */
struct span span_copy(struct span from);
/* The record as a fold gets it, not decoded yet. Borrows the record and the topic. */
struct input_record sim_record_input(const struct sim_record *from, const char *topic,
                                     int32_t partition, int64_t offset);

#endif
