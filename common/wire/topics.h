/* The topics of the system: names, partitions and settings. A pure table; common/tools/topics/topics.c applies it.
 *
 * Names are <prefix><suffix>. Topics that follow an input partition for partition (bronze, late events) or by key have
 * `partitions` of them, the same for all; counts has one, since its records are few. */
#ifndef FUNNEL_TOPICS_H
#define FUNNEL_TOPICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum topic_id {
	TOPIC_RAW_EVENTS,        /* JSON as the source had it */
	TOPIC_BRONZE_EVENTS,     /* every valid event once; same partition numbers as raw */
	TOPIC_DEAD_LETTER,       /* what was rejected, as it came, and why */
	TOPIC_LATE_EVENTS,       /* bronze events too late for a rollup or a visit */
	TOPIC_COUNTS,            /* cumulative counts per input partition */
	TOPIC_SESSION_FUNNELS,   /* one row per visit */
	TOPIC_FUNNEL_PARTIALS,   /* internal: the session half's values for the merge half */
	TOPIC_AGGREGATED_EVENTS, /* one row per rollup, window and group */
	TOPIC_COUNT
};

#define TOPIC_DEFAULT_PARTITIONS 4
#define TOPIC_NAME_MAX           249 /* Kafka's limit, in bytes */
#define TOPIC_SETTINGS_MAX       6

struct topic_setting {
	const char *name, *value;
};

struct topic {
	const char *suffix;
	int32_t fixed_partitions; /* 0: as many as the set has */
	struct topic_setting
		settings[TOPIC_SETTINGS_MAX]; /* ends before the first without a name */
};

const struct topic *topic_of(enum topic_id id);

/* Whether compaction removes older records of a key from the log. */
bool topic_is_compacted(enum topic_id id);

/* Partitions of the topic in a set of so many. */
int32_t topic_partitions(enum topic_id id, int32_t set_partitions);

#define TOPIC_KEEPS_PARTITIONS \
	"the number of partitions never changes, since keys would move to others; " ERR_ADVICE_FRESH_SET
/* Whether the topic `name` has the partitions that it has in a set with that number of partitions,
 * which is the number of the topic `like`. ERR_OPERATOR. */
MUST_USE bool topic_partitions_fit(enum topic_id id, const char *name, int32_t partitions,
                                   const char *like, int32_t set_partitions, struct err *err);

/* Writes <prefix><suffix>, terminated. False if it does not fit, or is longer than Kafka takes. */
MUST_USE bool topic_name(const char *prefix, enum topic_id id, char *buf, size_t cap);

/* Name of a consumer group of the set: <prefix><service>, terminated. A prefix that fits the topics
 * fits the groups. */
#define TOPIC_GROUP_COUNT 3
void topic_group(const char *prefix, size_t index, char *buf, size_t cap);

#endif
