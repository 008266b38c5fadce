/* The settings of the program lake. Each command uses some of the tables. */
#ifndef FUNNEL_LAKE_CONFIG_H
#define FUNNEL_LAKE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "kafka/kafka_conf.h"
#include "lake_storage.h"
#include "postgres/postgres.h"
#include "registry/registry.h"
#include "service/config.h"
#include "service/service.h"

struct lake_config {
	struct service_config service;
	struct kafka_config kafka;
	struct postgres_config postgres; /* dsn "": the catalogue is in manifests */
	struct lake_storage_config storage;
	struct registry_config registry;
	int64_t memory_bytes, threads; /* of DuckDB */
	/* write */
	int64_t batch_rows, batch_bytes, batch_interval_us, idle_timeout_us, min_free_bytes;
	bool until_end;
	/* rebuild */
	const char *source_prefix; /* "": that of the topics */
	int64_t window_records;
};

extern const struct config_option lake_kafka_options[];    /* KAFKA_*, TOPIC_PREFIX, registry */
extern const struct config_option lake_registry_options[]; /* SCHEMA_REGISTRY_* */
extern const struct config_option lake_storage_options[];  /* LAKE_*, POSTGRES_* */
extern const struct config_option lake_write_options[];
extern const struct config_option lake_rebuild_options[];

#endif
