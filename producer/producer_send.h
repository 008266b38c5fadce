/* Sends rows and controls to Kafka. */
#ifndef FUNNEL_PRODUCER_SEND_H
#define FUNNEL_PRODUCER_SEND_H

#include <stdbool.h>

#include "base/err.h"
#include "producer_state.h"
#include "service/service.h"

/* The result of sending the next control or row. */
enum sent {
	SENT,
	SENT_NOT_DUE, /* SPEED or RATE delays the row */
	SENT_FULL,    /* the queue of the library is full */
	SENT_ALL,     /* nothing is left to send */
	SENT_FAILED   /* err */
};

/* Sends the control to the partitions that do not have it yet. Its event time is never later than
 * the present. */
enum sent producer_send_control(struct producer *p, struct err *err);
/* Serves acknowledgements, the state file and the display. Call it between slices of rows. */
MUST_USE bool producer_serve(struct producer *p, int timeout_ms, struct err *err);
enum step producer_step_sending(struct producer *p, struct err *err);

#endif
