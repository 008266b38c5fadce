/* The simulated libpq has libpq's own names and contracts (libpq-fe.h), for the functions that
 * pg-loader uses on its connection. */
#ifndef SIM_PG_LIBPQ_H
#define SIM_PG_LIBPQ_H

#include <poll.h>
#include <stdbool.h>

/* poll() of one socket of a connection: waits in virtual time. Returns whether it is ready. */
bool pg_poll(const struct pollfd *fd, int timeout_ms);

/* Begins a schedule: all sockets are free. */
void pg_libpq_begin(void);

#endif
