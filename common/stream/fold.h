/* What a service does with one input partition: a fold, plugged into the task loop.
 *
 * state x record -> state' + outputs, and nothing else: no clock, no randomness, no order
 * that depends on addresses. The state after an offset is the same however the records
 * before it were batched. A fold knows nothing of Kafka, files or time of day. */
#ifndef FUNNEL_FOLD_H
#define FUNNEL_FOLD_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "stream/outbox.h"
#include "stream/record.h"
#include "wire/records_counts.h"

#define FOLD_NOTHING         INT64_MIN /* apply: this record's content will never matter to a rebuild */
#define FOLD_SNAPSHOT_MAX    3072
#define FOLD_START_TIMES_MAX 1024

struct fold_ops {
	const char *name;
	void *(*new)(const void *config, int32_t partition);
	void (*free)(void *fold);
	/* Returns the newest time that matters of this record (event time, window end). out is NULL
	 * while a rebuild replays what was already emitted. counts: what the verdict adds. */
	int64_t (*apply)(void *fold, const struct input_record *record, struct counts *counts,
	                 struct outbox *out);
	/* Emits what changed since the last flush, as absolute values, once per key. */
	void (*flush)(void *fold, struct outbox *out);
	/* A rebuild is over (or a start from nothing begins): nothing is changed and unsent. */
	void (*restored)(void *fold);
	/* Content whose newest time is below this no longer matters. */
	int64_t (*horizon)(const void *fold);
	/* The part of the state that a rebuild cannot find in the replayed records: clocks, watermarks. */
	size_t (*snapshot)(const void *fold, char out[FOLD_SNAPSHOT_MAX]);
	bool (*restore_snapshot)(void *fold, struct span snapshot, struct err *err);
	/* Terms that outlive a change of configuration (since when each rollup counts); may be NULL. */
	size_t (*start_times)(const void *fold, char out[FOLD_START_TIMES_MAX]);
	bool (*restore_start_times)(void *fold, struct span start_times, struct err *err);
	/* The partition is idle: it has stood at its end for a while, and no record for it is on its
	 * way. May be NULL. */
	void (*idle)(void *fold, struct outbox *out);
	/* The partition is no longer idle, although no record has come; NULL where idle is NULL. */
	void (*active)(void *fold, struct outbox *out);
	/* Canonical text of the live state, for tests that compare two states. */
	void (*dump)(const void *fold, struct buffer *out);
};

#endif
