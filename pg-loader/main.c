/* pg-loader: result topics to PostgreSQL, exactly once. This file has the settings; loader.c has
 * the loop. */
#include <string.h>

#include "alert_webhook.h"
#include "kafka/kafka_conf.h"
#include "loader.h"
#include "postgres/postgres.h"
#include "registry/registry.h"
#include "service/config.h"
#include "service/service.h"

static const struct config_option kafka_options[] = KAFKA_OPTIONS(struct loader_config, kafka);
static const struct config_option postgres_options[] =
	POSTGRES_OPTIONS(struct loader_config, postgres);
static const struct config_option registry_options[] =
	REGISTRY_OPTIONS(struct loader_config, registry, REGISTRY_URL_DEFAULT, REGISTRY_URL_HELP);
static const struct config_option loader_options[] = {
	{"MIGRATIONS_DIR", CONFIG_TEXT, offsetof(struct loader_config, migrations_dir), "", 0, 0,
         "folder of the SQL files; empty: that of the installation or checkout, else ./sql", NULL,
         NULL},
	{"MIGRATE", CONFIG_CHOICE, offsetof(struct loader_config, migrate), "true", 0, 0,
         "apply the SQL files at start; only: then stop", "true|false|only", NULL},
	{"BATCH_ROWS", CONFIG_INTEGER, offsetof(struct loader_config, batch_rows), "50000", 1,
         1000000, "commit when a batch has about this many rows", NULL, NULL},
	{"BATCH_BYTES", CONFIG_BYTES, offsetof(struct loader_config, batch_bytes), "32m", 65536,
         1073741824, "commit when a batch has about this many bytes of input", NULL, NULL},
	{"BATCH_INTERVAL", CONFIG_DURATION, offsetof(struct loader_config, batch_interval_us),
         "200ms", 1000, 60000000,
         "commit this long after the first record of a batch; sooner when no more "
         "records wait; 1s, if that is longer, while many records wait",
         NULL, NULL},
	{"IDLE_TIMEOUT", CONFIG_DURATION, offsetof(struct loader_config, idle_timeout_us), "30s",
         100000, 3600000000,
         "how long an open transaction may hold back a partition; then it is reported, and "
         "/readyz is 503",
         NULL, NULL},
	{"REPORTING_INTERVAL", CONFIG_DURATION,
         offsetof(struct loader_config, reporting_interval_us), "30s", 0, INT64_C(86400000000),
         "longest time between refreshes of the reports; 0s: never", NULL, NULL},
	{"SEND_ALERTS", CONFIG_BOOLEAN, offsetof(struct loader_config, send_alerts), "true", 0, 0,
         "write openings and closings of alerts to the topic of alerts", NULL, NULL},
	{"ALERT_WEBHOOK_URL", CONFIG_SECRET, offsetof(struct loader_config, webhook_url), "", 0, 0,
         "also post them to this URL (http, https); empty: no webhook", NULL,
         alert_webhook_url_check},
	{"ALERT_WEBHOOK_SECRET", CONFIG_SECRET, offsetof(struct loader_config, webhook_secret), "",
         0, 0, "key of the signatures of these requests; empty: no signature", NULL, NULL},
	{"REBUILD", CONFIG_BOOLEAN, offsetof(struct loader_config, rebuild), "false", 0, 0,
         "load nothing; build all reports again from the tables, then stop", NULL, NULL},
	{"WAIT_IDLE", CONFIG_BOOLEAN, offsetof(struct loader_config, wait_idle), "false", 0, 0,
         "load nothing; exit with 0 when everything in the topics is in PostgreSQL", NULL, NULL},
	{"WAIT_REPORTS", CONFIG_BOOLEAN, offsetof(struct loader_config, wait_reports), "true", 0, 0,
         "WAIT_IDLE also waits until the reports have it; not if REPORTING_INTERVAL is 0s", NULL,
         NULL},
	{"WAIT_TIMEOUT", CONFIG_DURATION, offsetof(struct loader_config, wait_timeout_us), "10m", 0,
         INT64_C(86400000000), "longest time that WAIT_IDLE waits; then exit code 75", NULL, NULL},
	{0},
};
static const struct config_option *const tables[] = {kafka_options, registry_options,
                                                     postgres_options, loader_options, NULL};

int main(int argc, char **argv)
{
	static char rebuild[] = "--rebuild";
	static const struct service service = {
		.name = "pg-loader",
		.summary = "loads bronze events, aggregates, visits, dead letters, late events and "
			   "counts into PostgreSQL",
		.tables = tables,
		.config_size = sizeof(struct loader_config),
		.open = loader_open,
		.step = loader_step,
		.close = loader_close,
	};

	if (argc > 1 && strcmp(argv[1], "rebuild") == 0) /* also works as a command */
		argv[1] = rebuild;
	return service_main(&service, argc, argv);
}
