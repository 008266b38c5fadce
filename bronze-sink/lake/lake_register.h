/* lake register: makes the catalogue again from the footers of the files. See README.md. */
#ifndef FUNNEL_LAKE_REGISTER_H
#define FUNNEL_LAKE_REGISTER_H

#include "service/service.h"

extern const struct service lake_register_service;

#endif
