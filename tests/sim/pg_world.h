/* The world of a schedule with pg-loader: topics with records, a PostgreSQL, some loaders. */
#ifndef SIM_PG_WORLD_H
#define SIM_PG_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/choice.h"

/* Adds the rates of PostgreSQL's faults. Returns the number of loaders. */
int pg_world_draw(uint64_t seed, uint32_t rates[CHOICE_KIND_COUNT]);
/* Begins: topics exist. loaders: adds this many replicas. until_us: the end of the faults. */
void pg_world_begin(uint64_t seed, int loaders, int64_t until_us);
/* An operator deletes a row of offsets now; param: which. */
void pg_world_delete_offset(uint64_t param);
/* Something is lost, once; `seed` says what. */
void pg_world_lose(uint64_t seed);
/* Everything is loaded. why: what is missing. */
bool pg_world_is_complete(char *why, size_t cap);
/* The checks at the end. After a loss, a loader has to say what is lost if something is missing. */
void pg_world_end(void);

#endif
