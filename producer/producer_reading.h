/* How the files of the input are read: the settings DELIMITER, ENCODING, COLUMNS, MAPPING and
 * NULL_WORDS. */
#ifndef FUNNEL_PRODUCER_READING_H
#define FUNNEL_PRODUCER_READING_H

#include "base/err.h"
#include "producer_state.h"

/* Sets p->format and the null words. */
MUST_USE bool producer_open_format(struct producer *p, struct err *err);
void producer_close_format(struct producer *p);
/* Logs how many rows of which types the mapping has left out. */
void producer_log_left_out(const struct producer *p);

#endif
