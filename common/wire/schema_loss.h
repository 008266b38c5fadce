/* Signs that the schema registry has lost its data, or is another one than before.
 *
 * An emptied registry gives its ids to other schemas. The schema id of our records is then unknown,
 * or belongs to another record type. A single such record may also be a mistake of another writer.
 * So a service ends (exit 78) only for a sign that a stray record cannot give: a restore cannot
 * read a record that was read before (task_lost_records), or the counts of a service cannot be read
 * (unreadable_counts.h). Any other refused record is a dead letter, and the service is not ready
 * for a minute (schema_alarm). */
#ifndef FUNNEL_SCHEMA_LOSS_H
#define FUNNEL_SCHEMA_LOSS_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "event/reason.h"

/* Whether a reason is a sign of loss: the schema id is unknown, or belongs to another record
 * type. */
bool schema_loss_suspected(enum reason reason);

/* A record by its location and the schema id in its frame. */
struct framed_record {
	const char *topic;
	int64_t offset;
	int32_t partition;
	int32_t schema_id; /* 0: the value has no frame */
};
/* value: with its frame. Borrows topic. */
struct framed_record framed_record_of(const char *topic, int32_t partition, int64_t offset,
                                      struct span value);

/* Sets ERR_OPERATOR with the record and the instructions. Always false. */
bool schema_loss_error(struct err *err, const struct framed_record *record, enum reason reason);

/* Keeps a service not ready for a minute after the last record that was refused for its schema id.
 * Zero-initialised: off. */
#define SCHEMA_ALARM_US INT64_C(60000000)
struct schema_alarm {
	int64_t until_us;  /* monotonic; 0: never raised */
	char message[400]; /* about the first record since the alarm was last off */
};
/* Call for each record refused. True: the alarm was off, so the caller logs alarm->message. */
bool schema_alarm_raise(struct schema_alarm *alarm, int64_t now_us,
                        const struct framed_record *record, enum reason reason);
/* Why the service is not ready; NULL: the alarm is off. */
const char *schema_alarm_message(const struct schema_alarm *alarm, int64_t now_us);

#endif
