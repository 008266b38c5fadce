/* Rows ready for COPY, one buffer per target, and which of them are live, that is, to be sent.
 * Pure.
 *
 * Of two rows with the same key, one replaces the other (collapse.h). The bytes of the other stay
 * in the buffer, but it is not live any more. */
#ifndef FUNNEL_ROW_BUFFERS_H
#define FUNNEL_ROW_BUFFERS_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/span.h"
#include "collapse.h"
#include "event_entries.h"
#include "targets.h"

struct load_row {
	size_t at;       /* offset in the target's bytes */
	int64_t order;   /* see collapse.h */
	uint32_t len;    /* bytes */
	uint32_t source; /* number of its record in the batch */
	/* The numbers of its entries. Of TARGET_EVENTS: label and origin. Of TARGET_VISITS: label,
	 * which is that of its first category, and last_label. */
	uint32_t label, origin, last_label;
	uint8_t target;
	uint8_t form; /* enum reject_form: set for dead letters of the loader itself */
	bool live;    /* neither replaced nor rejected */
};

enum reject_form {
	REJECT_NONE, /* not a dead letter of the loader */
	REJECT_FULL, /* with bytes and headers */
	REJECT_BARE, /* without bytes and headers */
};

/* Zero-initialised is empty. */
struct row_buffers {
	struct buffer bytes[TARGET_COUNT];
	struct load_row *at;
	uint32_t count, capacity;
	uint32_t live[TARGET_COUNT]; /* number of live rows by target */
	int64_t *days; /* UTC days since 1970 of the rows of TARGET_EVENTS, each once */
	uint32_t day_count, day_capacity;
	struct entries labels, origins; /* of events and visits, and of batches before */
	struct collapse collapse;
	struct buffer scratch; /* for the writers of rows */
};

void row_buffers_free(struct row_buffers *rows);
/* Empties the buffers. Keeps the entries, unless there are too many, and the memory, except of
 * buffers above 1 MiB of which less than a quarter was used. */
void row_buffers_clear(struct row_buffers *rows);

/* Returns where the next row of a target begins, with room for `room` bytes. */
char *row_begin(struct row_buffers *rows, enum target target, size_t room);
/* Adds the row that was written from row_begin() up to end (exclusive). Rows with equal keys of the
 * same family are collapsed; key.at == NULL: this row is not. */
void row_end(struct row_buffers *rows, enum target target, const char *end, uint32_t source,
             int64_t order, struct span key, enum target key_family);
/* Notes the UTC day of an event; days are counted from 1970. */
void row_day(struct row_buffers *rows, int64_t day);
/* Makes a row not live. */
void row_drop(struct row_buffers *rows, uint32_t number);

#endif
