/* A row as bytes that stay valid after its reader has moved on: in memory, or in a temporary file.
 * Pure. */
#ifndef FUNNEL_PACKED_ROW_H
#define FUNNEL_PACKED_ROW_H

#include <stddef.h>

#include "event/event_json_write.h"
#include "row.h"

/* The most bytes that packed_row_write writes for this row. */
size_t packed_row_max(const struct row *row);
/* Writes all members of the row except source_file. Returns the number of bytes. */
size_t packed_row_write(const struct row *row, char *out);
/* Reads what packed_row_write has written. The row borrows from `bytes` and `extras`, which has
 * room for ROW_COLUMNS_MAX; source_file is NULL. */
void packed_row_read(const char *bytes, struct row_extra *extras, struct row *row);

#endif
