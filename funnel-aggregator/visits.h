/* Visits: runs of one session's events within one UTC day, without a gap of more than 30 minutes.
 *
 * A visit is a sum of its events, in which order does not matter. So an open visit takes events in
 * any order. An event may extend a visit, move its start, or join two visits. */
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

/* sessions: this module keeps the session's newest open visit in `attached` of the interned
 * session. categories: interned category codes. All three are borrowed. */
struct visits *visits_new(const struct stages *stages, struct interner *sessions,
                          struct interner *categories);
void visits_free(struct visits *visits);

/* Begins to load the memory of a session, for a visits_add that comes soon. */
void visits_prefetch(const struct visits *visits, uint32_t session);
/* Adds one event. session and category are ids of the interners; category may be INTERNED_NONE.
 * Returns false as funnel_add does. */
MUST_USE bool visits_add(struct visits *visits, uint32_t session, uint32_t category,
                         const struct bronze_event *event, int64_t revision);
/* Closes the visits whose end + gap is before this time. */
void visits_close(struct visits *visits, int64_t before_us);

/* Calls the sink for each change since the last flush, deleted rows first. Frees closed visits
 * afterwards. The texts of a visit are valid during the call. */
typedef void visit_sink(void *context, const struct visit *visit);
void visits_flush(struct visits *visits, visit_sink *sink, void *context);
/* As visits_flush, but without a sink: the changes so far are not emitted. */
void visits_discard_changes(struct visits *visits);

/* Numbers of open visits and of allocated bytes. */
size_t visits_entries(const struct visits *visits);
size_t visits_bytes(const struct visits *visits);
/* Canonical text of the open visits. */
void visits_dump(const struct visits *visits, struct buffer *out);

#endif
