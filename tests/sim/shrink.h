/* Makes the trace of a failing schedule short: leaves choices out as long as it still fails. */
#ifndef SIM_SHRINK_H
#define SIM_SHRINK_H

#include "sim/schedule.h"

/* The result fails in the same way as the first run: its message begins the same. seconds: limit
 * of real time. The caller frees *trace, which is replaced. */
void shrink(const struct schedule_options *options, struct trace *trace, double seconds);

#endif
