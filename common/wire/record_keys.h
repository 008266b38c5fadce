/* The keys of records that replace earlier records with the same key. */
#ifndef FUNNEL_RECORD_KEYS_H
#define FUNNEL_RECORD_KEYS_H

#include <stddef.h>

#include "base/span.h"
#include "event/event.h"

/* The functions return the length; out is terminated. Group values and sessions have at most
 * EVENT_TEXT_MAX bytes. */
#define RECORD_KEY_MAX (EVENT_TEXT_MAX + 256)
/* rollup|window_start|window_end|group_value */
size_t aggregate_key(struct span rollup, int64_t start_us, int64_t end_us, struct span group,
                     char out[RECORD_KEY_MAX]);
/* user_session|visit_start */
size_t visit_key(struct span user_session, int64_t start_us, char out[RECORD_KEY_MAX]);

#endif
