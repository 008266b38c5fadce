/* What loader.c (phases, commits) and loader_input.c (Kafka) share. */
#ifndef FUNNEL_LOADER_STATE_H
#define FUNNEL_LOADER_STATE_H

#include "base/err.h"
#include "kafka/partition_watch.h"
#include "load_batch.h"
#include "load_store.h"
#include "loader.h"
#include "loader_offsets.h"
#include "postgres/postgres_state.h"
#include "registry/frame_opener.h"
#include "registry/registry.h"
#include "service/metrics.h"
#include "stream/log_watch.h"
#include "stream/record_mark.h"
#include "targets.h"
#include "wire/schema_loss.h"
#include "wire/schemas.h"
#include "wire/topics.h"

#define LOADER_TOPICS 6
#define POLL_MESSAGES 1000

struct loader_topic {
	enum topic_id kind;
	enum schema_id_slot slot;
	bool framed;
	char name[256];
	int32_t partition_count; /* at the start: it never changes */
	struct frame_opener *opener; /* NULL where values are not framed */
	const rd_kafka_topic_t *seen; /* the client's object of it, of the last message */
};

struct loader_task {
	struct loader_topic *topic;
	struct metric *lag;
	struct partition_watch watch;
	int64_t committed, position;
	struct record_mark last;     /* the newest record before position */
	struct log_watch log;        /* whether its log is still the one that was read */
	int64_t beyond_end_since_us; /* 0: the stored offset is not beyond the end */
	int32_t partition;
	bool at_end;
};

struct backoff {
	int64_t next_us;
	int64_t delay_us;
	unsigned seed;
};

struct wait_idle;
struct reporting;

struct loader {
	const struct loader_config *config;
	enum { LOADER_MIGRATING, LOADER_STARTING, LOADER_RUNNING } phase;
	struct postgres *pg;
	struct load_store *store;
	struct registry *registry;
	struct wait_idle *wait;
	struct reporting *reporting;
	rd_kafka_t *consumer;
	rd_kafka_queue_t *queue;
	struct loader_topic topics[LOADER_TOPICS];
	char group[256];

	struct loader_task *tasks;
	size_t task_count;
	bool positioned; /* the tasks' partitions are being read; else the client holds none */
	bool unready;    /* loader_watch has put a reason into /readyz */
	int64_t next_watch_us;
	struct backoff backoff;

	/* Noted by the rebalance callback, carried out between polls. */
	rd_kafka_resp_err_t rebalance_kind;
	rd_kafka_topic_partition_list_t *rebalance; /* NULL: none */
	bool closing;

	struct schema_alarm schema_alarm;

	struct load_batch batch;
	struct loader_offset *moved; /* room for task_count */
	int64_t batch_started_us;    /* 0: nothing to commit */
	int64_t batch_rows;          /* at most; fewer than configured while PostgreSQL cannot take more */
	rd_kafka_message_t *messages[POLL_MESSAGES];
	int64_t polled_us; /* when the last of them came */

	struct metric *rows[TARGET_COUNT], *controls, *stale, *doubles, *batches, *reconnects;
	struct metric *rewinds, *up;
	struct histogram *seconds;
};

/* Exponential from 0.1 s to 5 s, each between half and whole. */
void backoff_reset(struct backoff *backoff);
void backoff_grow(struct backoff *backoff);
bool backoff_is_due(const struct backoff *backoff);

/* ---- loader_input.c */
void loader_topics_init(struct loader *loader);
/* The consumer, and its subscription. ERR_RETRY: call again. ERR_REFUSE: the registry is not the
 * one that the topics were written with. */
MUST_USE bool loader_subscribe(struct loader *loader, struct err *err);
/* Takes in what has arrived, waiting up to wait_ms for the first record. *count: records and ends. ERR_RETRY: a schema could not be
 * asked for, rewind. */
MUST_USE bool loader_poll(struct loader *loader, int wait_ms, size_t *count, struct err *err);
/* Carries out a noted rebalance; the batch must be empty. */
void loader_rebalance(struct loader *loader);
/* Reads the offsets from PostgreSQL, judges them, and starts reading there. */
MUST_USE bool loader_position(struct loader *loader, struct err *err);
/* Stops reading and forgets positions; membership in the group stays. */
void loader_hold(struct loader *loader);
/* Updates each partition's lag, and reports partitions that a transaction holds back. */
void loader_watch(struct loader *loader);
/* Called before each commit: recognises the logs that are in doubt (log_watch.h). ERR_REFUSE: a
 * topic was deleted and created again. ERR_RETRY: the broker has not answered. */
MUST_USE bool loader_recognises(struct loader *loader, struct err *err);
/* Tells the group the committed offsets, for dashboards. */
void loader_mirror(struct loader *loader, size_t moved_count);
void loader_input_close(struct loader *loader);

#endif
