/* lake verify: compares the catalogue with the files. See README.md. */
#ifndef FUNNEL_LAKE_VERIFY_H
#define FUNNEL_LAKE_VERIFY_H

#include "service/service.h"

extern const struct service lake_verify_service;

#endif
