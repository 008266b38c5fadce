/* Checks what the services commit. See README.md, "The oracle". */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include <stdbool.h>
#include <stddef.h>

#include "sim/partition_log.h"
#include "sim/transactions.h"

/* Begins a schedule; the topics must exist. */
void oracle_begin(void);
/* The coordinator has decided to commit: checks the transaction. */
void oracle_decided(const struct txn *txn);
/* A process of the group deletes the records before the offset. No restore may need them. */
void oracle_trims(const char *group, const char *topic, int32_t partition, int64_t before);
/* Each partition of the topic has a record before its committed offset that could be read. Without
 * one, nothing shows that the topic was created again. */
bool oracle_has_read(const char *topic);
/* Keeps the logs of a topic that is about to be deleted: nothing of its next logs may be
 * committed. Only if oracle_has_read: else its next logs may be read. */
void oracle_keep_logs(const char *topic);
/* The groups' offsets were moved or deleted: nothing is committed any more. */
void oracle_offsets_moved(void);
/* Evidence for announcements: what the brokers have answered to the process of this life. */
void oracle_saw_end(uint32_t life, const char *topic, int32_t partition, int64_t end);
void oracle_saw_committed(uint32_t life, const char *group, const char *topic, int32_t partition,
                          int64_t offset);
/* Records a failure, and ends the schedule. Only the first one counts. */
void oracle_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* NULL: none. */
const char *oracle_failure(void);
/* Everything is processed, committed and visible. aggregators: the schedule has funnel-aggregator.
 * why: what is missing. */
bool oracle_is_complete(bool aggregators, char *why, size_t cap);
/* The checks at the end of a schedule that is complete. */
void oracle_end(void);
/* The number of transactions and records that were checked in this schedule. */
size_t oracle_transactions(void);
size_t oracle_records(void);

#endif
