/* lake compact: the small files of a day become large ones. See README.md. */
#ifndef FUNNEL_LAKE_COMPACT_H
#define FUNNEL_LAKE_COMPACT_H

#include "service/service.h"

extern const struct service lake_compact_service;

#endif
