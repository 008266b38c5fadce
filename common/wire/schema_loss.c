/* Limit: the alarm cannot recognise whether a refused record is one of ours. So a stray record
 * makes a service not ready for a minute too. The service continues to work during that minute. */
#include "wire/schema_loss.h"

#include <inttypes.h>
#include <stdio.h>

#include "wire/frame.h"

bool schema_loss_suspected(enum reason reason)
{
	return reason == REASON_UNKNOWN_SCHEMA_ID || reason == REASON_WRONG_SCHEMA;
}

struct framed_record framed_record_of(const char *topic, int32_t partition, int64_t offset,
                                      struct span value)
{
	struct framed_record record = {topic, offset, partition, 0};
	struct span body;

	if (frame_parse(value, &record.schema_id, &body) != FRAME_ID)
		record.schema_id = 0;
	return record;
}

bool schema_loss_error(struct err *err, const struct framed_record *record, enum reason reason)
{
	return err_set(
		err, ERR_OPERATOR,
		"cannot read schema id %" PRId32 " of %s/%" PRId32 ", offset %" PRId64
		": %s: the schema registry has lost its data, or SCHEMA_REGISTRY_URL names "
		"another registry than before. Stop the services. Then restore the registry's "
		"data, or empty the registry and run `schemas --yes`, which registers the "
		"schemas again under the ids in the topics "
		"(deploy/README.md, 'Registry lost its data')",
		record->schema_id, record->topic, record->partition, record->offset,
		reason_help(reason));
}

bool schema_alarm_raise(struct schema_alarm *alarm, int64_t now_us,
                        const struct framed_record *record, enum reason reason)
{
	bool was_off = schema_alarm_message(alarm, now_us) == NULL;

	if (was_off)
		snprintf(alarm->message, sizeof(alarm->message),
		         "records are refused for their schema id, first %" PRId32
		         " at %.200s/%" PRId32 " offset %" PRId64
		         ": %s; if our services wrote them, the registry has lost its data: see "
		         "deploy/README.md, 'Refused schema ids'",
		         record->schema_id, record->topic, record->partition, record->offset,
		         reason_help(reason));
	alarm->until_us = now_us + SCHEMA_ALARM_US;
	return was_off;
}

const char *schema_alarm_message(const struct schema_alarm *alarm, int64_t now_us)
{
	return alarm->until_us != 0 && now_us < alarm->until_us ? alarm->message : NULL;
}
