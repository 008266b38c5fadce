#include "lake_config.h"

#include <stddef.h>

#include "lake_url.h"
#include "registry/registry.h"

const struct config_option lake_kafka_options[] = KAFKA_OPTIONS(struct lake_config, kafka);

const struct config_option lake_registry_options[] =
	REGISTRY_OPTIONS(struct lake_config, registry, REGISTRY_URL_DEFAULT, REGISTRY_URL_HELP);

#define IN(member) offsetof(struct lake_config, member)

const struct config_option lake_storage_options[] = {
	{"LAKE_URL", CONFIG_TEXT, IN(storage.url), "lake", 0, 0,
         "where the lake is: a folder, or s3://bucket/prefix", NULL, lake_url_check},
	{"LAKE_SCRATCH", CONFIG_TEXT, IN(storage.scratch), "", 0, 0,
         "folder for files that are being written; empty: in the lake, or /tmp for a bucket", NULL,
         NULL},
	{"LAKE_S3_ENDPOINT", CONFIG_TEXT, IN(storage.endpoint), "https://s3.amazonaws.com", 0, 0,
         "address of the S3 server", NULL, NULL},
	{"LAKE_S3_REGION", CONFIG_TEXT, IN(storage.region), "us-east-1", 0, 0,
         "region of the bucket", NULL, NULL},
	{"LAKE_S3_ACCESS_KEY", CONFIG_SECRET, IN(storage.access_key), "", 0, 0,
         "access key of the bucket", NULL, NULL},
	{"LAKE_S3_SECRET_KEY", CONFIG_SECRET, IN(storage.secret_key), "", 0, 0, "its secret key",
         NULL, NULL},
	{"LAKE_S3_PART_BYTES", CONFIG_BYTES, IN(storage.part_bytes), "16m", 5242880, 1073741824,
         "larger files are sent to the bucket in parts of this size", NULL, NULL},
	{"LAKE_S3_TIMEOUT", CONFIG_DURATION, IN(storage.timeout_us), "30s", 1000000, 600000000,
         "longest time without progress of a request to the bucket", NULL, NULL},
	{"POSTGRES_DSN", CONFIG_SECRET, IN(postgres.dsn), "", 0, 0,
         "PostgreSQL connection string of the catalogue (URL or key=value); empty: the catalogue "
         "is in manifests in the lake, without DuckLake tables",
         NULL, postgres_dsn_check},
	{"POSTGRES_PASSWORD", CONFIG_SECRET, IN(postgres.password), "", 0, 0,
         "password, if POSTGRES_DSN has none", NULL, NULL},
	{"POSTGRES_CONNECT_TIMEOUT", CONFIG_DURATION, IN(postgres.connect_timeout_us), "5s", 100000,
         60000000, "longest wait for a connection", NULL, NULL},
	{"POSTGRES_STATEMENT_TIMEOUT", CONFIG_DURATION, IN(postgres.statement_timeout_us), "60s",
         1000000, 240000000, "longest time one statement may take", NULL, NULL},
	{"LAKE_MEMORY", CONFIG_BYTES, IN(memory_bytes), "1g", 134217728, INT64_C(1) << 40,
         "memory limit of DuckDB", NULL, NULL},
	{"LAKE_THREADS", CONFIG_INTEGER, IN(threads), "1", 1, 64, "threads of DuckDB", NULL, NULL},
	{0},
};

const struct config_option lake_write_options[] = {
	{"LAKE_BATCH_ROWS", CONFIG_INTEGER, IN(batch_rows), "500000", 1, 10000000,
         "write files when this many rows wait, in all partitions", NULL, NULL},
	{"LAKE_BATCH_BYTES", CONFIG_BYTES, IN(batch_bytes), "256m", 65536, INT64_C(1) << 33,
         "write files when this many bytes of input wait", NULL, NULL},
	{"LAKE_BATCH_INTERVAL", CONFIG_DURATION, IN(batch_interval_us), "60s", 10000,
         INT64_C(86400000000), "write files this long after the first row that waits", NULL, NULL},
	{"IDLE_TIMEOUT", CONFIG_DURATION, IN(idle_timeout_us), "30s", 100000, 3600000000,
         "how long an open transaction may hold back a partition; then it is reported, and "
         "/readyz is 503",
         NULL, NULL},
	{"LAKE_MIN_FREE", CONFIG_BYTES, IN(min_free_bytes), "512m", 0, INT64_C(1) << 44,
         "write no files while the folder has less free space than this", NULL, NULL},
	{"UNTIL_END", CONFIG_BOOLEAN, IN(until_end), "false", 0, 0,
         "write what is in the topics, then stop", NULL, NULL},
	{0},
};

const struct config_option lake_rebuild_options[] = {
	{"SOURCE_PREFIX", CONFIG_TEXT, IN(source_prefix), "", 0, 0,
         "TOPIC_PREFIX of the topics in the lake; empty: the same as TOPIC_PREFIX", NULL, NULL},
	{"WINDOW_RECORDS", CONFIG_INTEGER, IN(window_records), "250000", 1000, 10000000,
         "records of one partition that are read and sorted at once; more need more LAKE_MEMORY",
         NULL, NULL},
	{0},
};
