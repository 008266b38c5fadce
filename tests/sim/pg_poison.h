/* Rows that the simulated PostgreSQL rejects, although the loader accepts them. A row is poison if
 * its bytes contain one of these words:
 *
 *   poison-copy    COPY fails             poison-apply    the apply statement fails
 *   ...-always     also as the dead letter that has the record's bytes */
#ifndef SIM_PG_POISON_H
#define SIM_PG_POISON_H

#include <stdbool.h>

#include "base/span.h"
#include "targets.h"

#define PG_POISON_COPY          "poison-copy"
#define PG_POISON_APPLY         "poison-apply"
#define PG_POISON_ALWAYS        "-always"
#define PG_POISON_COPY_STATE    "22021"
#define PG_POISON_COPY_MESSAGE  "invalid byte sequence"
#define PG_POISON_APPLY_MESSAGE "new row violates a check constraint"

bool pg_is_poison(enum target target, struct span tuple, const char *word);

#endif
