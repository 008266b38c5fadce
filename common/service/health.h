/* Whether the service is alive (its loop makes progress) and ready (it can do its work). */
#ifndef FUNNEL_HEALTH_H
#define FUNNEL_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ready with reason NULL; otherwise /readyz answers 503 and the reason, one line or several. */
void health_ready(const char *reason);
/* Called by the loop at each step; /livez turns 503 when it was not called for limit_ms (default 60,000). */
void health_alive(void);
void health_limit_ms(int64_t limit_ms);

/* After open: ready, unless the service itself has said something with health_ready. */
void health_opened(void);
/* Each returns whether to answer 200, and the body. */
bool health_is_live(char *body, size_t cap);
bool health_is_ready(char *body, size_t cap);

#endif
