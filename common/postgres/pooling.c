/* An observation leaves no transaction and no lock open. So a pool with a single backend is not a
 * special case (all connections are seen on it), and other clients do not wait for us.
 *
 * Limits: a comparison without a contradiction does not prove session pooling. Poolers choose the
 * free backend that was used last, or the one that was used first. Five connections detect both
 * if no other client uses the pool. Other clients can hide transaction pooling by chance, and so
 * can more than four pooler processes at one address. */
#include "postgres/pooling.h"

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
