/* ORDER=time: reads and sorts all rows before the first one is sent. */
#ifndef FUNNEL_PRODUCER_SORT_H
#define FUNNEL_PRODUCER_SORT_H

#include <stdbool.h>

#include "base/err.h"
#include "producer_state.h"
#include "service/service.h"

/* Applies ORDER to the source, which has just been opened. */
MUST_USE bool producer_set_order(struct producer *p, struct err *err);
/* Does a part of the sort. Begins the next phase when the sort is done, or if there is none. */
enum step producer_step_sorting(struct producer *p, struct err *err);

#endif
