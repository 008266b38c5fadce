/* Keeps the reports up to date while rows are loaded. It calls reporting.refresh_sums() and
 * reporting.refresh_slow() in the database at an interval, on a connection of its own, and never
 * waits for the answer. The server does the work of a call in one transaction, so a loader that is
 * killed leaves nothing half done.
 *
 * A failure (no connection, an error) is logged, counted and retried. It does not stop loading. */
#ifndef FUNNEL_REPORTING_H
#define FUNNEL_REPORTING_H

#include "base/err.h"
#include "postgres/postgres.h"

struct reporting;
/* Borrows config. interval_us 0: does nothing. */
struct reporting *reporting_new(const struct postgres_config *config, int64_t interval_us);
void reporting_free(struct reporting *reporting);
/* Call after each commit of rows. If no more rows follow for a while, the next refresh begins
 * without waiting for the interval. segment: they have a control of a segment. Then refreshes may
 * follow each other after 1 s for some time. */
void reporting_note_rows(struct reporting *reporting, bool segment);
/* Call at every step of the loop; never blocks. */
void reporting_step(struct reporting *reporting);

/* Builds all reports again, which may take up to 24 hours. Errors: as of postgres_run. */
MUST_USE bool reporting_rebuild(const struct postgres_config *config, struct err *err);

#endif
