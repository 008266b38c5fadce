/* The COPY rows of TARGET_EVENTS: writing, reading, and their form for the staging table. Pure.
 *
 * A row is written when its record arrives. The ids of its entries (event_entries.h) are not known
 * then. They have fixed places at the beginning of the row, and are set before it is sent. */
#ifndef FUNNEL_EVENT_ROW_H
#define FUNNEL_EVENT_ROW_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/span.h"
#include "event/session_id.h"
#include "event_entries.h"
#include "wire/records_bronze.h"

/* An upper bound of the bytes of a row. */
size_t event_row_room(const struct bronze_event *bronze);
/* Writes a row without ids, and returns where it ends. day: UTC day of the event since 1970. */
char *event_row_write(char *at, const struct bronze_event *bronze, int64_t day);
void event_row_set_ids(char *row, int32_t label_id, int32_t source_id);

/* What rows are sorted by (event_order.h): the UTC day of the event, counted from 2000, and the
 * first 8 bytes of its id as a number. */
int32_t event_row_day(const char *row);
uint64_t event_row_id_head(const char *row);
int64_t event_row_user(const char *row);
/* The time at which the raw record was appended, in microseconds. */
int64_t event_row_raw_time_us(const char *row);
int64_t event_row_event_time_us(const char *row);
/* Replaces the user by a pseudonym; of an event without a session, also its session. */
void event_row_forget(char *row, int64_t pseudonym);

/* Reads what event_sums.h needs. Of user_session it sets only whether it is null. The other texts
 * borrow from the entries. Everything else in *bronze is none. */
void event_row_read(struct span row, const struct event_label *label,
                    const struct event_source *source, struct bronze_event *bronze,
                    uint8_t session[SESSION_ID_BYTES]);

/* Appends the row with the two columns that only the staging table has: where its record is in
 * bronze. */
void event_row_stage(struct buffer *out, struct span row, int32_t bronze_partition,
                     int64_t bronze_offset);

#endif
