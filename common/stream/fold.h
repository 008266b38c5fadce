/* A fold: the computation of a service on one input partition, called by the task loop.
 *
 * A fold is a pure function: state x record -> new state + outputs. It uses no clock and no
 * randomness, and its order does not depend on addresses. The state after an offset does not depend
 * on how the records before it were batched. A fold does not use Kafka, files or the time of
 * day. */
#ifndef FUNNEL_FOLD_H
#define FUNNEL_FOLD_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "stream/outbox.h"
#include "stream/record.h"
#include "wire/records_counts.h"

#define FOLD_NOTHING         INT64_MIN /* from apply: a restore never needs this record */
#define FOLD_SNAPSHOT_MAX    3072
#define FOLD_START_TIMES_MAX 1024

/* What a fold shows of its state, for metrics. */
struct fold_measures {
	int64_t clock_us;     /* the partition's clock; INT64_MIN: none */
	int64_t watermark_us; /* INT64_MIN: none */
	size_t entries;       /* ids, or sessions and groups of windows, and visits */
	size_t bytes;         /* of the tables, without the texts and lists that entries own */
};

struct fold_ops {
	const char *name;
	void *(*new)(const void *config, int32_t partition);
	void (*free)(void *fold);
	/* Folds one record: changes the state, adds to counts, adds outputs to out. out is NULL
	 * during a restore, as the outputs were committed before. Returns the newest time of this
	 * record (event time or window end) that a later restore needs, or FOLD_NOTHING. */
	int64_t (*apply)(void *fold, const struct input_record *record, struct counts *counts,
	                 struct outbox *out);
	/* Adds the values that changed since the last flush: absolute, one per key. */
	void (*flush)(void *fold, struct outbox *out);
	/* A restore has ended, or a start without state begins: discards the record of changes. */
	void (*restored)(void *fold);
	/* A restore does not need records whose newest time is below this time. */
	int64_t (*horizon)(const void *fold);
	/* The part of the state that a restore cannot compute from the replayed records: clocks and
	 * watermarks, as text. snapshot returns the length. */
	size_t (*snapshot)(const void *fold, char out[FOLD_SNAPSHOT_MAX]);
	bool (*restore_snapshot)(void *fold, struct span snapshot, struct err *err);
	/* The start time of each rollup, as text. It outlives a change of ROLLUPS. May be NULL. */
	size_t (*start_times)(const void *fold, char out[FOLD_START_TIMES_MAX]);
	bool (*restore_start_times)(void *fold, struct span start_times, struct err *err);
	/* The partition has become idle: it has been at its log end for IDLE_TIMEOUT, and no record
	 * for it is on its way. May be NULL. */
	void (*idle)(void *fold, struct outbox *out);
	/* The partition is no longer idle, although no record has come. NULL if idle is NULL. */
	void (*active)(void *fold, struct outbox *out);
	/* Reads all tables, not all entries: for a call every few seconds. */
	void (*measure)(const void *fold, struct fold_measures *out);
	/* Canonical text of the state, for tests that compare two states. */
	void (*dump)(const void *fold, struct buffer *out);
};

#endif
