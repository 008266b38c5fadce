/* The HTTP server of a service (libmicrohttpd, its own thread): /metrics in Prometheus' text format,
 * /livez and /readyz with 200 or 503 and a reason (health.h). */
#ifndef FUNNEL_HTTP_H
#define FUNNEL_HTTP_H

#include <stdbool.h>

#include "base/err.h"

/* port 0: no server. Port in use: err names HTTP_PORT and the value. Process metrics (resident memory,
 * CPU seconds, open file descriptors, start time) are included. */
MUST_USE bool http_start(const char *address, int port, struct err *err);
void http_stop(void);

#endif
