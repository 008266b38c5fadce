/* lake.expire_days() ends the files in one transaction. They are removed after the grace, by this
 * command or by lake compact. */
#include "lake_expire.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "lake_catalogue_postgres.h"
#include "lake_command.h"
#include "service/log.h"

struct expire_config {
	struct lake_config lake;
	int64_t days, grace_us;
};

#define IN(member) offsetof(struct expire_config, member)

static const struct config_option options[] = {
	{"DAYS", CONFIG_INTEGER, IN(days), "0", 0, 1000000,
         "keep this many days, counted back from the newest day of the events; 0: refuse", NULL,
         NULL},
	{"LAKE_GRACE", CONFIG_DURATION, IN(grace_us), "1h", 0, INT64_C(31536000000000),
         "files are removed this long after they were expired", NULL, NULL},
	{0},
};

struct expire {
	const struct expire_config *config;
	struct lake_command *command;
};

static bool expire_open(void *config, void **state, struct err *err)
{
	static struct expire expire;

	expire.config = config;
	*state = &expire;
	if (expire.config->days == 0)
		return err_set(err, ERR_INPUT,
		               "DAYS is not set: say how many days to keep, such as --days=30");
	return lake_command_open(&expire.config->lake, &expire.command, err);
}

static bool expire_days(struct expire *expire, struct err *err)
{
	char days[32];
	const char *params[] = {days};
	struct postgres *pg = expire->command->pg;
	PGresult *result = NULL;
	bool ok;

	snprintf(days, sizeof(days), "%" PRId64, expire->config->days);
	ok = lake_pg_end(pg,
	                 lake_pg_begin(pg, err) &&
	                         postgres_query(pg, "SELECT * FROM lake.expire_days($1::int)", 1,
	                                        params, &result, err),
	                 err);
	if (ok)
		log_info("expired", log_str("days", PQgetvalue(result, 0, 0)),
		         log_str("files", PQgetvalue(result, 0, 1)),
		         log_str("rows", PQgetvalue(result, 0, 2)));
	PQclear(result);
	return ok;
}

static enum step expire_step(void *state, bool stopping, struct err *err)
{
	struct expire *expire = state;
	int64_t removed;

	if (stopping)
		return STEP_DONE;
	if (!expire_days(expire, err) ||
	    !lake_command_remove_old(expire->command, expire->config->grace_us, &removed, err))
		return STEP_FAILED;
	log_info("expire_finished", log_int("removed_files", removed));
	return STEP_DONE;
}

static void expire_close(void *state)
{
	struct expire *expire = state;

	if (expire)
		lake_command_close(expire->command);
}

static const struct config_option *const tables[] = {lake_storage_options, options, NULL};

const struct service lake_expire_service = {
	.name = "lake expire",
	.summary = "removes days of events that are older than DAYS",
	.tables = tables,
	.config_size = sizeof(struct expire_config),
	.open = expire_open,
	.step = expire_step,
	.close = expire_close,
};
