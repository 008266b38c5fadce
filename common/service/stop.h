/* Whether a stop was asked for. Signals come from service.c. */
#ifndef FUNNEL_STOP_H
#define FUNNEL_STOP_H

#include <stdbool.h>

/* True once a stop was asked for; for use inside long calls. */
bool service_stopping(void);

/* Notes one more stop signal; returns how many came before it. */
int stop_request(void);

#endif
