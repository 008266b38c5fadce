/* The topics of the pipeline: names, partitions and settings. A pure table; the program `topics`
 * (common/tools/topics) applies it.
 *
 * A topic's name is <prefix><suffix>. The number of partitions of a set is that of raw_events:
 *
 *   raw_events, bronze_events, dead_letter      that number
 *   the topics that funnel-aggregator writes    a quarter of it, rounded up: its transactions send
 *                                               one request for each partition that they write, and
 *                                               the number of requests decides the latency
 *   counts, alerts, producer_state              1, as they have few records
 *
 * In sets that earlier versions created, the topics of funnel-aggregator have as many partitions as
 * raw_events, and keep them. A mixture is refused. But if raw_events, bronze_events and dead_letter
 * of such a set grow to four times as many, the set looks like a new one; then bronze-sink and
 * funnel-aggregator refuse their restore metadata. */
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

/* How many partitions of a set a topic has. */
enum topic_share { SHARE_ALL, SHARE_QUARTER, SHARE_ONE };

struct topic {
	const char *suffix;
	enum topic_share share;
	/* The list ends before the first setting without a name. */
	struct topic_setting settings[TOPIC_SETTINGS_MAX];
};

const struct topic *topic_of(enum topic_id id);

/* Whether compaction removes older records of a key from the log. */
bool topic_is_compacted(enum topic_id id);

/* The numbers of partitions of one set, by share. */
struct set_partitions {
	int32_t all;
	int32_t quarter; /* 0: not known yet, and one of the two numbers above */
	/* The topic that quarter is from; "": none, as in a new set. */
	char quarter_of[TOPIC_NAME_MAX + 1];
};

/* Those of a new set. */
struct set_partitions set_partitions_new(int32_t all);

/* Number of the topic's partitions. If that of its share is not known yet: as in a new set. */
int32_t topic_partitions(enum topic_id id, struct set_partitions set);

#define TOPIC_KEEPS_PARTITIONS                                                      \
	"the number of partitions must not change, since keys would move to others" \
	"; " ERR_ADVICE_FRESH_SET
/* Checks the number of partitions of the topic `name`. It must fit the set, whose number is that of
 * the topic `like`. ERR_OPERATOR if it does not. set->quarter becomes known with the first topic of
 * SHARE_QUARTER that fits. */
MUST_USE bool topic_partitions_fit(enum topic_id id, const char *name, int32_t partitions,
                                   const char *like, struct set_partitions *set, struct err *err);

/* Writes <prefix><suffix>, terminated. False if it is longer than cap or TOPIC_NAME_MAX allows. */
MUST_USE bool topic_name(const char *prefix, enum topic_id id, char *buf, size_t cap);

/* Writes the name of a consumer group of the set, terminated: <prefix><service>. A prefix that is
 * short enough for the topics is short enough for the groups. */
#define TOPIC_GROUP_COUNT 5
void topic_group(const char *prefix, size_t index, char *buf, size_t cap);

#endif
