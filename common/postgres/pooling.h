/* Pure. Whether the connections through a pooler share backends (PostgreSQL's server processes).
 *
 *   session pooling       a connection has one backend, alone, until it is closed
 *   transaction pooling   each transaction of a connection gets a backend that is free
 *
 * Each look notes which backend a connection was on. Two looks can contradict session pooling: one
 * connection on two backends, or two open connections on one backend. */
#ifndef FUNNEL_POOLING_H
#define FUNNEL_POOLING_H

#include <stdint.h>

#define POOLING_CONNECTIONS 5
#define POOLING_NONE        (-1)

struct backend {
	int64_t pid;
	int64_t server_started_us; /* the same process id on another server is another backend */
};
/* All zero: nothing noted yet. */
struct pooling {
	struct backend last[POOLING_CONNECTIONS]; /* pid 0: not yet */
};

/* Notes that the connection (0 to POOLING_CONNECTIONS - 1) was on the backend. Returns the
 * connection that this contradicts: the same one, if it was on another backend before, or another
 * one that was last seen on this backend. The latter counts only if it is still open.
 * POOLING_NONE: no contradiction. */
int pooling_note(struct pooling *pooling, int connection, struct backend backend);

#endif
