/* Retention follows from what a restore and people need:
 *   - 90 days for what is read again (raw, bronze) and for what people look at (dead letters, late
 *     events, alerts, abandoned carts);
 *   - without limit where only the newest value per key matters; compaction removes the others;
 *   - without limit for partials; the merge half deletes what it no longer needs.
 *
 * raw and bronze have the broker's time (LogAppendTime). It decides whether an event of live
 * traffic lies in the future, so a producer's wrong clock must not matter.
 *
 * Sizes: an event may have 4 MiB, and the dead letter must take it with additional headers.
 * Compacted topics have small segments, as the active segment is never compacted. Those of visits
 * and aggregates are compacted an hour after the write: while many events are replayed, the broker
 * would read and write each segment several times, because their values soon change again. */
#include "wire/topics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DAYS_90_MS "7776000000"
#define HOUR_MS    "3600000"
#define MIB_4      "4194304"
#define MIB_8      "8388608"
#define MIB_32     "33554432"

/* clang-format off */
static const struct topic topics[TOPIC_COUNT] = {
	[TOPIC_RAW_EVENTS] = {"raw_events", SHARE_ALL, {
		{"cleanup.policy", "delete"},
		{"retention.ms", DAYS_90_MS},
		{"max.message.bytes", MIB_4},
		{"message.timestamp.type", "LogAppendTime"},
	}},
	[TOPIC_BRONZE_EVENTS] = {"bronze_events", SHARE_ALL, {
		{"cleanup.policy", "delete"},
		{"retention.ms", DAYS_90_MS},
		{"max.message.bytes", MIB_4},
		{"message.timestamp.type", "LogAppendTime"},
	}},
	[TOPIC_DEAD_LETTER] = {"dead_letter", SHARE_ALL, {
		{"cleanup.policy", "delete"},
		{"retention.ms", DAYS_90_MS},
		{"max.message.bytes", MIB_8},
	}},
	[TOPIC_LATE_EVENTS] = {"late_events", SHARE_QUARTER, {
		{"cleanup.policy", "delete"},
		{"retention.ms", DAYS_90_MS},
		{"max.message.bytes", MIB_4},
	}},
	[TOPIC_COUNTS] = {"counts", SHARE_ONE, {
		{"cleanup.policy", "compact"},
		{"segment.bytes", MIB_8},
	}},
	[TOPIC_SESSION_FUNNELS] = {"session_funnels", SHARE_QUARTER, {
		{"cleanup.policy", "compact"},
		{"segment.bytes", MIB_32},
		{"min.compaction.lag.ms", HOUR_MS},
	}},
	[TOPIC_FUNNEL_PARTIALS] = {"funnel_partials", SHARE_QUARTER, {
		{"cleanup.policy", "delete"},
		{"retention.ms", "-1"},
		{"retention.bytes", "-1"},
		{"segment.bytes", MIB_32},
	}},
	[TOPIC_AGGREGATED_EVENTS] = {"aggregated_events", SHARE_QUARTER, {
		{"cleanup.policy", "compact"},
		{"segment.bytes", MIB_32},
		{"min.compaction.lag.ms", HOUR_MS},
	}},
	[TOPIC_ABANDONED_CARTS] = {"abandoned_carts", SHARE_QUARTER, {
		{"cleanup.policy", "delete"},
		{"retention.ms", DAYS_90_MS},
	}},
	[TOPIC_ALERTS] = {"alerts", SHARE_ONE, {
		{"cleanup.policy", "delete"},
		{"retention.ms", DAYS_90_MS},
	}},
	[TOPIC_PRODUCER_STATE] = {"producer_state", SHARE_ONE, {
		{"cleanup.policy", "compact"},
		{"segment.bytes", MIB_8},
	}},
};
/* clang-format on */

const struct topic *topic_of(enum topic_id id)
{
	return &topics[id];
}

bool topic_is_compacted(enum topic_id id)
{
	for (const struct topic_setting *setting = topics[id].settings;
	     setting < topics[id].settings + TOPIC_SETTINGS_MAX && setting->name; setting++)
		if (strcmp(setting->name, "cleanup.policy") == 0)
			return strcmp(setting->value, "compact") == 0;
	return false;
}

struct set_partitions set_partitions_new(int32_t all)
{
	return (struct set_partitions){.all = all, .quarter = (all + 3) / 4};
}

int32_t topic_partitions(enum topic_id id, struct set_partitions set)
{
	switch (topics[id].share) {
	case SHARE_ALL: return set.all;
	case SHARE_QUARTER: return set.quarter ? set.quarter : set_partitions_new(set.all).quarter;
	case SHARE_ONE: break;
	}
	return 1;
}

static bool quarter_fits(const char *name, int32_t partitions, struct set_partitions *set)
{
	if (set->quarter)
		return partitions == set->quarter;
	if (partitions != set->all && partitions != set_partitions_new(set->all).quarter)
		return false;
	set->quarter = partitions;
	snprintf(set->quarter_of, sizeof(set->quarter_of), "%s", name);
	return true;
}

bool topic_partitions_fit(enum topic_id id, const char *name, int32_t partitions, const char *like,
                          struct set_partitions *set, struct err *err)
{
	int32_t want = topic_partitions(id, *set);

	if (topics[id].share == SHARE_QUARTER) {
		if (quarter_fits(name, partitions, set))
			return true;
		if (*set->quarter_of)
			return err_set(err, ERR_OPERATOR,
			               "%s has %" PRId32 " partitions and %s has %" PRId32
			               ", expected the same number: " TOPIC_KEEPS_PARTITIONS,
			               name, partitions, set->quarter_of, set->quarter);
	}
	return partitions == want || err_set(err, ERR_OPERATOR,
	                                     "%s has %" PRId32 " partitions, expected %" PRId32
	                                     ", as %s has %" PRId32 ": " TOPIC_KEEPS_PARTITIONS,
	                                     name, partitions, want, like, set->all);
}

bool topic_name(const char *prefix, enum topic_id id, char *buf, size_t cap)
{
	int length = snprintf(buf, cap, "%s%s", prefix, topics[id].suffix);

	return length > 0 && (size_t)length < cap && length <= TOPIC_NAME_MAX;
}

void topic_group(const char *prefix, size_t index, char *buf, size_t cap)
{
	static const char *const services[TOPIC_GROUP_COUNT] = {"bronze-sink", "funnel-aggregator",
	                                                        "pg-loader", "lake",
	                                                        "lake-rebuild"};

	snprintf(buf, cap, "%s%s", prefix, services[index]);
}
