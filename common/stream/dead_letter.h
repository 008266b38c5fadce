/* Dead letters: refused records, kept as they came with the reason in headers. This file writes and
 * reads them, and reads the markers that redrive writes. */
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

/* Sends an input record to the dead letter as it came, with the reason in Kafka Connect's headers; the
 * original headers are kept. by_reference: without its bytes. What would be too large for the topic is left out, which the
 * message then says. out may be NULL (rebuild). Counts it. */
void output_dead_letter(struct outbox *out, const struct output_context *terms,
                        const struct input_record *record, enum reason reason, const char *detail,
                        bool by_reference, struct counts *counts);

#define REDRIVE_HEADER_MARKER "redriven"
#define REDRIVE_HEADER_FROM   "redriven_from"
struct dead_letter {
	struct span service, reason, source_topic;
	int64_t source_offset;
	int32_t source_partition;
	size_t own_headers; /* so many of the first headers are the refused record's own */
};
/* False where the record is no dead letter as output_dead_letter writes it, or a mark. Spans borrow from the record. */
MUST_USE bool dead_letter_read(const struct input_record *record, struct dead_letter *letter);
/* False where the record is no mark; else the place of the letter that it marks. */
MUST_USE bool redrive_marker_read(const struct input_record *record, int32_t *partition,
                                  int64_t *offset);

/* How many headers a dead letter has beyond those of the refused record. */
#define DEAD_LETTER_HEADERS 11

#endif
