/* The runs of EVERY: reads and writes their states in the topic producer_state. */
#ifndef FUNNEL_PRODUCER_SCHEDULE_H
#define FUNNEL_PRODUCER_SCHEDULE_H

#include <stdbool.h>

#include "base/err.h"
#include "producer_state.h"
#include "run_state.h"
#include "schedule.h"
#include "selection.h"
#include "service/service.h"

/* Finds the months of EVERY. ERR_INPUT: neither MONTH nor a file name has one. */
MUST_USE bool producer_schedule_open(struct producer *p, struct err *err);
void producer_schedule_close(struct producer *p);
/* Connects, and reads which months are complete. */
enum step producer_step_planning(struct producer *p, struct err *err);
/* Finds the run that begins now; p->run is its index. Waits up to 100 ms if none begins. */
enum schedule_result producer_schedule_next(struct producer *p);

/* "2019-11 (2 of 7)"; "" without a schedule. */
void producer_schedule_name(const struct producer *p, char *out, size_t cap);
/* The selection of the current run. */
struct selection_config producer_run_selection(const struct producer *p);
/* Sends the state of the run. The run ends only when it is acknowledged, like the rows. True
 * without a schedule. */
MUST_USE bool producer_schedule_note(struct producer *p, enum run_status status, struct err *err);
/* Logs the end of the run. On a failure, sends its state if the brokers take it at once. */
void producer_schedule_ended(struct producer *p, const struct err *failure);

#endif
