/* Visits: runs of one session's events within one UTC day without a gap of over 30 minutes.
 *
 * A visit is a sum of its events in which order does not matter, so it takes an event, or
 * another visit, at any time while it is open: an event may extend it, move its start, or join two. */
#ifndef FUNNEL_VISITS_H
#define FUNNEL_VISITS_H

#include "base/buffer.h"
#include "base/err.h"
#include "base/interner.h"
#include "base/timetext.h"
#include "stages.h"
#include "wire/records_bronze.h"
#include "wire/records_visit.h"

#define VISIT_GAP_US (30 * US_PER_MINUTE)

struct visits;

/* sessions: `attached` of an interned session is its newest open visit. categories: interned category codes.
 * All borrowed. */
struct visits *visits_new(const struct stages *stages, struct interner *sessions,
                          struct interner *categories);
void visits_free(struct visits *visits);

/* Takes one event; category is a number in categories or INTERNED_NONE. False: see funnel_add. */
MUST_USE bool visits_add(struct visits *visits, uint32_t session, uint32_t category,
                         const struct bronze_event *event, int64_t revision);
/* Closes the visits that ended before this time by more than the gap. */
void visits_close(struct visits *visits, int64_t before_us);

/* What changed since the last flush, withdrawn rows first. Closed visits are forgotten afterwards. Texts are
 * valid during the call. */
typedef void visit_sink(void *context, const struct visit *visit);
void visits_flush(struct visits *visits, visit_sink *sink, void *context);
/* Everything so far counts as flushed. */
void visits_discard_changes(struct visits *visits);

/* Canonical text of the open visits. */
void visits_dump(const struct visits *visits, struct buffer *out);

#endif
