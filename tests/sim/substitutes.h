/* What replaces the C library's clock, sleep and threads (by --wrap of the linker), and the rooms
 * service and registry: log, metrics, health, stop, registry. */
#ifndef SIM_SUBSTITUTES_H
#define SIM_SUBSTITUTES_H

#include <stdbool.h>
#include <stdint.h>

#include "service/service.h"
#include "wire/schemas.h"

/* The registry gives each of our schemas an id, from `first` on. Another first id: the registry has
 * lost its data, and gives the schemas other ids. */
void sim_registry_begin(int32_t first);
int32_t sim_registry_id(enum schema_kind kind);
/* A second id, under which the same schema is registered too. */
int32_t sim_registry_other_id(enum schema_kind kind);

/* Real time, for the limits of a run. */
double real_seconds(void);

/* The service that the last service_main was called with. */
const struct service *sim_captured_service(void);

#endif
