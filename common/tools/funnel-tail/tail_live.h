/* The live funnel: reads aggregates, partials and counts, and draws them until the user quits. */
#ifndef FUNNEL_TAIL_LIVE_H
#define FUNNEL_TAIL_LIVE_H

#include "base/err.h"
#include "tail_config.h"

/* True: the user has quit, a stop was requested, or one picture was printed. */
MUST_USE bool tail_live_run(const struct tail_config *config, struct err *err);

#endif
