/* Rows as CSV or JSON in a file or on standard output; and the progress of the run. */
#ifndef FUNNEL_PRODUCER_OUTPUT_H
#define FUNNEL_PRODUCER_OUTPUT_H

#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"
#include "producer_state.h"

/* Opens the file of TEE or OUTPUT, or standard output, if a setting asks for it. */
MUST_USE bool producer_open_rows(struct producer *p, struct err *err);
MUST_USE bool producer_write_line(struct producer *p, struct span line, struct err *err);
MUST_USE bool producer_flush_rows(struct producer *p, struct err *err);
void producer_close_rows(struct producer *p);
/* Shows the progress and sets the metrics. */
void producer_show(struct producer *p, int64_t now_us);
/* Logs how the run ended. */
void producer_summarise(struct producer *p, const char *event, const char *detail);
/* Whether SPEED or RATE limits the run. */
bool producer_paced(const struct producer *p);

#endif
