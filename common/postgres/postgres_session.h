/* A connection whose session is set up. */
#ifndef FUNNEL_POSTGRES_SESSION_H
#define FUNNEL_POSTGRES_SESSION_H

#include "base/err.h"
#include "postgres/postgres_state.h"

/* Makes the connection where there is none and sets the session up: UTC, UTF-8, time-outs. *fresh (may be NULL) says
 * that it is new: whatever belonged to a session (temporary tables, locks) is gone. A pooler that
 * gives us no session of our own is refused before anything is set (ERR_OPERATOR). */
MUST_USE bool postgres_connect(struct postgres *pg, bool *fresh, struct err *err);

#endif
