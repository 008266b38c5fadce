/* A batch: rows ready for COPY, by target, and the records that they came from.
 *
 * Records are kept until the batch is cleared, so that a row which the database refuses can be dead-lettered with its
 * bytes. Pure: knows nothing of Kafka or PostgreSQL. */
#ifndef FUNNEL_LOAD_BATCH_H
#define FUNNEL_LOAD_BATCH_H

#include <stdint.h>

#include "event/reason.h"
#include "row_buffers.h"
#include "stream/outbox.h"
#include "stream/record.h"
#include "wire/topics.h"

#define LOAD_HEADERS_MAX 64

struct load_batch {
	struct row_buffers rows;
	struct load_source {
		struct input_record
			record; /* topic, key and value borrow from message; no headers */
		void *message;  /* NULL: nothing to give back */
	} * sources;
	size_t input_bytes;
	uint32_t source_count, source_capacity;
	int64_t rejects[REASON_COUNT];  /* our own, by reason */
	int64_t doubles;                /* set by load_store_write: events bronze holds twice */
	int32_t bronze_partition_count; /* set by the owner: so many ends a segment has */
	/* Set by the owner, may be NULL: gives a message back, and reads its first LOAD_HEADERS_MAX headers. */
	void (*release)(void *message);
	size_t (*read_headers)(void *message, struct header headers[LOAD_HEADERS_MAX]);
	struct header headers[LOAD_HEADERS_MAX]; /* of the message at hand */
};

void load_batch_free(struct load_batch *batch);
/* Gives the messages back and forgets everything but the memory. */
void load_batch_clear(struct load_batch *batch);

enum load_verdict { LOAD_ROW, LOAD_CONTROL, LOAD_REJECTED };
/* Adds what one record of a topic means. record->body, refused and detail are set as for a fold; headers are needed for
 * TOPIC_DEAD_LETTER, TOPIC_LATE_EVENTS and records without a value. Keeps message. A control is no event, but one of a
 * segment has a row of its own. A record that is bad becomes a reject: a dead letter of stage "loader". */
enum load_verdict load_batch_add(struct load_batch *batch, enum topic_id topic,
                                 const struct input_record *record, void *message);

/* Takes a row out that the database refused, and dead-letters its record; a refused reject is tried once more
 * without its bytes. False: that was refused too, and nothing more can be done. */
bool load_batch_reject_row(struct load_batch *batch, uint32_t row, const char *detail);

#endif
