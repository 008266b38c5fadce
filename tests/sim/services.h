/* The real services: their main.c, their settings, and what they give to the task loop. */
#ifndef SIM_SERVICES_H
#define SIM_SERVICES_H

#include <stddef.h>
#include <stdint.h>

#include "service/service.h"
#include "stream/outputs.h"
#include "task_loop/task_loop.h"

#define SIM_PREFIX "sim_"

/* The first SIM_TASK_LOOPS of them have a task loop. */
enum sim_service {
	SIM_BRONZE_SINK,
	SIM_AGGREGATOR,
	SIM_LOADER,
	SIM_SERVICE_COUNT,
	SIM_TASK_LOOPS = SIM_LOADER
};

/* The settings of a start. Those of the first three keep the state: the services go on with them. */
enum sim_settings {
	SETTINGS_ORDINARY,
	SETTINGS_TYPES,                        /* other rules: fewer event types */
	SETTINGS_PRICE,                        /* other rules: a maximum price */
	SETTINGS_RULES,                        /* number of rules */
	SETTINGS_OTHER_STATE = SETTINGS_RULES, /* the state has another meaning: to be refused */
	SETTINGS_COUNT
};

#define SIM_TUNINGS 4

struct sim_service_inputs {
	const char *name; /* "bronze-sink" */
	const struct task_loop_input *inputs;
	size_t input_count;
	const struct output_context *context;
};

/* Once: runs both main functions up to service_main, and reads their settings. */
void services_load(void);
/* Other sizes and times for all processes of a schedule: 0 to SIM_TUNINGS - 1. */
void services_tune(int tuning);
int64_t services_idle_us(void);
const struct service *service_of(enum sim_service number);
/* The settings with this instance id, in the current arena. */
void *service_settings(enum sim_service number, enum sim_settings settings, const char *instance);
/* What the service gives to task_loop_open and task_loop_start, for the oracle. In the current
 * arena. The topics must exist. */
void services_capture(enum sim_service number, enum sim_settings settings,
                      struct sim_service_inputs *captured);

#endif
