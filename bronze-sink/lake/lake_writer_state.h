/* The state that lake_writer.c (phases, commits) and lake_input.c (Kafka) share. */
#ifndef FUNNEL_LAKE_WRITER_STATE_H
#define FUNNEL_LAKE_WRITER_STATE_H

#include "base/backoff.h"
#include "duck.h"
#include "kafka/intake.h"
#include "lake_catalogue.h"
#include "lake_config.h"
#include "lake_rows.h"
#include "lake_sheet.h"
#include "lake_storage.h"
#include "registry/registry.h"
#include "service/metrics.h"
#include "wire/schema_loss.h"

struct lake_task {
	struct assigned_partition *partition;
	enum topic_id kind;
	struct metric *lag;
	struct lake_position from; /* as the catalogue has it */
	struct record_mark last;   /* the newest record before the partition's position */
	struct lake_stream stream; /* at the partition's position */
	int64_t rows[LAKE_TABLE_COUNT];
	int64_t past_end_since_us; /* 0: the stored offset is not past the log end */
	int lock;                  /* -1: not taken */
};

struct lake_writer {
	const struct lake_config *config;
	enum { LAKE_STARTING, LAKE_RUNNING } phase;
	struct lake_storage *storage;
	struct lake_catalogue *catalogue;
	struct registry *registry;
	struct intake *intake; /* NULL before lake_subscribe */
	struct duck *duck;
	struct lake_sheet sheets[LAKE_TABLE_COUNT]; /* rows of all tasks; the batch is the task */

	struct lake_task *tasks; /* one for each partition of the intake */
	size_t task_count;
	bool watch_reported; /* lake_watch has set the reason that /readyz shows */
	int64_t next_watch_us;
	struct backoff backoff;
	struct schema_alarm schema_alarm;

	int64_t batch_started_us; /* 0: nothing to commit */
	int64_t batch_bytes;

	struct metric *rows[LAKE_TABLE_COUNT], *files, *file_bytes, *commits, *rewinds, *removed;
	struct histogram *seconds;
};

#endif
