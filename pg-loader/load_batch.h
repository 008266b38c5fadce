/* A batch: rows ready for COPY, by target, and the records that they came from. Pure.
 *
 * The batch keeps the records until it is cleared, so that it can dead-letter the record of a row
 * that the database rejects, with its bytes. */
#ifndef FUNNEL_LOAD_BATCH_H
#define FUNNEL_LOAD_BATCH_H

#include <stdint.h>

#include "event/reason.h"
#include "row_buffers.h"
#include "stream/outbox.h"
#include "stream/record.h"
#include "wire/topics.h"

#define LOAD_HEADERS_MAX 64
/* Days of a batch. A transaction takes three locks for each: its partition and two indexes. */
#define LOAD_DAYS_MAX 500

struct load_batch {
	struct row_buffers rows;
	/* What is kept of a record. */
	struct load_source {
		struct span topic, key, value; /* borrow from message */
		void *message;                 /* NULL: nothing to release */
		int64_t offset, timestamp_ms;
		int32_t partition;
	} * sources;
	size_t input_bytes;
	uint32_t source_count, source_capacity;
	int64_t rejects[REASON_COUNT]; /* records that the loader rejected, by reason */
	/* Set by load_store_write. duplicates: bronze records, read for the first time, whose event
	 * was stored already. */
	int64_t duplicates;
	int64_t staged; /* events that took the staging table (event_path.h) */
	/* Set by the owner; a segment ends once in each partition. */
	int32_t bronze_partition_count;
	/* Set by the owner; may be NULL. release: frees a message. read_headers: reads its first
	 * LOAD_HEADERS_MAX headers and returns how many there are. */
	void (*release)(void *message);
	size_t (*read_headers)(void *message, struct header headers[LOAD_HEADERS_MAX]);
	struct header headers[LOAD_HEADERS_MAX]; /* of the message that is being rejected */
};

void load_batch_free(struct load_batch *batch);
/* Releases the messages and empties the batch; keeps most of its memory. */
void load_batch_clear(struct load_batch *batch);

enum load_result {
	LOAD_ROW,      /* the record has become a row */
	LOAD_CONTROL,  /* a control record; it has a row only if it names a segment */
	LOAD_REJECTED, /* it cannot be a row and has become a dead letter of stage "loader" */
};
/* Adds one record of a topic. record->body, refused and detail are set as for a fold; headers are
 * needed for TOPIC_DEAD_LETTER, TOPIC_LATE_EVENTS and records without a value. Takes message. */
enum load_result load_batch_add(struct load_batch *batch, enum topic_id topic,
                                const struct input_record *record, void *message);

/* Removes a row that the database rejects, and dead-letters its record. If the row is itself a dead
 * letter of the loader, a second one without bytes and headers replaces it. False: the row is such
 * a second one, and nothing more can be done. */
bool load_batch_reject_row(struct load_batch *batch, uint32_t row, const char *detail);

#endif
