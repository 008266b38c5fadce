/* A record mark: offset, time, and a hash of key and value of one record. It recognises the log
 * that the record was read from.
 *
 * An offset alone does not identify a log. If a topic is deleted and created again, the new log
 * begins at 0 and reaches every offset again. A log that has the marked record at the mark's offset
 * is the log that the record was read from. Pure. */
#ifndef FUNNEL_RECORD_MARK_H
#define FUNNEL_RECORD_MARK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define RECORD_MARK_TEXT_MAX 64

struct record_mark {
	int64_t offset; /* -1: no record is marked */
	int64_t timestamp_ms;
	uint64_t hash;
};

#define RECORD_MARK_NONE ((struct record_mark){.offset = -1})

struct record_mark record_mark_of(int64_t offset, int64_t timestamp_ms, struct span key,
                                  struct span value);
bool record_mark_equal(const struct record_mark *a, const struct record_mark *b);

/* "<offset>,<time in ms>,<hash, 16 hexadecimal digits>". */
void record_mark_format(const struct record_mark *mark, char out[RECORD_MARK_TEXT_MAX]);
MUST_USE bool record_mark_parse(const char *text, struct record_mark *mark);

#endif
