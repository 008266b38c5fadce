/* Finds counts of our services that cannot be read, while the topic of counts is read from its
 * beginning to its end.
 *
 * Only the newest record of a key matters, as in any compacted topic: older ones stay in the log
 * for a while, and may name ids that nobody needs any more. Records under keys that no service
 * writes are left alone. */
#ifndef FUNNEL_COUNTS_UNREAD_H
#define FUNNEL_COUNTS_UNREAD_H

#include "base/err.h"
#include "base/span.h"
#include "event/reason.h"
#include "wire/schema_loss.h"

#define COUNTS_SERVICES       2
#define COUNTS_PARTITIONS_MAX 128 /* of the input; a set has at most this many */

/* Zero-initialised: nothing was read. */
struct counts_unread {
	struct counts_refusal {
		enum reason reason; /* REASON_NONE: no record, or a record that can be read */
		int64_t offset;
		int32_t partition, schema_id;
	} newest[COUNTS_SERVICES][COUNTS_PARTITIONS_MAX];
};

/* Takes the next record: its place, its key, and why it cannot be read (REASON_NONE: readable). */
void counts_unread_note(struct counts_unread *unread, const char *topic_prefix, struct span key,
                        const struct schema_place *place, enum reason reason);
/* False and ERR_OPERATOR if the newest counts of a key are refused for their schema. */
MUST_USE bool counts_unread_none(const struct counts_unread *unread, const char *topic,
                                 struct err *err);

#endif
