/* Finds counts of our services that cannot be read. The caller reads the topic of counts from its
 * beginning to its end and adds each record.
 *
 * Only the newest record of a key matters, as in any compacted topic. Older ones stay in the log
 * for a while, and may name schema ids that are no longer in use. Records under keys that no
 * service writes are ignored. */
#ifndef FUNNEL_UNREADABLE_COUNTS_H
#define FUNNEL_UNREADABLE_COUNTS_H

#include "base/err.h"
#include "base/span.h"
#include "event/reason.h"
#include "wire/schema_loss.h"

#define COUNTS_SERVICES       2
#define COUNTS_PARTITIONS_MAX 128 /* most input partitions of a set */

/* Zero-initialised: no record was added. */
struct unreadable_counts {
	struct unreadable_record {
		enum reason reason; /* REASON_NONE: no record, or a record that can be read */
		int64_t offset;
		int32_t partition, schema_id;
	} newest[COUNTS_SERVICES][COUNTS_PARTITIONS_MAX];
};

/* Adds the next record. reason: why it cannot be read; REASON_NONE: it can be read. */
void unreadable_counts_add(struct unreadable_counts *unread, const char *topic_prefix,
                           struct span key, const struct framed_record *record, enum reason reason);
/* False and ERR_OPERATOR if the newest counts of a key are refused for their schema id. */
MUST_USE bool unreadable_counts_check(const struct unreadable_counts *unread, const char *topic,
                                      struct err *err);

#endif
