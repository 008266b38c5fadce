/* One schedule: a world that is drawn from a seed, its faults, and its quiet end. */
#ifndef SIM_SCHEDULE_H
#define SIM_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/choice.h"
#include "sim/cluster.h"

struct schedule_options {
	uint64_t seed;
	const struct trace *replayed; /* NULL: the choices come from the seed */
	struct cluster_bugs bugs;
	bool loader; /* pg-loader and PostgreSQL instead of the services with a task loop */
};

struct schedule_result {
	bool failed;
	char failure[2048];
	struct trace trace; /* the caller frees it */
	uint64_t faults;
	uint32_t starts; /* of processes */
	uint64_t transactions, records;
	int64_t virtual_us;
};

void schedule_run(const struct schedule_options *options, struct schedule_result *result);

#endif
