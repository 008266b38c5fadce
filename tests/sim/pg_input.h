/* The records that the loader reads, as bronze-sink and funnel-aggregator write them: in
 * transactions of several writers, some of them aborted. With events that bronze has twice, old
 * revisions, removed and shrinking visits, unreadable records, and rows that PostgreSQL rejects
 * (pg_poison.h). */
#ifndef SIM_PG_INPUT_H
#define SIM_PG_INPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/cluster.h"

/* Begins to append; the topics must exist. */
void pg_input_begin(uint64_t seed, uint32_t records, int64_t interval_us, bool poison);
bool pg_input_is_complete(void);
/* Goes on with this number of records, most of them in the topic. */
void pg_input_again(uint32_t records, const struct sim_topic *topic);
void pg_input_stop(void);

#endif
