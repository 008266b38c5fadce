/* Limit: the alarm cannot know whether a refused record was one of ours, so a stray record makes a
 * service not ready for a minute too. The service keeps working during that minute. */
#include "wire/schema_loss.h"

#include <inttypes.h>
#include <stdio.h>

#include "wire/frame.h"

bool schema_loss_shows(enum reason reason)
{
	return reason == REASON_UNKNOWN_SCHEMA_ID || reason == REASON_WRONG_SCHEMA;
}

struct schema_place schema_place_of(const char *topic, int32_t partition, int64_t offset,
                                    struct span value)
{
	struct schema_place place = {topic, offset, partition, 0};
	struct span body;

	if (frame_parse(value, &place.schema_id, &body) != FRAME_ID)
		place.schema_id = 0;
	return place;
}

bool schema_loss_refuse(struct err *err, const struct schema_place *place, enum reason reason)
{
	return err_set(
		err, ERR_OPERATOR,
		"schema id %" PRId32 " of %s/%" PRId32 ", offset %" PRId64
		", cannot be read: %s: the schema registry has lost its data, or is "
		"another one than before. Stop the services. Then restore the registry's data, "
		"or empty the registry and run `schemas --yes`, which registers the schemas "
		"again under the ids that the topics name "
		"(deploy/README.md, 'Registry lost its data')",
		place->schema_id, place->topic, place->partition, place->offset,
		reason_help(reason));
}

bool schema_alarm_raise(struct schema_alarm *alarm, int64_t now_us,
                        const struct schema_place *place, enum reason reason)
{
	bool fresh = schema_alarm_reason(alarm, now_us) == NULL;

	if (fresh)
		snprintf(alarm->reason, sizeof(alarm->reason),
		         "records are refused for their schema id, first %" PRId32
		         " at %.200s/%" PRId32 " offset %" PRId64
		         ": %s; if they are ours, the registry has lost its data: see "
		         "deploy/README.md, 'Refused schema ids'",
		         place->schema_id, place->topic, place->partition, place->offset,
		         reason_help(reason));
	alarm->until_us = now_us + SCHEMA_ALARM_US;
	return fresh;
}

const char *schema_alarm_reason(const struct schema_alarm *alarm, int64_t now_us)
{
	return alarm->until_us != 0 && now_us < alarm->until_us ? alarm->reason : NULL;
}
