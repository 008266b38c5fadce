/* The task of one input partition: position, fold, and the restore metadata of every commit.
 *
 * The state is a pure function of the input. So a restore reads the input again: from the offset
 * restore_from, which stands in the metadata of the committed offset, up to the committed offset.
 * It discards the outputs. Pure; task_loop/task_loop.h is the Kafka side. */
#ifndef FUNNEL_TASK_H
#define FUNNEL_TASK_H

#include "base/err.h"
#include "base/span.h"
#include "stream/fold.h"
#include "stream/outbox.h"
#include "stream/record.h"
#include "stream/record_mark.h"
#include "stream/refused_offsets.h"
#include "wire/records_counts.h"

#ifndef TASK_BLOCK_RECORDS
#define TASK_BLOCK_RECORDS 4096
#endif
#define TASK_METADATA_MAX    3840 /* bytes; the broker's default limit is 4,096 */
#define TASK_FINGERPRINT_MAX 256

struct task_params {
	const struct fold_ops *ops;
	const void *fold_config;
	int32_t partition, partition_count; /* of the input topic */
	/* The settings that the meaning of the state depends on, as text without spaces. */
	const char *fingerprint;
	int32_t block_records; /* size of a block of the restore index */
	/* The rules that decide which records are refused, as text: settings, and the version of
	 * the code. NULL: the fold's restores do not depend on rules. */
	const char *rules;
};

struct task {
	struct task_params params;
	void *fold;
	int64_t committed;  /* next offset whose effects are not committed */
	int64_t position;   /* next offset to fold */
	int64_t restore_to; /* a restore ends at this offset */
	bool restoring;
	bool counts_changed; /* since the last commit */
	struct counts counts;
	struct counts committed_counts; /* of the metadata; valid while restoring */
	int64_t unreadable_before; /* while restoring: unreadable records before restore_from */
	int64_t last_counted;      /* offset of the last record counted; -1: none */
	int64_t stale_count;       /* discarded records before position */
	/* The newest record folded that was not followed, at first the first one; while restoring
	 * that of the metadata. */
	struct record_mark last;
	int64_t rules_since; /* today's rules have applied to all records from here on */
	bool rules_changed;  /* the metadata has other rules, or none */
	/* While restoring: dead letters of records before restore_from; -1: not known. */
	int64_t dead_before;
	int64_t refused_seen; /* while restoring: records folded that are in refused */
	struct refused_offsets refused;
	struct task_block *blocks;
	size_t block_count, block_capacity;
};

/* Starts at an offset without state. */
void task_start(struct task *task, const struct task_params *params, int64_t offset);
/* Prepares a restore; the caller reads on at position. ERR_OPERATOR if the metadata cannot be read,
 * or has another partition count or fingerprint. */
MUST_USE bool task_resume(struct task *task, const struct task_params *params, int64_t committed,
                          struct span metadata, struct err *err);
void task_free(struct task *task);

/* True: other rules applied to some records of the restore, so today's rules must not decide
 * which of them were refused. The caller finds the refused ones, and calls task_set_refused before
 * the first record. *expected: their number; -1: not known. */
bool task_wants_refused(const struct task *task, int64_t *expected);
/* refused: the records from position up to the committed offset that were refused. Taken. */
void task_set_refused(struct task *task, struct refused_offsets *refused);

/* Folds one record, or discards it if it is before position. While restoring, out gets nothing. */
void task_apply(struct task *task, const struct input_record *record, struct outbox *out);
/* True while restoring if more records are unreadable than when the same offsets were first folded.
 * Unreadable: the schema id is unknown or belongs to another record, or the bytes do not decode.
 * Then the registry has lost its data: a record that was read before cannot be read now, and the
 * state would lack it. Call after each record. */
bool task_lost_records(const struct task *task);
/* The reader has got an end of partition at an offset. Moves position past transaction markers, and
 * ends a restore that has reached restore_to. */
void task_at_end(struct task *task, int64_t end_offset);

/* Call before a commit: adds the values that changed. */
void task_flush(struct task *task, struct outbox *out);
/* Writes the metadata for the committed offset `position`. ERR_OPERATOR if it does not fit. */
MUST_USE bool task_metadata(struct task *task, char out[TASK_METADATA_MAX], struct err *err);
/* Call after the commit of `position` has succeeded. */
void task_committed(struct task *task);

/* Reads the fingerprint, and the fold's snapshot at restore_from, from the metadata of a committed
 * offset; for tools. False if it cannot be read. */
MUST_USE bool task_metadata_read(struct span metadata, char fingerprint[TASK_FINGERPRINT_MAX],
                                 char snapshot[FOLD_SNAPSHOT_MAX]);

/* The offset at which a restore would begin now. */
int64_t task_restore_from(const struct task *task);

#endif
