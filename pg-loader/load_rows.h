/* Decoded records to COPY rows, one writer per topic. Pure. */
#ifndef FUNNEL_LOAD_ROWS_H
#define FUNNEL_LOAD_ROWS_H

#include "event/reason.h"
#include "row_buffers.h"
#include "stream/record.h"
#include "wire/topics.h"

/* Adds the row of a record; source is the record's number in the batch. Any result other than
 * REASON_NONE: nothing was added, and detail may say more. */
enum reason load_rows_add(struct row_buffers *rows, enum topic_id topic,
                          const struct input_record *record, uint32_t source, char *detail,
                          size_t detail_cap);

/* Adds the row of a control record of bronze. A control without a segment, which another tool may
 * have written, adds none. */
void load_rows_add_control(struct row_buffers *rows, const struct input_record *record,
                           uint32_t source, int32_t bronze_partition_count);

#endif
