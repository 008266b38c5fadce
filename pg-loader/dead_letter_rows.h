/* Rows of raw.dead_letters, and of the markers that redrive writes. Pure. */
#ifndef FUNNEL_DEAD_LETTER_ROWS_H
#define FUNNEL_DEAD_LETTER_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "event/reason.h"
#include "row_buffers.h"
#include "stream/record.h"

/* Adds the row of a record of the dead-letter topic: a dead letter, or a marker. Any result other
 * than REASON_NONE: nothing was added, and detail may say more. */
enum reason dead_letter_row_add(struct row_buffers *rows, const struct input_record *record,
                                uint32_t source, char *detail, size_t cap);
/* Adds the dead letter of a record that the loader itself rejects: stage "loader". */
void dead_letter_row_reject(struct row_buffers *rows, const struct input_record *record,
                            uint32_t source, enum reason reason, const char *detail,
                            enum reject_form form);

#endif
