/* The set of topics that `lake rebuild` writes: records in transactions, and how far it has come.
 *
 * The position of each partition is a committed offset of the group <prefix>lake-rebuild, in the
 * transaction that has the records before it. It counts in offsets of the lake. So after kill -9
 * the same command continues at the right row, and it recognises topics that another program has
 * filled.
 *
 * The topics keep the times of the records: bronze_events has message.timestamp.type=CreateTime
 * until the rebuild is complete. And they must not delete records for their age before anything has
 * read them: retention.ms of bronze_events and dead_letter is set to -1, and stays so. */
#ifndef FUNNEL_REBUILD_TARGET_H
#define FUNNEL_REBUILD_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "kafka/kafka_conf.h"
#include "stream/outbox.h"
#include "stream/start_offset.h"
#include "wire/schemas.h"
#include "wire/topics.h"

struct rebuild_target_config {
	const struct kafka_config *kafka;
	const struct registry_config *registry;
	const char *source_prefix; /* of the topics in the lake */
	int32_t partitions;        /* lowest number that the lake fits to */
};

/* Of one partition of one topic. */
struct rebuild_progress {
	int64_t next;   /* first offset of the lake that is not written yet */
	int64_t events; /* written so far */
	/* The newest record before next: it recognises the lake. OFFSET_NONE: none. */
	int64_t last_offset, last_time_ms;
};

struct rebuild_target;
struct rebuild_target *rebuild_target_new(const struct rebuild_target_config *config);
void rebuild_target_free(struct rebuild_target *target); /* aborts the open transaction */

/* Connects, registers the schemas, reads the positions and prepares the topics. ERR_OPERATOR: a
 * topic is missing, is not empty, or has another number of partitions; the message names it. */
MUST_USE bool rebuild_target_open(struct rebuild_target *target, struct err *err);
int32_t rebuild_target_partitions(const struct rebuild_target *target, enum topic_id topic);
int32_t rebuild_target_schema_id(const struct rebuild_target *target, enum schema_kind kind);
bool rebuild_target_continues(const struct rebuild_target *target);
/* bronze_events, dead_letter or counts. */
struct rebuild_progress rebuild_target_progress(const struct rebuild_target *target,
                                                enum topic_id topic, int32_t partition);

/* Adds a record to the open transaction, and begins one if none is open. ERR_ABORT and ERR_RETRY:
 * the process has to start again; it continues at the last commit. */
MUST_USE bool rebuild_target_add(struct rebuild_target *target, enum topic_id topic,
                                 int64_t time_ms, const struct output *record, struct err *err);
/* Commits the transaction together with the position of the partition that it is of. */
MUST_USE bool rebuild_target_commit(struct rebuild_target *target, enum topic_id topic,
                                    int32_t partition, struct rebuild_progress progress,
                                    struct err *err);
/* Everything is written: bronze_events gets the brokers' times again. */
MUST_USE bool rebuild_target_finish(struct rebuild_target *target, struct err *err);

#endif
