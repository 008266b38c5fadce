/* Invalid rows for tests: one kind for each way in which bronze-sink must refuse a row. Pure. */
#ifndef FUNNEL_CORRUPTIONS_H
#define FUNNEL_CORRUPTIONS_H

#include <stdint.h>

#include "base/span.h"

#define CORRUPTION_GROWTH 64 /* bytes by which a corrupted row may be longer than the valid one */
#define CORRUPTION_KINDS  18

/* Makes one invalid row (without line end) from the nine fields of a valid row; returns its length.
 * kind is below CORRUPTION_KINDS. cap: at least the length of the valid row + CORRUPTION_GROWTH. */
size_t corruption_write(uint32_t kind, const struct span fields[9], char *out, size_t cap);

#endif
