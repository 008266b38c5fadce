/* lake write: reads the topics and writes them as files, exactly once.
 *
 * One consumer, one open batch per partition. The catalogue decides where reading starts. The
 * consumer group only assigns partitions; the writer copies its offsets to the group for
 * dashboards. */
#ifndef FUNNEL_LAKE_WRITER_H
#define FUNNEL_LAKE_WRITER_H

#include "service/service.h"

extern const struct service lake_write_service;

#endif
