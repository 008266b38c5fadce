/* Rows and controls to Kafka. */
#ifndef FUNNEL_PRODUCER_SEND_H
#define FUNNEL_PRODUCER_SEND_H

#include <stdbool.h>

#include "base/err.h"
#include "producer_state.h"
#include "service/service.h"

/* What became of the next thing to send. */
enum sent { SENT, SENT_LATER /* its time has not come */, SENT_FULL, SENT_ALL, SENT_FAILED };

/* The control to the partitions that do not have it yet. The time is never beyond the present. */
enum sent producer_send_control(struct producer *p, struct err *err);
/* Acknowledgements, state file, display: between slices of rows. */
MUST_USE bool producer_serve(struct producer *p, int timeout_ms, struct err *err);
enum step producer_step_sending(struct producer *p, struct err *err);

#endif
