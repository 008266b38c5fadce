/* What metrics.c, health.c, http.c and service.c share; not for services. */
#ifndef FUNNEL_METRICS_INTERNAL_H
#define FUNNEL_METRICS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

/* All metrics in Prometheus' text format; the caller frees. NULL: out of memory. */
char *metrics_render(size_t *len);

/* After open: ready, unless the service itself has said something with health_ready. */
void health_opened(void);
/* Each returns whether to answer 200, and the body. */
bool health_is_live(char *body, size_t cap);
bool health_is_ready(char *body, size_t cap);

#endif
