/* Records of the topics as rows of the lake. */
#ifndef FUNNEL_LAKE_ROWS_H
#define FUNNEL_LAKE_ROWS_H

#include "base/err.h"
#include "event/clock.h"
#include "lake_sheet.h"
#include "lake_tables.h"
#include "stream/record.h"
#include "wire/topics.h"

/* What the records before a place in a partition of bronze have left behind. */
struct lake_stream {
	struct partition_clock clock;
	char segment[LAKE_SEGMENT_MAX]; /* the open one; "": none */
};

/* Adds the row of a record to its table, and moves the stream past it. *table: where the row is. A
 * record whose bytes cannot be read becomes a row of dead letters, with its bytes and the reason.
 * ERR_RETRY, ERR_FATAL: of DuckDB; the sheets have to be cleared. */
MUST_USE bool lake_rows_add(struct lake_sheet sheets[LAKE_TABLE_COUNT], enum topic_id topic,
                            const struct input_record *record, int32_t batch,
                            struct lake_stream *stream, enum lake_table *table, struct err *err);

#endif
