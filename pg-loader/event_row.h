/* The COPY rows of TARGET_EVENTS, as load_rows.c writes them: reading them, and their form for the
 * staging table. Pure. */
#ifndef FUNNEL_EVENT_ROW_H
#define FUNNEL_EVENT_ROW_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/span.h"
#include "wire/records_bronze.h"

/* Reads what event_sums.h needs: the event without category_id, its id, raw_partition and
 * raw_offset. Everything else in *event is none. Texts borrow from row. */
void event_row_read(struct span row, struct bronze_event *event);

/* Appends the row with the two columns that only the staging table has: where its record is in
 * bronze. */
void event_row_stage(struct buffer *out, struct span row, int32_t bronze_partition,
                     int64_t bronze_offset);

#endif
