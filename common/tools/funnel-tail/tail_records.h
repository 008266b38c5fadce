/* Prints the records of a topic to stdout. */
#ifndef FUNNEL_TAIL_RECORDS_H
#define FUNNEL_TAIL_RECORDS_H

#include "base/err.h"
#include "tail_config.h"

/* True: all requested records were printed, a signal requested a stop, or nobody reads stdout any
 * more. */
MUST_USE bool tail_records_run(const struct tail_config *config, const struct tail_request *request,
                               struct err *err);

#endif
