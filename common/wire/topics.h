/* The topics of the pipeline: names, partitions and settings. A pure table; the program `topics`
 * (common/tools/topics) applies it.
 *
 * A topic's name is <prefix><suffix>. All topics of a set have the same number of partitions,
 * except counts, alerts and producer_state: each has one, as it has few records. */
#ifndef FUNNEL_TOPICS_H
#define FUNNEL_TOPICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum topic_id {
	TOPIC_RAW_EVENTS,        /* one JSON object per row of the source */
	TOPIC_BRONZE_EVENTS,     /* every valid event once, in the partition number of raw */
	TOPIC_DEAD_LETTER,       /* refused records, as they came, with the reason */
	TOPIC_LATE_EVENTS,       /* bronze events too late for a rollup or a visit */
	TOPIC_COUNTS,            /* cumulative counts per input partition */
	TOPIC_SESSION_FUNNELS,   /* one row per visit */
	TOPIC_FUNNEL_PARTIALS,   /* internal: the session half's values for the merge half */
	TOPIC_AGGREGATED_EVENTS, /* one row per rollup, window and group */
	TOPIC_ABANDONED_CARTS,   /* closed visits with a cart and without a purchase */
	TOPIC_ALERTS,            /* openings and closings of alerts */
	TOPIC_PRODUCER_STATE,    /* one row per segment of a producer's schedule */
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
	int32_t fixed_partitions; /* 0: the number of the set */
	/* The list ends before the first setting without a name. */
	struct topic_setting settings[TOPIC_SETTINGS_MAX];
};

const struct topic *topic_of(enum topic_id id);

/* Whether compaction removes older records of a key from the log. */
bool topic_is_compacted(enum topic_id id);

/* Number of the topic's partitions in a set with set_partitions. */
int32_t topic_partitions(enum topic_id id, int32_t set_partitions);

#define TOPIC_KEEPS_PARTITIONS                                                      \
	"the number of partitions must not change, since keys would move to others" \
	"; " ERR_ADVICE_FRESH_SET
/* Checks the number of partitions of the topic `name`. It must fit set_partitions, which is the
 * number of the topic `like`. ERR_OPERATOR if it does not. */
MUST_USE bool topic_partitions_fit(enum topic_id id, const char *name, int32_t partitions,
                                   const char *like, int32_t set_partitions, struct err *err);

/* Writes <prefix><suffix>, terminated. False if it is longer than cap or TOPIC_NAME_MAX allows. */
MUST_USE bool topic_name(const char *prefix, enum topic_id id, char *buf, size_t cap);

/* Writes the name of a consumer group of the set, terminated: <prefix><service>. A prefix that is
 * short enough for the topics is short enough for the groups. */
#define TOPIC_GROUP_COUNT 5
void topic_group(const char *prefix, size_t index, char *buf, size_t cap);

#endif
