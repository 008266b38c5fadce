/* pg-loader --wait-idle: waits until the pipeline is drained, that is, until all records of all
 * topics are in PostgreSQL.
 *
 * Drained means: in each input partition of each service, the committed offset equals the log end.
 * For the loader it is the offset in processed.loader_offsets. The log end is the high watermark,
 * which includes records of open transactions. So if a service has read its input and not yet
 * committed its output, the next service is not drained. A check counts only if the log ends were
 * the same before and after it, and two checks in a row must find the pipeline drained.
 *
 * With WAIT_REPORTS it then waits until the reports have all of it (reporting.waiting()). It leaves
 * the refresh to the loaders. */
#ifndef FUNNEL_WAIT_IDLE_H
#define FUNNEL_WAIT_IDLE_H

#include "base/err.h"
#include "loader.h"
#include "service/service.h"

struct wait_idle;
/* Borrows config. */
struct wait_idle *wait_idle_new(const struct loader_config *config);
/* One check. STEP_DONE: drained, and the reports have it. STEP_FAILED: WAIT_TIMEOUT has passed
 * (ERR_RETRY; the message names what lags or what the reports lack), or an error that waiting
 * cannot remove, such as ERR_OPERATOR. */
enum step wait_idle_step(struct wait_idle *wait, bool stopping, struct err *err);
void wait_idle_free(struct wait_idle *wait);

#endif
