/* Connects and sets up the session. */
#ifndef FUNNEL_POSTGRES_SESSION_H
#define FUNNEL_POSTGRES_SESSION_H

#include "base/err.h"
#include "postgres/postgres_state.h"

/* Connects if there is no connection, and sets up the session: UTC, UTF-8, timeouts. *fresh (may
 * be NULL): the session is new, so temporary tables and locks of an earlier session are gone.
 * ERR_OPERATOR: the pooler gives us no session of our own; nothing was set. */
MUST_USE bool postgres_connect(struct postgres *pg, bool *fresh, struct err *err);

#endif
