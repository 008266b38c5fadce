/* The id of a session: 16 bytes, whatever the length of its key. SQL computes the same id with
 * processed.session_id(text). */
#ifndef FUNNEL_SESSION_ID_H
#define FUNNEL_SESSION_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

#define SESSION_ID_BYTES 16

/* key: the key of a session (event_session_key). True: it is a UUID as PostgreSQL prints it, in
 * lower case and with hyphens, and the id has its bytes. Else the id is the MD5 of the key. */
bool session_id(struct span key, uint8_t id[SESSION_ID_BYTES]);

#endif
