/* lake expire: removes old days of events. See README.md. */
#ifndef FUNNEL_LAKE_EXPIRE_H
#define FUNNEL_LAKE_EXPIRE_H

#include "service/service.h"

extern const struct service lake_expire_service;

#endif
