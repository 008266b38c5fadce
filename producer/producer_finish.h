/* The end of a run: waiting for acknowledgements, the end of the segment; and runs without
 * Kafka. */
#ifndef FUNNEL_PRODUCER_FINISH_H
#define FUNNEL_PRODUCER_FINISH_H

#include <stdbool.h>

#include "base/err.h"
#include "producer_state.h"
#include "service/service.h"

enum step producer_step_draining(struct producer *p, struct err *err);
enum step producer_step_ending(struct producer *p, struct err *err);
enum step producer_step_writing(struct producer *p, struct err *err);

#endif
