/* A collision costs the time of a COPY up to the first event that is stored already, and leaves its
 * rows as dead ones in the table. With one in 100 batches, that is at most a hundredth. */
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
