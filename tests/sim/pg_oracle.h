/* Checks what the loader commits in the simulated PostgreSQL. See README.md, "The loader". */
#ifndef SIM_PG_ORACLE_H
#define SIM_PG_ORACLE_H

#include <stdbool.h>
#include <stddef.h>

#include "sim/cluster.h"
#include "sim/pg_rows.h"

/* Begins a schedule; the topics must exist. */
void pg_oracle_begin(void);
/* A transaction of PostgreSQL has committed and has changed these rows. */
void pg_oracle_committed(struct pg_row *const *rows, size_t count);
/* Retention has removed a row of raw.events. */
void pg_oracle_dropped(struct span key);
/* An operator has set offsets back: their records are loaded again. */
void pg_oracle_set_back(void);
/* One of the input topics, or one of those without compaction. */
#define PG_ORACLE_BRONZE 0
#define PG_ORACLE_COUNTS 5
struct sim_topic *pg_oracle_topic(uint64_t number);
struct sim_topic *pg_oracle_kept_topic(uint64_t number);
/* The topic is about to be deleted: nothing of its next logs may be loaded. False: that would be
 * right, because no record of one of its partitions was loaded. */
bool pg_oracle_keep_logs(const struct sim_topic *topic);
/* Everything in the topics is in PostgreSQL. why: what is missing. */
bool pg_oracle_is_complete(char *why, size_t cap);
/* The checks at the end of a schedule that is complete. */
void pg_oracle_end(void);
size_t pg_oracle_records(void);

#endif
