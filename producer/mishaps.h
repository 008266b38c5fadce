/* Rows as no source should write them: one of each way in which the sink must refuse a row. Pure. */
#ifndef FUNNEL_MISHAPS_H
#define FUNNEL_MISHAPS_H

#include <stdint.h>

#include "base/span.h"

#define MISHAP_GROWTH 64 /* bytes by which a spoilt row may be longer than a good one */
#define MISHAP_KINDS  18

/* Writes one row (without line end) made from a good row's nine fields; returns its length.
 * kind below MISHAP_KINDS. out takes the good row's length + MISHAP_GROWTH. */
size_t mishap_write(uint32_t kind, const struct span fields[9], char *out, size_t cap);

#endif
