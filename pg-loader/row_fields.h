/* Shared by the writers of rows: numbers in headers, and the detail of a rejected record. Pure. */
#ifndef FUNNEL_ROW_FIELDS_H
#define FUNNEL_ROW_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event/reason.h"
#include "stream/record.h"

/* Returns reason, and writes what into detail: the field or the fault (NULL: empty). */
enum reason row_reject(enum reason reason, char *detail, size_t cap, const char *what);
/* Parses the last value of a header: a number from 0 to max, digits only. */
bool header_integer(const struct input_record *record, const char *name, int64_t max,
                    int64_t *value);

#endif
