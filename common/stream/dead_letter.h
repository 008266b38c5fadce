/* Dead letters: refused records, kept as they came, with the reason in headers. This file writes
 * and reads them. It also reads the markers that redrive writes. */
#ifndef FUNNEL_DEAD_LETTER_H
#define FUNNEL_DEAD_LETTER_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "event/reason.h"
#include "stream/outbox.h"
#include "stream/outputs.h"
#include "stream/record.h"
#include "wire/records_counts.h"

/* Counts a refused record, and adds a dead letter to out with its key, value and headers. The
 * reason follows in the headers of Kafka Connect. by_reference: the value is left out. Parts that
 * are too large for the topic are left out as well; the message then has their size. out: NULL
 * during a restore, which only counts. detail may be NULL. */
void output_dead_letter(struct outbox *out, const struct output_context *context,
                        const struct input_record *record, enum reason reason, const char *detail,
                        bool by_reference, struct counts *counts);

/* The header of a dead letter that says for people what was wrong. */
#define DEAD_LETTER_HEADER_DETAIL "__connect.errors.exception.message"
#define REDRIVE_HEADER_MARKER     "redriven"
#define REDRIVE_HEADER_FROM       "redriven_from"
struct dead_letter {
	struct span service, reason, source_topic;
	int64_t source_offset;
	int32_t source_partition;
	size_t own_headers; /* number of the refused record's headers; they come first */
};
/* False if the record was not written by output_dead_letter; markers were not. Spans borrow from
 * the record. */
MUST_USE bool dead_letter_read(const struct input_record *record, struct dead_letter *letter);
/* Reads from a marker the partition and offset of the dead letter that was redriven. False if the
 * record is not a marker. */
MUST_USE bool redrive_marker_read(const struct input_record *record, int32_t *partition,
                                  int64_t *offset);

/* Number of headers that output_dead_letter adds. */
#define DEAD_LETTER_HEADERS 11

#endif
