/* The options of funnel-tail: two tables of settings, and their check against each other. */
#ifndef FUNNEL_TAIL_CONFIG_H
#define FUNNEL_TAIL_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "kafka/kafka_conf.h"
#include "registry/registry.h"
#include "service/config.h"
#include "tail_filter.h"
#include "tail_record.h"
#include "wire/topics.h"

#define TAIL_DEFAULT 10 /* records, if neither --tail nor --from is given */

struct tail_config {
	/* settings: environment or flags */
	struct kafka_config kafka;
	struct registry_config registry;
	const char *log_level;
	/* of one call: flags only */
	const char *topic, *from, *to, *format;
	int64_t tail, records;
	bool exit;
	const char *filter_key, *type, *category, *reason;
	const char *rollup, *group, *colour;
	int64_t refresh_us;
	bool once;
};

/* Reads flags and environment. -n, -o and -h are short for --records, --output and --help. */
enum config_result tail_config_load(int argc, char **argv, struct tail_config *config);

/* What the flags ask for in the mode of records. */
struct tail_request {
	enum topic_id topic;
	enum tail_format format;
	struct tail_filter filter;
	int64_t from_us, to_us; /* INT64_MIN, INT64_MAX: no bound; to is not included */
	int64_t tail;           /* last records that match; -1: all */
	int64_t records;        /* end after this number; INT64_MAX: no limit */
	bool follow;
};
/* ERR_INPUT: flags that do not belong together. */
MUST_USE bool tail_config_request(const struct tail_config *config, int64_t now_us,
                                  struct tail_request *request, struct err *err);
/* The same for the live funnel. */
MUST_USE bool tail_config_check_live(const struct tail_config *config, struct err *err);

/* "2019-10-01T10:00:00Z", "2019-10-01", "-5m" (before now), "beginning", "now". False: none of
 * these. */
bool tail_time_parse(const char *text, int64_t now_us, int64_t *time_us);

#endif
