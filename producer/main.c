/* The producer: sends click events to Kafka, from files or from the generator. See producer.h. */
#include "options.h"
#include "producer.h"
#include "service/service.h"
#include "source_runs.h"

int main(int argc, char **argv)
{
	static const struct service service = {
		.name = "producer",
		.summary = "sends click events to the raw topic, from files or from a generator",
		.tables = producer_tables,
		.config_size = sizeof(struct producer_config),
		.open = producer_open,
		.step = producer_step,
		.close = producer_close,
		.has_given_input = true,
	};

	int exit_code;

	if (source_runs(argc, argv, producer_tables, &exit_code))
		return exit_code;
	return service_main(&service, argc, argv);
}
