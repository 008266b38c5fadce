/* The state of the task loop, shared by the files of this room. */
#ifndef FUNNEL_TASK_LOOP_STATE_H
#define FUNNEL_TASK_LOOP_STATE_H

#include "kafka/intake.h"
#include "kafka/kafka_conf.h"
#include "kafka/txn_doubt.h"
#include "registry/frame_decoder.h"
#include "registry/registry.h"
#include "service/metrics.h"
#include "stream/commit_pace.h"
#include "stream/outbox.h"
#include "stream/outputs.h"
#include "stream/task.h"
#include "task_loop/task_loop.h"
#include "wire/schema_loss.h"
#include "wire/topics.h"

/* The last announcement of a fold about its partition. */
enum announced {
	ANNOUNCED_NOTHING, /* none since the assignment, or a record came after ANNOUNCED_IDLE */
	ANNOUNCED_ACTIVE,
	ANNOUNCED_IDLE,
};

/* The series of one partition; those of rows only if the input has rows. */
struct task_metrics {
	char labels[TOPIC_NAME_MAX + 64];
	struct metric *records, *in, *out, *duplicates, *late, *dead;
	struct metric *restore, *entries, *bytes, *clock, *watermark, *event_time_lag, *lag;
};

/* The task of one assigned partition. */
struct assigned_task {
	struct assigned_partition *partition; /* of the intake; NULL while the task is parked */
	const struct task_loop_input *input;  /* what the topic is */
	const char *topic;                    /* full name, owned by the intake */
	struct task task;                     /* position, fold and restore metadata */
	enum announced announced;
	/* Logged since the last record: the partition is at its log end, but not idle. */
	bool idle_suppressed;
	struct metric *idle_metric; /* 1: idle; NULL if ops has no idle */
	int64_t restore_from;       /* restore offset of the last commit made here; 0: none */
	int64_t trimmed_to;         /* records before this offset are deleted; 0: none */
	bool moved;                 /* a record was folded since the last commit */
	/* Commit the offset even if no record was folded: the coordinator's offset was wrong, and
	 * ours is from the log; or the partition has an announcement. */
	bool commit_again;
	struct task_metrics metrics;
	struct counts reported; /* the counts that the metrics have */
};

/* What was committed in a period. */
struct report_sums {
	int64_t began_us; /* monotonic */
	int64_t records;
	struct counts counts;
	int64_t commits_before, aborts_before; /* values of the metrics when it began */
};

struct task_loop_report {
	struct report_sums minute, run;
	int64_t next_gauges_us; /* monotonic */
	int64_t batch;          /* input records of the commit that has begun */
	struct histogram *batch_seconds, *batch_records;
};

enum transaction_phase {
	TRANSACTION_NONE,         /* not begun */
	TRANSACTION_OPEN,         /* begun; the producer may have outputs */
	TRANSACTION_OFFSETS_SENT, /* the offsets are sent, perhaps before the outputs */
	TRANSACTION_ENDING,       /* all is sent, and the commit was called */
};

struct task_loop {
	/* Both are parts of the transactional id; service_name is also that of the group. */
	const char *service_name, *instance;
	unsigned writes;                /* output topics: bit set of 1 << enum topic_id */
	struct task_loop_config config; /* a copy of the settings, as is kafka */
	struct kafka_config kafka;
	struct output_context *context; /* schema ids and numbers of partitions for the folds */
	struct registry *registry;

	struct intake *intake;    /* the consumer */
	rd_kafka_t *producer;     /* NULL: lost or not opened yet */
	struct txn_doubt *doubt;  /* unanswered requests of the producer; NULL without a producer */
	bool producer_is_ready;   /* its transactions are initialised */
	int64_t failing_since_us; /* monotonic; its calls have failed since then; 0: they succeed */
	rd_kafka_topic_t *output_topics[TOPIC_COUNT]; /* of the producer; NULL: not an output */

	const struct task_loop_input *inputs;
	struct frame_decoder *counts_decoder; /* of the counts topic; NULL: not needed yet */
	struct schema_alarm schema_alarm;     /* records were refused for their schema */

	struct assigned_task *tasks; /* one per assigned partition, in the intake's order */
	size_t task_count;           /* 0 until the tasks are started */
	/* Tasks of revoked partitions whose work is committed. If a partition comes back and has
	 * the same committed offset, it continues with its old state. */
	struct assigned_task *parked;
	size_t parked_count;
	/* Per input, in this assignment: our output had no records, and no deleted ones, after the
	 * offsets were read. */
	bool was_empty[TASK_LOOP_INPUTS_MAX];
	/* The coordinator returned no offset, but its log has one: read all from the log. */
	bool offsets_doubted;
	bool start_pending; /* partitions are accepted, but their tasks are not started yet */
	bool assigned;      /* there was a first assignment */

	struct outbox outbox; /* outputs of the open batch */
	enum transaction_phase phase;
	bool committing; /* a commit has begun: fold nothing until it succeeds or is dropped */
	/* Monotonic times. first_uncommitted_us is 0 if no record was folded since the last
	 * commit. */
	int64_t first_uncommitted_us, last_commit_us, commit_started_us;
	struct commit_pace pace;
	int failures_in_row; /* number of ERR_RETRY since the last success */
	bool fold_failed;    /* the last polled records were not all folded */

	rd_kafka_queue_t *trim_results; /* of DeleteRecords requests; NULL: none yet */
	int64_t next_trim_us;           /* monotonic */

	rd_kafka_t *metadata_client; /* asks the brokers about idleness; NULL: not needed yet */
	/* Monotonic times of the next look at held records, of the next idleness check, and of the
	 * next log line if brokers do not answer it. */
	int64_t next_watch_us, next_idle_check_us, next_unanswered_log_us;

	struct task_loop_report report;
	struct metric *commits_metric, *aborts_metric, *doubts_metric, *producers_metric;
	struct histogram *commit_histogram;
};

#define NOT_READY_FAILURES 3 /* in a row: /readyz shows the error until a success */

#endif
