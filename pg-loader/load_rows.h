/* What a record of each topic means as rows. Pure: a record in, rows in the batch or a reason out. */
#ifndef FUNNEL_LOAD_ROWS_H
#define FUNNEL_LOAD_ROWS_H

#include "event/reason.h"
#include "row_buffers.h"
#include "stream/record.h"
#include "wire/topics.h"

/* Adds the row of the record with the number `source` in its batch. Other than REASON_NONE: nothing was added, and detail may say more. */
enum reason load_rows_add(struct row_buffers *rows, enum topic_id topic,
                          const struct input_record *record, uint32_t source, char *detail,
                          size_t detail_cap);

/* Adds the row of a control record of bronze. One that names no segment, as another tool may write it, adds none. */
void load_rows_add_control(struct row_buffers *rows, const struct input_record *record,
                           uint32_t source, int32_t bronze_partition_count);

#endif
