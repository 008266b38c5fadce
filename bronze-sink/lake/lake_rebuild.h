/* lake rebuild: writes the bronze topic again from the lake, partition by partition in the old
 * order, and with it the dead letters and the counts of bronze-sink. Everything else follows from
 * bronze: funnel-aggregator computes late events, aggregates and visits, and pg-loader fills the
 * database.
 *
 * The result has the records of before in the same order, with the same times, keys, headers and
 * values; offsets and schema ids may be others. */
#ifndef FUNNEL_LAKE_REBUILD_H
#define FUNNEL_LAKE_REBUILD_H

#include "service/service.h"

extern const struct service lake_rebuild_service;

#endif
