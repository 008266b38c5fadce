/* Checks what the loader commits in the simulated PostgreSQL. See README.md, "The loader". */
#ifndef SIM_PG_ORACLE_H
#define SIM_PG_ORACLE_H

#include <stdbool.h>
#include <stddef.h>

#include "sim/pg_rows.h"

/* Begins a schedule; the topics must exist. */
void pg_oracle_begin(void);
/* A transaction of PostgreSQL has committed and has changed these rows. */
void pg_oracle_committed(struct pg_row *const *rows, size_t count);
/* Retention has removed a row of raw.events. */
void pg_oracle_dropped(struct span key);
/* Everything in the topics is in PostgreSQL. why: what is missing. */
bool pg_oracle_is_complete(char *why, size_t cap);
/* The checks at the end of a schedule that is complete. */
void pg_oracle_end(void);
size_t pg_oracle_records(void);

#endif
