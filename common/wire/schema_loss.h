/* Signs that the schema registry has lost its data, or is another one than before.
 *
 * An emptied registry gives its ids to other schemas. A record of ours then names an id that is
 * unknown, or that belongs to another record. A single such record may also be a mistake of another
 * writer. So a service ends (exit 78) only for a sign that a stray record cannot give: a rebuild
 * cannot read a record that was read before (task_lost_records), or the counts of a service cannot
 * be read (counts_unread.h). Any other refused record is a dead letter, and the service is not
 * ready for a minute (schema_alarm). */
#ifndef FUNNEL_SCHEMA_LOSS_H
#define FUNNEL_SCHEMA_LOSS_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "event/reason.h"

/* The reason is the registry's answer: the schema id is unknown, or belongs to another record. */
bool schema_loss_shows(enum reason reason);

/* Where a framed value was read. */
struct schema_place {
	const char *topic;
	int64_t offset;
	int32_t partition;
	int32_t schema_id; /* 0: the value has no framing */
};
/* value: as it was read. */
struct schema_place schema_place_of(const char *topic, int32_t partition, int64_t offset,
                                    struct span value);

/* Sets ERR_OPERATOR and says what to do. Always false. */
bool schema_loss_refuse(struct err *err, const struct schema_place *place, enum reason reason);

/* Not ready while records are refused for their schema id: for a minute from the last one.
 * Zero-initialised: none yet. */
#define SCHEMA_ALARM_US INT64_C(60000000)
struct schema_alarm {
	int64_t until_us; /* monotonic; 0: never raised */
	char reason[400]; /* of the first record since the alarm was last off */
};
/* A record was refused. True: the alarm was off, so the caller logs the reason. */
bool schema_alarm_raise(struct schema_alarm *alarm, int64_t now_us,
                        const struct schema_place *place, enum reason reason);
/* Why the service is not ready; NULL where the alarm is off. */
const char *schema_alarm_reason(const struct schema_alarm *alarm, int64_t now_us);

#endif
