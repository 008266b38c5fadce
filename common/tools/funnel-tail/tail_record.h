/* One record of a topic for people: decoded, described for the filters, and written as a line.
 * Pure; tail_decode.h has removed the frame.
 *
 * The JSON form is one object on one line. It always has these members:
 *
 *   topic, partition, offset
 *   timestamp   of the record, "2026-11-29T13:00:00.123Z"
 *   headers     [{"key":"source_row","value":"17"}, ...], in their order; a name may repeat
 *   key         text or null
 *   value       an object: the fields of the schema under their names; times as text, revenue and
 *               prices as numbers with two decimals. For raw, the JSON value as it came. For
 *               dead-letter, the text as it came. Otherwise null.
 *
 * and these where they apply:
 *
 *   control     kind of a control (begin, jump, end, invalid)
 *   tombstone   true: no value, in a compacted topic
 *   redriven    place of the dead letter that redrive has sent; the record is its marker
 *   reason      reason code of a dead letter
 *   error       why the value cannot be decoded: a reason code, and more after a colon
 *   *_base64    bytes of a key, value or header that are not UTF-8, or that cannot be decoded
 *
 * The plain form is for reading:
 * TIMESTAMP PARTITION/OFFSET KEY name=value ... headers={name=value ...} */
#ifndef FUNNEL_TAIL_RECORD_H
#define FUNNEL_TAIL_RECORD_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "base/span.h"
#include "stream/record.h"
#include "wire/records_aggregate.h"
#include "wire/records_alert.h"
#include "wire/records_bronze.h"
#include "wire/records_cart.h"
#include "wire/records_counts.h"
#include "wire/records_visit.h"
#include "wire/topics.h"

enum tail_format { TAIL_JSON, TAIL_PLAIN, TAIL_RAW };

enum tail_kind {
	TAIL_VALUE,      /* decoded */
	TAIL_CONTROL,    /* of the producer */
	TAIL_MARKER,     /* of redrive, in the topic of dead letters */
	TAIL_TOMBSTONE,  /* no value, in a compacted topic */
	TAIL_NO_VALUE,   /* a dead letter that was kept without its bytes */
	TAIL_UNREADABLE, /* error says why */
};

struct tail_record {
	const struct input_record *record; /* borrowed */
	enum topic_id topic;
	enum tail_kind kind;
	char error[320];
	/* For the filters; at == NULL: the record has none. */
	struct span type, reason, rollup, category[2];
	json_t *json; /* of a raw value; owned */
	union {
		struct bronze_event bronze;
		struct aggregate aggregate;
		struct visit visit;
		struct counts_record counts;
		struct alert alert;
		struct abandoned_cart cart;
	} as;
	int64_t unknown_dead; /* of counts */
};

/* record->body and record->refused are as frame_decode set them. Accepts any bytes. */
void tail_record_read(struct tail_record *tail, enum topic_id topic,
                      const struct input_record *record);
void tail_record_end(struct tail_record *tail);

/* Appends one line. TAIL_RAW: the bytes of the value as they are, and a line end. */
void tail_record_write(const struct tail_record *tail, enum tail_format format, struct buffer *out);

#endif
