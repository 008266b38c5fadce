/* What the writers of rows share: headers as numbers, and refusing a record. Pure. */
#ifndef FUNNEL_ROW_FIELDS_H
#define FUNNEL_ROW_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event/reason.h"
#include "stream/record.h"

/* Returns reason; detail names what was refused (NULL: nothing to name). */
enum reason row_refuse(enum reason reason, char *detail, size_t cap, const char *what);
/* A header whose last value is a number from 0 to max, in digits alone. */
bool header_integer(const struct input_record *record, const char *name, int64_t max,
                    int64_t *value);

#endif
