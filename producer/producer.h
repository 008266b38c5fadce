/* The producer: opens the source, connects, resumes, sends, waits for the acknowledgements, and
 * ends the segment. */
#ifndef FUNNEL_PRODUCER_H
#define FUNNEL_PRODUCER_H

#include "base/err.h"
#include "service/service.h"

/* Callbacks of struct service. */
bool producer_open(void *config, void **state, struct err *err);
enum step producer_step(void *state, bool stopping, struct err *err);
void producer_close(void *state);

#endif
