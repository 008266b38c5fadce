/* Whether the service is alive (its loop makes progress) and ready (it can do its work). */
#ifndef FUNNEL_HEALTH_H
#define FUNNEL_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* reason NULL: ready. Otherwise /readyz answers 503 with the reason (one or more lines). */
void health_ready(const char *reason);
/* The loop calls this at each step. /livez answers 503 if the last call was more than limit_ms ago
 * (default 60,000). */
void health_alive(void);
void health_limit_ms(int64_t limit_ms);

/* Called after open: ready, unless the service has called health_ready itself. */
void health_opened(void);
/* Each returns true for status 200, and writes the body. */
bool health_is_live(char *body, size_t cap);
bool health_is_ready(char *body, size_t cap);

#endif
