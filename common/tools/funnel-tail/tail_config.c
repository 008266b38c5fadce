/* The flags of one call are rows of the same kind as settings, so that help, errors and the tables
 * of the documents come from one place. But the environment must not set them. The producer has
 * settings FROM and TO too, and an exported FROM would hide records here. So the program removes
 * these variables before it reads the tables. */
#include "tail_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/timetext.h"
#include "registry/registry.h"

#define SUMMARY                                                                                  \
	"shows the live funnel in the terminal (q quits, h helps); with --topic prints decoded " \
	"records, one JSON object a line. -n is --records, -o is --output. The settings from "   \
	"TOPIC on are flags only"

static const struct {
	const char *name;
	enum topic_id id;
} topic_names[] = {
	{"raw", TOPIC_RAW_EVENTS},
	{"bronze", TOPIC_BRONZE_EVENTS},
	{"aggregates", TOPIC_AGGREGATED_EVENTS},
	{"visits", TOPIC_SESSION_FUNNELS},
	{"late", TOPIC_LATE_EVENTS},
	{"dead-letter", TOPIC_DEAD_LETTER},
	{"counts", TOPIC_COUNTS},
	{"alerts", TOPIC_ALERTS},
	{"abandoned-carts", TOPIC_ABANDONED_CARTS},
};
#define TOPICS_TEXT \
	"raw, bronze, aggregates, visits, late, dead-letter, counts, alerts or abandoned-carts"

static bool find_topic(const char *name, enum topic_id *id)
{
	for (size_t i = 0; i < sizeof(topic_names) / sizeof(*topic_names); i++)
		if (strcmp(topic_names[i].name, name) == 0) {
			*id = topic_names[i].id;
			return true;
		}
	return false;
}

static bool topic_check(const char *text, struct err *err)
{
	enum topic_id id;

	return find_topic(text, &id) || err_set(err, ERR_INPUT, "expected " TOPICS_TEXT);
}

/* "2019-10-01": its first moment. */
static bool parse_day(const char *text, int64_t *time_us)
{
	char complete[32];

	if (strlen(text) != 10)
		return false;
	snprintf(complete, sizeof(complete), "%sT00:00:00Z", text);
	return time_parse(span_of(complete), time_us);
}

bool tail_time_parse(const char *text, int64_t now_us, int64_t *time_us)
{
	int64_t ago_us;

	if (strcmp(text, "beginning") == 0 || strcmp(text, "now") == 0) {
		*time_us = *text == 'b' ? INT64_MIN : now_us;
		return true;
	}
	if (*text == '-' && duration_parse(span_of(text + 1), &ago_us)) {
		*time_us = ago_us > now_us ? 0 : now_us - ago_us;
		return true;
	}
	return time_parse(span_of(text), time_us) || parse_day(text, time_us);
}

static bool time_check(const char *text, struct err *err)
{
	int64_t time_us;

	return tail_time_parse(text, 0, &time_us) ||
	       err_set(err, ERR_INPUT,
	               "expected a time such as 2026-01-31T12:00:00Z, 2026-01-31, -5m, now or "
	               "beginning");
}

static const struct config_option kafka_options[] = KAFKA_OPTIONS(struct tail_config, kafka);
static const struct config_option registry_options[] =
	REGISTRY_OPTIONS(struct tail_config, registry, REGISTRY_URL_DEFAULT, REGISTRY_URL_HELP);
static const struct config_option options[] = {
	{"LOG_LEVEL", CONFIG_CHOICE, offsetof(struct tail_config, log_level), "error", 0, 0,
         "least severe level of the log lines on stderr, which are those of the Kafka client",
         "error|warn|info|debug", NULL},
	{0},
};
static const struct config_option flags[] = {
	{"TOPIC", CONFIG_TEXT, offsetof(struct tail_config, topic), "", 0, 0,
         "print the records of this topic: " TOPICS_TEXT "; empty: the live funnel", NULL,
         topic_check},
	{"TAIL", CONFIG_INTEGER, offsetof(struct tail_config, tail), "-1", -1, 10000,
         "begin with the last records that match, this number of them; -1: 10, or all with FROM or "
         "TO",
         NULL, NULL},
	{"FROM", CONFIG_TEXT, offsetof(struct tail_config, from), "", 0, 0,
         "only records written at or after this time: 2026-01-31T12:00:00Z, 2026-01-31, -5m or "
         "beginning",
         NULL, time_check},
	{"TO", CONFIG_TEXT, offsetof(struct tail_config, to), "", 0, 0,
         "only records written before this time; implies EXIT", NULL, time_check},
	{"EXIT", CONFIG_BOOLEAN, offsetof(struct tail_config, exit), "false", 0, 0,
         "end at the end of the topic instead of waiting for new records", NULL, NULL},
	{"RECORDS", CONFIG_INTEGER, offsetof(struct tail_config, records), "0", 0, INT64_MAX,
         "end after this number of records; 0: no limit", NULL, NULL},
	{"FILTER_KEY", CONFIG_TEXT, offsetof(struct tail_config, filter_key), "", 0, 0,
         "only records with such a key. This and the next three are globs, with *, ? and "
         "[...]",
         NULL, NULL},
	{"CATEGORY", CONFIG_TEXT, offsetof(struct tail_config, category), "", 0, 0,
         "only events with such a category code (unknown: none), totals of such a category, or "
         "visits that begin or end with one",
         NULL, NULL},
	{"TYPE", CONFIG_TEXT, offsetof(struct tail_config, type), "", 0, 0,
         "only events of such a type; control: controls", NULL, NULL},
	{"REASON", CONFIG_TEXT, offsetof(struct tail_config, reason), "", 0, 0,
         "only dead letters with such a reason code", NULL, NULL},
	{"OUTPUT", CONFIG_CHOICE, offsetof(struct tail_config, format), "json", 0, 0,
         "form of a record: JSON, text for people, or the bytes of the value", "json|plain|raw",
         NULL},
	{"ROLLUP", CONFIG_TEXT, offsetof(struct tail_config, rollup), "", 0, 0,
         "rollup that the live funnel begins with, such as 1d:all; with TOPIC aggregates: a glob, "
         "only totals of such rollups",
         NULL, NULL},
	{"GROUP", CONFIG_TEXT, offsetof(struct tail_config, group), "", 0, 0,
         "group of that rollup, such as electronics; empty: the one with the highest revenue", NULL,
         NULL},
	{"REFRESH", CONFIG_DURATION, offsetof(struct tail_config, refresh_us), "1s", 100000,
         60000000, "time between two pictures of the live funnel", NULL, NULL},
	{"ONCE", CONFIG_BOOLEAN, offsetof(struct tail_config, once), "false", 0, 0,
         "print one picture of the live funnel and end; so it does if stdout is not a terminal",
         NULL, NULL},
	{"COLOR", CONFIG_CHOICE, offsetof(struct tail_config, colour), "auto", 0, 0,
         "colours; auto: on a terminal, unless NO_COLOR is set or TERM is dumb",
         "auto|always|never", NULL},
	{0},
};
static const struct config_option *const tables[] = {kafka_options, registry_options, options,
                                                     flags, NULL};

static void forget_environment(void)
{
	char name[64];

	for (const struct config_option *flag = flags; flag->name; flag++) {
		unsetenv(flag->name);
		snprintf(name, sizeof(name), "%s_FILE", flag->name);
		unsetenv(name);
	}
}

/* A short flag in its long form. */
static char *long_flag(char *argument)
{
	static char records[] = "--records", output[] = "--output", help[] = "--help";

	return strcmp(argument, "-n") == 0   ? records
	       : strcmp(argument, "-o") == 0 ? output
	       : strcmp(argument, "-h") == 0 ? help
	                                     : argument;
}

enum config_result tail_config_load(int argc, char **argv, struct tail_config *config)
{
	char **arguments = xzalloc((size_t)argc + 1, sizeof(*arguments));
	enum config_result result;

	for (int i = 0; i < argc; i++)
		arguments[i] = long_flag(argv[i]);
	forget_environment();
	result = config_load(tables, "funnel-tail", SUMMARY, argc, arguments, config);
	free(arguments);
	return result;
}

/* ---- flags that belong together */

static bool is_unset(const char *value, const char *flag, const char *mode, struct err *err)
{
	return !*value || err_set(err, ERR_INPUT, "%s does not apply to %s", flag, mode);
}

static enum tail_format format_of(const char *name)
{
	return strcmp(name, "plain") == 0 ? TAIL_PLAIN
	       : strcmp(name, "raw") == 0 ? TAIL_RAW
	                                  : TAIL_JSON;
}

/* The last records of the topic, if nothing says where to begin. */
static int64_t tail_of(const struct tail_config *config)
{
	if (config->tail >= 0)
		return config->tail;
	if (*config->from || *config->to)
		return -1;
	return config->records && config->records < TAIL_DEFAULT ? config->records : TAIL_DEFAULT;
}

bool tail_config_request(const struct tail_config *config, int64_t now_us,
                         struct tail_request *request, struct err *err)
{
	*request = (struct tail_request){
		.format = format_of(config->format),
		.filter = {config->filter_key, config->type, config->category, config->reason,
	                   config->rollup},
		.from_us = INT64_MIN,
		.to_us = INT64_MAX,
		.tail = tail_of(config),
		.records = config->records ? config->records : INT64_MAX,
		.follow = !config->exit && !*config->to,
	};
	if (!find_topic(config->topic, &request->topic))
		return err_set(err, ERR_INPUT, "invalid value \"%s\" for TOPIC: expected %s",
		               config->topic, TOPICS_TEXT);
	if (config->once)
		return err_set(err, ERR_INPUT, "--once does not apply to --topic: use --exit");
	if (*config->from)
		(void)tail_time_parse(config->from, now_us, &request->from_us);
	if (*config->to)
		(void)tail_time_parse(config->to, now_us, &request->to_us);
	if (request->from_us != INT64_MIN && request->from_us >= request->to_us)
		return err_set(err, ERR_INPUT,
		               "FROM is \"%s\" and TO is \"%s\": expected FROM before TO",
		               config->from, config->to);
	return is_unset(config->group, "--group", "--topic", err) &&
	       tail_filter_check(&request->filter, request->topic, err);
}

bool tail_config_check_live(const struct tail_config *config, struct err *err)
{
	static const char mode[] = "the live funnel: expected --topic with it";

	if (config->exit)
		return err_set(err, ERR_INPUT,
		               "--exit does not apply to the live funnel: use "
		               "--once, or expected --topic with it");
	if (config->tail >= 0 || config->records)
		return err_set(err, ERR_INPUT, "%s does not apply to %s",
		               config->tail >= 0 ? "--tail" : "-n", mode);
	return is_unset(config->from, "--from", mode, err) &&
	       is_unset(config->to, "--to", mode, err) &&
	       is_unset(config->filter_key, "--filter-key", mode, err) &&
	       is_unset(config->category, "--category", mode, err) &&
	       is_unset(config->type, "--type", mode, err) &&
	       is_unset(config->reason, "--reason", mode, err);
}
