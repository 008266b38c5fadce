/* Decides whether the connections through a pooler share backends (PostgreSQL's server
 * processes). Pure.
 *
 *   session pooling       a connection has one backend of its own until it is closed
 *   transaction pooling   each transaction of a connection gets any free backend
 *
 * Each observation records the backend of a connection. Two observations can contradict session
 * pooling: one connection on two backends, or two open connections on one backend. */
#ifndef FUNNEL_POOLING_H
#define FUNNEL_POOLING_H

#include <stdint.h>

#define POOLING_CONNECTIONS 5
#define POOLING_NONE        (-1)

struct backend {
	int64_t pid;
	int64_t server_started_us; /* start of its server: other servers may use the same pid */
};
/* All zero: no observation yet. */
struct pooling {
	struct backend last[POOLING_CONNECTIONS]; /* pid 0: not observed yet */
};

/* Records the backend of a connection (0 to POOLING_CONNECTIONS - 1). Returns the connection
 * whose earlier observation contradicts this one: the same connection if it was on another
 * backend, or another connection that was last seen on this backend. The latter is a
 * contradiction only if that connection is still open. POOLING_NONE: no contradiction. */
int pooling_note(struct pooling *pooling, int connection, struct backend backend);

#endif
