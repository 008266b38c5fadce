/* The stop request. service.c makes it when a signal arrives. */
#ifndef FUNNEL_STOP_H
#define FUNNEL_STOP_H

#include <stdbool.h>

/* True after the first stop request. Long calls check it too. */
bool service_stopping(void);

/* Records a stop request; returns the number of earlier ones. */
int stop_request(void);

#endif
