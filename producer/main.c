/* Replays click events into Kafka, from files or made up. See producer.h. */
#include "options.h"
#include "producer.h"
#include "service/service.h"

int main(int argc, char **argv)
{
	static const struct service service = {
		.name = "producer",
		.summary =
			"Sends click events to the raw topic: from .csv and .csv.gz files, or made up by a generator.",
		.tables = producer_tables,
		.config_size = sizeof(struct producer_config),
		.open = producer_open,
		.step = producer_step,
		.close = producer_close,
	};

	return service_main(&service, argc, argv);
}
