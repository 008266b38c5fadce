/* The state of the task loop, shared by the files of this room. */
#ifndef FUNNEL_TASK_LOOP_STATE_H
#define FUNNEL_TASK_LOOP_STATE_H

#include "kafka/intake.h"
#include "kafka/kafka_conf.h"
#include "kafka/txn_doubt.h"
#include "registry/frame_decoder.h"
#include "registry/registry.h"
#include "service/metrics.h"
#include "stream/outbox.h"
#include "stream/outputs.h"
#include "stream/task.h"
#include "task_loop/task_loop.h"
#include "wire/schema_loss.h"
#include "wire/topics.h"

/* The last announcement of the fold about a partition that stands at its end. */
enum announced {
	ANNOUNCED_NOTHING, /* since the assignment, or since a record that came after ANNOUNCED_IDLE */
	ANNOUNCED_ACTIVE,
	ANNOUNCED_IDLE,
};

/* The task of one assigned partition. */
struct assigned_task {
	struct assigned_partition *partition; /* of the intake; NULL while the task is parked */
	const struct task_loop_input *input;
	const char *topic; /* of the intake */
	struct task task;
	enum announced announced;
	bool withheld;              /* logged: the partition stands at its end and is not idle */
	struct metric *idle_metric; /* NULL if ops has no idle */
	int64_t restore_from;       /* of the last commit made here; 0: none */
	int64_t trimmed_to;
	bool moved; /* a record was folded since the last commit */
	bool commit_again; /* the coordinator has told another offset than the log: it is to hear this one, moved or not */
	struct metric *records_metric;
};

enum transaction_phase {
	TRANSACTION_NONE,         /* nothing begun */
	TRANSACTION_OPEN,         /* begun; outputs may have been handed over */
	TRANSACTION_OFFSETS_SENT, /* only the commit itself is missing */
};

struct task_loop {
	const char *service_name, *instance;
	unsigned writes; /* bit set of 1 << enum topic_id */
	struct task_loop_config config;
	struct kafka_config kafka;
	struct output_context *terms;
	struct registry *registry;

	struct intake *intake;
	rd_kafka_t *producer;
	rd_kafka_topic_t *output_topics[TOPIC_COUNT];
	bool producer_is_ready;  /* its transactions are initialised */
	struct txn_doubt *doubt; /* of the producer; NULL without one */

	const struct task_loop_input *inputs;
	struct frame_decoder *counts_opener; /* NULL before it is needed */
	struct schema_alarm schema_alarm;

	struct assigned_task
		*tasks; /* one for each partition of the intake, once they are started */
	size_t task_count;
	/* Given up with everything committed: used again if they come back unchanged. */
	struct assigned_task *parked;
	size_t parked_count;
	bool start_checked
		[TASK_LOOP_INPUTS_MAX]; /* in this assignment: nothing was committed, nor was any output */
	bool waiting;  /* partitions have come, and their tasks are not started yet */
	bool assigned; /* there has been an assignment */

	struct outbox outbox;
	enum transaction_phase phase;
	bool committing; /* a commit has begun: nothing may be folded until it is through */
	int64_t first_uncommitted_us; /* monotonic; 0: no record since the last commit */
	int64_t last_commit_us;
	int64_t commit_started_us;
	int failures_in_row; /* ERR_RETRY, since something succeeded */

	rd_kafka_queue_t *trim_answers;
	int64_t next_trim_us;

	rd_kafka_t *observer; /* asks the brokers about idleness; NULL: not needed yet */
	int64_t next_watch_us, next_question_us, next_unanswered_log_us;

	struct metric *commits_metric, *aborts_metric, *doubts_metric;
	struct histogram *commit_histogram;
};

#define FAILURES_ARE_TROUBLE 3 /* in a row */

#endif
