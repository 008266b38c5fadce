/* A batch: rows ready for COPY, by target, and the records that they came from.
 *
 * Records are kept until the batch is cleared, so that a row which the database refuses can be dead-lettered with its
 * bytes. Pure: knows nothing of Kafka or PostgreSQL. */
#ifndef FUNNEL_LOAD_BATCH_H
#define FUNNEL_LOAD_BATCH_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/span.h"
#include "collapse.h"
#include "event/reason.h"
#include "stream/outbox.h"
#include "stream/record.h"
#include "targets.h"
#include "wire/topics.h"

struct load_row {
	size_t at;      /* in the target's bytes */
	int64_t order;  /* see collapse.h */
	uint32_t len;
	uint32_t source;
	uint8_t target;
	uint8_t form; /* enum reject_form, for rows of TARGET_DEAD_LETTERS that are our own rejects */
	bool live;    /* not superseded and not rejected */
};

enum reject_form { REJECT_NONE, REJECT_FULL, REJECT_BARE /* without bytes, headers and detail */ };

#define LOAD_HEADERS_MAX 64

struct load_batch {
	struct buffer bytes[TARGET_COUNT];
	struct load_row *rows;
	struct load_source {
		struct input_record record; /* topic, key and value borrow from message; no headers */
		void *message;              /* NULL: nothing to give back */
	} *sources;
	int64_t *days; /* UTC days since 1970 of the rows of TARGET_EVENTS, each once */
	struct collapse collapse;
	struct buffer scratch;
	size_t input_bytes;
	uint32_t row_count, row_capacity, source_count, source_capacity, day_count, day_capacity;
	uint32_t target_rows[TARGET_COUNT]; /* live ones */
	int64_t rejects[REASON_COUNT];      /* our own, by reason */
	int64_t doubles;                    /* set by load_store_write: events bronze holds twice */
	int32_t bronze_partition_count;     /* set by the owner: so many ends a segment has */
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
enum load_verdict load_batch_add(struct load_batch *batch, enum topic_id topic, const struct input_record *record, void *message);

/* Takes a row out that the database refused, and dead-letters its record; a refused reject is tried once more
 * without its bytes. False: that was refused too, and nothing more can be done. */
bool load_batch_reject_row(struct load_batch *batch, uint32_t row, const char *detail);

/* For load_rows.c: room for `room` bytes at the end of a target, and the row that was written there. */
char *load_row_begin(struct load_batch *batch, enum target target, size_t room);
void load_row_end(struct load_batch *batch, enum target target, const char *end, int64_t order, struct span key, enum target key_family);
void load_batch_day(struct load_batch *batch, int64_t day);
/* The dead letter of a record of ours: stage "loader". */
void load_row_reject(struct load_batch *batch, const struct input_record *record, enum reason reason, const char *detail,
                     enum reject_form form);

#endif
