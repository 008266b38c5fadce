#include "tail_filter.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static bool is_set(const char *glob)
{
	return glob && *glob;
}

static bool has_events(enum topic_id topic)
{
	return topic == TOPIC_RAW_EVENTS || topic == TOPIC_BRONZE_EVENTS ||
	       topic == TOPIC_LATE_EVENTS || topic == TOPIC_DEAD_LETTER;
}

static bool applies(const char *glob, bool fits, const char *flag, const char *topics,
                    struct err *err)
{
	return !is_set(glob) || fits ||
	       err_set(err, ERR_INPUT, "%s does not apply to this topic: expected --topic to be %s",
	               flag, topics);
}

bool tail_filter_check(const struct tail_filter *filter, enum topic_id topic, struct err *err)
{
	return applies(filter->type, has_events(topic), "--type",
	               "raw, bronze, late or dead-letter", err) &&
	       applies(filter->category, topic != TOPIC_COUNTS, "--category",
	               "another one than counts", err) &&
	       applies(filter->reason, topic == TOPIC_DEAD_LETTER, "--reason", "dead-letter",
	               err) &&
	       applies(filter->rollup, topic == TOPIC_AGGREGATED_EVENTS, "--rollup", "aggregates",
	               err);
}

bool tail_filter_is_set(const struct tail_filter *filter)
{
	return is_set(filter->key) || is_set(filter->type) || is_set(filter->category) ||
	       is_set(filter->reason) || is_set(filter->rollup);
}

/* A text without a value matches nothing, not even a single star. */
static bool matches(const char *glob, struct span text)
{
	char *copy;
	bool found;

	if (!is_set(glob))
		return true;
	if (!text.at)
		return false;
	copy = xrealloc(NULL, text.len + 1);
	memcpy(copy, text.at, text.len);
	copy[text.len] = '\0';
	found = fnmatch(glob, copy, 0) == 0;
	free(copy);
	return found;
}

bool tail_filter_takes(const struct tail_filter *filter, const struct tail_record *tail)
{
	if (!matches(filter->key, tail->record->key))
		return false;
	if (tail->kind == TAIL_UNREADABLE)
		return true;
	return matches(filter->type, tail->type) && matches(filter->reason, tail->reason) &&
	       matches(filter->rollup, tail->rollup) &&
	       (matches(filter->category, tail->category[0]) ||
	        matches(filter->category, tail->category[1]));
}
