/* One input partition's task: position, fold, and the restore metadata that rides with every commit.
 *
 * State is a pure function of the input, so a rebuild reads the input again: from restore_from,
 * which the committed offset carries in its metadata, up to the committed offset, with output
 * thrown away. Pure; the Kafka side is runtime/task_loop.h. */
#ifndef FUNNEL_TASK_H
#define FUNNEL_TASK_H

#include "base/err.h"
#include "base/span.h"
#include "stream/fold.h"
#include "stream/outbox.h"
#include "stream/record.h"
#include "stream/record_mark.h"
#include "wire/records_counts.h"

#define TASK_BLOCK_RECORDS   4096
#define TASK_METADATA_MAX    3840 /* the broker's default limit is 4,096 */
#define TASK_FINGERPRINT_MAX 256

struct task_params {
	const struct fold_ops *ops;
	const void *fold_config;
	int32_t partition, partition_count; /* of the input topic */
	const char *
		fingerprint; /* the settings that give the state its meaning, as text without spaces */
	int32_t block_records; /* size of a block of the restore index */
};

struct task {
	struct task_params terms;
	void *fold;
	int64_t committed;  /* next offset whose effects are not committed */
	int64_t position;   /* next offset to fold */
	int64_t restore_to; /* fold quietly below this offset */
	bool restoring;
	bool counts_changed; /* since the last flush */
	struct counts counts;
	struct counts committed_counts; /* what a running restore will end with */
	int64_t unreadable_before; /* while restoring: refused for their schema before its start */
	int64_t last_row;          /* offset of the last record counted */
	int64_t stale_count;       /* records below position that were discarded */
	struct record_mark last;   /* newest record folded; in a rebuild the metadata's */
	struct task_block *blocks;
	size_t block_count, block_capacity;
};

/* Starts from nothing at an offset. */
void task_start(struct task *task, const struct task_params *terms, int64_t offset);
/* Prepares a rebuild; position is then where to read from. ERR_OPERATOR where the metadata cannot be
 * read or does not fit partition count or fingerprint; the message says which and the way on. */
MUST_USE bool task_resume(struct task *task, const struct task_params *terms, int64_t committed,
                          struct span metadata, struct err *err);
void task_free(struct task *task);

/* Folds one record, or discards it where it is below position. out gets nothing while restoring. */
void task_apply(struct task *task, const struct input_record *record, struct outbox *out);
/* While restoring: more records were refused for their schema (an id unknown or of another record,
 * bytes that do not decode) than when the same offsets were first folded. So the registry has lost
 * its data: a record that was read then cannot be read now, and the state would lack it. Records
 * that were dead letters then do not count. Call after each record. */
bool task_lost_records(const struct task *task);
/* The partition's end was seen at an offset: takes transaction markers over, ends a rebuild that has reached its aim. */
void task_at_end(struct task *task, int64_t end_offset);

/* Before a commit: emits what changed. */
void task_flush(struct task *task, struct outbox *out);
/* Text for the committed offset `position`. ERR_FATAL if it would not fit. */
MUST_USE bool task_metadata(struct task *task, char out[TASK_METADATA_MAX], struct err *err);
/* The commit of `position` has succeeded. */
void task_committed(struct task *task);

/* What the metadata of a committed offset says, for tools that look from outside: the settings that gave the state its meaning, and the
 * fold's header at restore_from. False where it cannot be read. */
MUST_USE bool task_metadata_look(struct span metadata, char fingerprint[TASK_FINGERPRINT_MAX],
                                 char header[FOLD_SNAPSHOT_MAX]);

/* Where a rebuild would begin now. */
int64_t task_restore_from(const struct task *task);

#endif
