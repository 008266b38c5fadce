/* Rows ready for COPY, one buffer per target, and which of them are still to be sent. Pure.
 *
 * A row with the key of an earlier one supersedes it (collapse.h): that one stays in its buffer and is not live. */
#ifndef FUNNEL_ROW_BUFFERS_H
#define FUNNEL_ROW_BUFFERS_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/span.h"
#include "collapse.h"
#include "targets.h"

struct load_row {
	size_t at;     /* in the target's bytes */
	int64_t order; /* see collapse.h */
	uint32_t len;
	uint32_t source;
	uint8_t target;
	uint8_t form; /* enum reject_form, for rows of TARGET_DEAD_LETTERS that are our own rejects */
	bool live;    /* not superseded and not rejected */
};

enum reject_form { REJECT_NONE, REJECT_FULL, REJECT_BARE /* without bytes, headers and detail */ };

/* Zero-initialised is empty. */
struct row_buffers {
	struct buffer bytes[TARGET_COUNT];
	struct load_row *at;
	uint32_t count, capacity;
	uint32_t live[TARGET_COUNT]; /* live rows by target */
	int64_t *days; /* UTC days since 1970 of the rows of TARGET_EVENTS, each once */
	uint32_t day_count, day_capacity;
	struct collapse collapse;
	struct buffer scratch; /* for the writers of rows */
};

void row_buffers_free(struct row_buffers *rows);
/* Forgets everything but the memory. */
void row_buffers_clear(struct row_buffers *rows);

/* Room for `room` bytes at the end of a target's buffer. */
char *row_begin(struct row_buffers *rows, enum target target, size_t room);
/* The row that was written there ends at `end`. key.at == NULL: it supersedes nothing. Keys of different
 * families never meet. */
void row_end(struct row_buffers *rows, enum target target, const char *end, uint32_t source,
             int64_t order, struct span key, enum target key_family);
void row_day(struct row_buffers *rows, int64_t day);
/* The row is not sent. */
void row_drop(struct row_buffers *rows, uint32_t number);

#endif
