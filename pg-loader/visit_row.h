/* The COPY rows of TARGET_VISITS and TARGET_VISIT_REMOVALS. Pure.
 *
 * The ids of the two categories (event_entries.h) are not known when a row is written. They have
 * fixed places at the beginning of the row, and are set before it is sent. */
#ifndef FUNNEL_VISIT_ROW_H
#define FUNNEL_VISIT_ROW_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "wire/records_visit.h"

/* Which value of the visit the columns of processed.visit_rows cannot hold; NULL: none. A visit
 * ends on the UTC day on which it began, and the aggregator counts far fewer events than this. */
const char *visit_row_fault(const struct visit *visit);
/* An upper bound of the bytes of a row. */
size_t visit_row_room(const struct visit *visit);
/* Writes a row without ids; of a deleted visit, its removal. Returns where it ends. *key: the
 * bytes of the key's columns, which are the same for both. */
char *visit_row_write(char *at, const struct visit *visit, struct span *key);
/* Not for removals. */
void visit_row_set_ids(char *row, int32_t first_label, int32_t last_label);

#endif
