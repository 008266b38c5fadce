/* Which way the events of a batch take into raw.events. Pure.
 *
 * Usually all events of a batch are new. Then COPY writes them straight into the table. If one of
 * them is stored already, the table's key rejects that COPY. Then a staging table and INSERT ... ON
 * CONFLICT store the others. Events that are read again come in runs, so the batches after such a
 * batch take the same way. */
#ifndef FUNNEL_EVENT_PATH_H
#define FUNNEL_EVENT_PATH_H

#include <stdbool.h>
#include <stdint.h>

/* Batches on the staged path after the last one with events that were stored already. */
#define EVENT_PATH_STAGED_BATCHES 10

struct event_path { /* zero-initialised: direct */
	uint32_t staged_left;
};
static inline bool event_path_is_direct(const struct event_path *path)
{
	return path->staged_left == 0;
}
/* The key of raw.events has rejected a direct COPY. */
void event_path_collided(struct event_path *path);
/* A batch with events was committed. repeats: of its events, those that were stored already. */
void event_path_committed(struct event_path *path, int64_t repeats);

#endif
