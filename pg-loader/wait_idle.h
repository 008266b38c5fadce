/* pg-loader --wait-idle: waits until everything in the topics has gone through the whole pipeline into PostgreSQL.
 *
 * Drained is: every service's committed offset, and the loader's in processed.loader_offsets, equals the end of each of
 * its input partitions. Ends are high watermarks, which count the records of open transactions too, so a service that has
 * read its input and not yet committed its output keeps the next one from being drained. One look counts only if the ends
 * were the same before and after it, and two looks in a row must count. */
#ifndef FUNNEL_WAIT_IDLE_H
#define FUNNEL_WAIT_IDLE_H

#include "base/err.h"
#include "loader.h"
#include "service/service.h"

struct wait_idle;
/* config is borrowed. */
struct wait_idle *wait_idle_new(const struct loader_config *config);
/* One look. STEP_DONE: drained. STEP_FAILED: WAIT_TIMEOUT has passed (ERR_RETRY, names what lags), or ERR_OPERATOR. */
enum step wait_idle_step(struct wait_idle *wait, bool stopping, struct err *err);
void wait_idle_free(struct wait_idle *wait);

#endif
