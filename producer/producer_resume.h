/* Where a run continues: the state file, checked against the topic. */
#ifndef FUNNEL_PRODUCER_RESUME_H
#define FUNNEL_PRODUCER_RESUME_H

#include <stdbool.h>

#include "base/err.h"
#include "producer_state.h"
#include "service/service.h"
#include "source_clock.h"

/* Writes the acknowledged prefix to the state file, if there is one. */
MUST_USE bool producer_save(struct producer *p, bool complete, struct err *err);
/* Reads the first rows. resumed: of the last row sent before; NULL: nothing was sent. */
MUST_USE bool producer_start_feed(struct producer *p, const struct source_clock_state *resumed,
                                  struct err *err);
/* The limit for feed_set_latest. With SHIFT_TO_NOW, a row may be read before its shifted time has
 * come. */
int64_t producer_latest_us(const struct producer *p);
enum step producer_step_connecting(struct producer *p, struct err *err);
/* Reads the rows that the choice of the shift needs, then continues with the first row. */
enum step producer_step_scanning(struct producer *p, struct err *err);
enum step producer_step_skipping(struct producer *p, struct err *err);

#endif
