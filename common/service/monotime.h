/* Clocks, in microseconds. */
#ifndef FUNNEL_MONOTIME_H
#define FUNNEL_MONOTIME_H

#include <stdint.h>

/* From an arbitrary start; never goes back. */
int64_t monotonic_us(void);
/* Since 1970-01-01 UTC; may jump. */
int64_t wallclock_us(void);

#endif
