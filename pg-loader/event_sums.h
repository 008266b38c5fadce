/* The sums of a transaction's events, for processed.load_batches: one row per UTC day. Pure.
 *
 * sql/tables/0007_load_sums.sql defines the rows. processed.note_events() makes the same rows in
 * SQL, where some events of a batch were stored already. */
#ifndef FUNNEL_EVENT_SUMS_H
#define FUNNEL_EVENT_SUMS_H

#include <stdint.h>

#include "base/buffer.h"
#include "event/session_id.h"
#include "wire/records_bronze.h"

/* COPY processed.load_batches (...) FROM STDIN: the columns that event_sums_write writes. */
extern const char event_sums_copy[];

struct event_sums;
struct event_sums *event_sums_new(void);
void event_sums_free(struct event_sums *sums);
/* Forgets all events; keeps the memory. */
void event_sums_clear(struct event_sums *sums);

/* Adds an event of a session. Its texts are borrowed until the next clear. */
void event_sums_add(struct event_sums *sums, const struct bronze_event *event,
                    const uint8_t session[SESSION_ID_BYTES]);
/* Appends the COPY rows, without header and trailer. A key is there more than once if the sum of
 * its prices does not fit 64 bits. */
void event_sums_write(const struct event_sums *sums, struct buffer *out);

#endif
