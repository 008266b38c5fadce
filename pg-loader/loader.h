/* The loader: reads the result topics and writes them to PostgreSQL, exactly once.
 *
 * One consumer, one connection, one batch at a time. The offsets in PostgreSQL decide where reading
 * starts. The consumer group only assigns partitions; the loader copies its offsets to the group
 * for dashboards. */
#ifndef FUNNEL_LOADER_H
#define FUNNEL_LOADER_H

#include "base/err.h"
#include "kafka/kafka_conf.h"
#include "postgres/postgres.h"
#include "registry/registry.h"
#include "service/service.h"

struct loader_config {
	struct service_config service;
	struct kafka_config kafka;
	struct postgres_config postgres;
	struct registry_config registry;
	const char *migrations_dir;
	const char *migrate;
	int64_t batch_rows, batch_bytes, batch_interval_us;
	int64_t idle_timeout_us;
	int64_t wait_timeout_us;
	bool wait_idle, wait_reports;
	bool rebuild;
	int64_t reporting_interval_us;
	bool send_alerts;
	const char *webhook_url, *webhook_secret;
};

/* The callbacks of struct service. */
bool loader_open(void *config, void **state, struct err *err);
enum step loader_step(void *state, bool stopping, struct err *err);
void loader_close(void *state);

#endif
