/* Brings the reports up to date while rows are loaded: calls reporting.refresh() of the database now and then, on a
 * connection of its own, and never waits for it. The work is the server's; a loader that is killed leaves nothing half done.
 *
 * Trouble (no connection, an error) is logged and counted, and it is tried again: reports that are behind are no reason to
 * stop loading. */
#ifndef FUNNEL_REPORTING_H
#define FUNNEL_REPORTING_H

#include "base/err.h"
#include "postgres/postgres.h"

struct reporting;
/* config is borrowed. interval_us 0: does nothing. */
struct reporting *reporting_new(const struct postgres_config *config, int64_t interval_us);
void reporting_free(struct reporting *reporting);
/* Call at every turn of the loop; takes no time. */
void reporting_step(struct reporting *reporting);

/* Makes all reports anew, however long it takes. */
MUST_USE bool reporting_rebuild(const struct postgres_config *config, struct err *err);

#endif
