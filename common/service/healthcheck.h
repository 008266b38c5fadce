/* Asks a running service whether it is ready, for the health check of a container: the image needs
 * no HTTP client. */
#ifndef FUNNEL_HEALTHCHECK_H
#define FUNNEL_HEALTHCHECK_H

#include <stdbool.h>
#include <stddef.h>

/* Requests /readyz at HTTP_ADDRESS and HTTP_PORT. True: status 200. `text` (cap bytes) is the body
 * of the answer, or why there is none. Takes at most 4 seconds. */
bool healthcheck(const char *address, int port, char *text, size_t cap);

#endif
