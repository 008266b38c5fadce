/* The HTTP server of a service (libmicrohttpd, its own thread): /metrics in Prometheus' text
 * format, /livez and /readyz with 200 or 503 and a reason (health.h). */
#ifndef FUNNEL_HTTP_H
#define FUNNEL_HTTP_H

#include <stdbool.h>

#include "base/err.h"

/* port 0: no server. If it cannot listen, err (ERR_OPERATOR) names HTTP_ADDRESS or HTTP_PORT and
 * the value. /metrics includes metrics of the process (memory, CPU seconds, open file descriptors,
 * start time). */
MUST_USE bool http_start(const char *address, int port, struct err *err);
void http_stop(void);

#endif
