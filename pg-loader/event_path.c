/* A collision costs the time of a COPY up to the first event that is stored already, and leaves its
 * rows as dead ones in the table. A batch of new events on the staged path costs more than that:
 * PostgreSQL took three times as long for it. So a loader does not stay there for long. */
#include "event_path.h"

void event_path_collided(struct event_path *path)
{
	path->staged_left = EVENT_PATH_STAGED_BATCHES;
}

void event_path_committed(struct event_path *path, int64_t repeats)
{
	if (repeats > 0)
		path->staged_left = EVENT_PATH_STAGED_BATCHES;
	else if (path->staged_left > 0)
		path->staged_left--;
}
