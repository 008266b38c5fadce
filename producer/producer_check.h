/* FAIL_ABOVE: after the end of the segment, compares the share of refused rows with the limit. */
#ifndef FUNNEL_PRODUCER_CHECK_H
#define FUNNEL_PRODUCER_CHECK_H

#include "base/err.h"
#include "producer_state.h"
#include "service/service.h"

/* Before the first row. Does nothing without FAIL_ABOVE. */
MUST_USE bool producer_check_begin(struct producer *p, struct err *err);
/* After the last acknowledgement: STEP_DONE without FAIL_ABOVE. */
enum step producer_check_start(struct producer *p);
/* Waits for bronze-sink. ERR_REFUSED: too many rows were refused, or no row was accepted. */
enum step producer_step_checking(struct producer *p, struct err *err);

#endif
