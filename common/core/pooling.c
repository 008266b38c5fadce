/* Nothing is held while looking: no transaction, no lock. So a pool with a single backend needs no
 * case of its own (all connections are seen on it), and nobody waits for us.
 *
 * Limits: no contradiction is not a proof of session pooling. Poolers use the free backend that was
 * used last, or the one that was used first; five connections find both out where nobody else uses
 * the pool. Other clients can hide it by chance, and so can more than four pooler processes at one
 * address. */
#include "pooling.h"

#include <stdbool.h>

static bool is_same(struct backend a, struct backend b)
{
	return a.pid == b.pid && a.server_started_us == b.server_started_us;
}

int pooling_note(struct pooling *pooling, int connection, struct backend backend)
{
	struct backend before = pooling->last[connection];

	pooling->last[connection] = backend;
	if (before.pid != 0 && !is_same(before, backend))
		return connection;
	for (int i = 0; i < POOLING_CONNECTIONS; i++)
		if (i != connection && is_same(pooling->last[i], backend))
			return i;
	return POOLING_NONE;
}
