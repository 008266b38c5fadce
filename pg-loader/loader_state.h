/* The state that loader.c (phases, commits) and loader_input.c (Kafka) share. */
#ifndef FUNNEL_LOADER_STATE_H
#define FUNNEL_LOADER_STATE_H

#include "base/backoff.h"
#include "kafka/intake.h"
#include "load_batch.h"
#include "load_store.h"
#include "loader.h"
#include "loader_offsets.h"
#include "postgres/postgres_state.h"
#include "registry/registry.h"
#include "service/metrics.h"
#include "stream/record_mark.h"
#include "targets.h"
#include "wire/schema_loss.h"

struct loader_task {
	struct assigned_partition *partition;
	struct metric *records, *lag, *group_lag;
	int64_t batch_records; /* records of the open batch */
	int64_t committed;
	struct record_mark last;   /* the newest record before the partition's position */
	int64_t past_end_since_us; /* 0: the stored offset is not past the log end */
};

/* What was committed in a period. */
struct loader_sums {
	int64_t began_us; /* monotonic */
	int64_t records, duplicates, batches;
	int64_t rows[TARGET_COUNT], rejects[REASON_COUNT];
	int64_t rewinds_before; /* value of the metric when it began */
};

struct wait_idle;
struct reporting;
struct alert_sender;

struct loader {
	const struct loader_config *config;
	enum { LOADER_MIGRATING, LOADER_STARTING, LOADER_RUNNING } phase;
	struct postgres *pg;
	struct load_store *store;
	struct registry *registry;
	struct wait_idle *wait;
	struct reporting *reporting;
	struct alert_sender *alerts_to_topic, *alerts_to_webhook; /* NULL: off, or not yet */
	struct intake *intake;                                    /* NULL before loader_subscribe */

	struct loader_task *tasks; /* one for each partition of the intake */
	size_t task_count;
	bool watch_reported; /* loader_watch has set the reason that /readyz shows */
	int64_t next_watch_us;
	struct backoff backoff;

	struct schema_alarm schema_alarm;

	struct load_batch batch;
	struct stored_offset *moved;          /* room for task_count */
	int64_t batch_started_us;             /* 0: nothing to commit */
	int64_t commit_took_us, committed_us; /* of the last commit: its time, its end */
	int64_t batch_rows; /* limit; below BATCH_ROWS after a batch that timed out */

	struct metric *rows[TARGET_COUNT], *controls, *duplicates, *staged, *batches;
	struct metric *reconnects, *rewinds, *up, *event_time;
	struct histogram *seconds, *batch_rows_seen, *latency;
	struct loader_sums minute, run;
	int64_t newest_event_us; /* of all committed events */
};

#endif
