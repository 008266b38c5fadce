/* What the parts of the task loop share: the loop itself, its tasks, and one function per part.
 * Nothing outside common/task_loop/task_loop*.c includes this. */
#ifndef FUNNEL_TASK_LOOP_INTERNAL_H
#define FUNNEL_TASK_LOOP_INTERNAL_H

#include "base/err.h"
#include "kafka/intake.h"
#include "kafka/kafka.h"
#include "kafka/txn_doubt.h"
#include "registry/frame_opener.h"
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
	bool withheld; /* logged: the partition stands at its end and is not idle */
	struct metric *idle_metric; /* NULL if ops has no idle */
	int64_t restore_from; /* of the last commit made here; 0: none */
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
	struct output_terms *terms;
	struct registry *registry;

	struct intake *intake;
	rd_kafka_t *producer;
	rd_kafka_topic_t *output_topics[TOPIC_COUNT];
	bool producer_is_ready; /* its transactions are initialised */
	struct txn_doubt *doubt; /* of the producer; NULL without one */

	const struct task_loop_input *inputs;
	struct frame_opener *counts_opener; /* NULL before it is needed */
	struct schema_alarm schema_alarm;

	struct assigned_task *tasks; /* one for each partition of the intake, once they are started */
	size_t task_count;
	/* Given up with everything committed: used again if they come back unchanged. */
	struct assigned_task *parked;
	size_t parked_count;
	bool start_checked[TASK_LOOP_INPUTS_MAX]; /* in this assignment: nothing was committed, nor was any output */
	bool waiting;  /* partitions have come, and their tasks are not started yet */
	bool assigned; /* there has been an assignment */

	struct outbox outbox;
	enum transaction_phase phase;
	bool committing;             /* a commit has begun: nothing may be folded until it is through */
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

/* task_loop_assignment.c */
/* Carries out what the intake has announced, between batches. ERR_RETRY: call again. */
MUST_USE bool assignment_carry_out(struct task_loop *loop, bool stopping, struct err *err);
void assignment_drop_all(struct task_loop *loop);
void assignment_report_health(const struct task_loop *loop);

/* task_loop_idle.c */
void idle_task_init(struct assigned_task *assigned);
/* A record of the task was folded. */
void idle_task_moved(struct assigned_task *assigned);
/* The task's partition is no longer read here. */
void idle_task_stop(struct assigned_task *assigned);
/* Called in every step in which the outbox takes outputs: looks which partitions are held back, and
 * lets the folds announce partitions that became idle or active. */
void idle_watch(struct task_loop *loop);
void idle_close(struct task_loop *loop);

/* task_loop_history.c: what topics hold, read by clients outside the group. All return ERR_RETRY while
 * the brokers or the registry do not answer. */
/* Whether a topic holds a committed record. Offsets do not show it: an aborted transaction takes
 * some too. */
MUST_USE bool log_holds_records(struct task_loop *loop, const char *topic, int32_t partition_count, bool *holds, struct err *err);
/* For each partition of the list, the offset of the last row that this service has counted,
 * according to the counts topic; -1: none. ERR_REFUSE if counts of ours cannot be read, since this
 * check depends on them. */
MUST_USE bool log_last_counted(struct task_loop *loop, const rd_kafka_topic_partition_list_t *partitions, int64_t *last, struct err *err);
/* Checks by the counts topic that the registry is the one that the topics were written with.
 * ERR_REFUSE: it is not. */
MUST_USE bool log_schemas_known(struct task_loop *loop, struct err *err);
/* Offsets and metadata of the list as the group has committed them, by the log that the coordinator itself is loaded from, whatever
 * that has in memory. Waits for transactions that are open. */
MUST_USE bool log_committed(struct task_loop *loop, rd_kafka_topic_partition_list_t *list, struct err *err);

/* task_loop_producer.c */
MUST_USE bool producer_open(struct task_loop *loop, struct err *err);
/* Fences whoever had our transactional id before, and ends what they or we left open. ERR_RETRY: call again. */
MUST_USE bool producer_ready(struct task_loop *loop, struct err *err);
/* Called after a commit, before the producer is used again: replaces a producer that is in doubt
 * (txn_doubt.h). ERR_RETRY: the commit stands, and the next transaction waits for the new
 * producer. */
MUST_USE bool producer_settle(struct task_loop *loop, struct err *err);
/* Ends the client and with it the open transaction; the next producer_ready makes a new one. ERR_FENCED if the client does
 * not end; the outputs are lost then. */
MUST_USE bool producer_close(struct task_loop *loop, struct err *err);

/* task_loop_transaction.c */
/* Hands outputs that are not yet sent to the producer, beginning a transaction if need be. ERR_RETRY as below. */
MUST_USE bool transaction_send(struct task_loop *loop, struct err *err);
/* Commits outputs and offsets. ERR_RETRY with loop->committing: call again later, and fold nothing
 * in between; this includes a lost transaction, whose outputs wait in the outbox and are sent
 * again. ERR_RETRY without loop->committing: either no commit has begun, since the broker has not
 * answered (intake_recognises), or the commit succeeded, and the new producer is not ready
 * (producer_settle). Folding may go on in both cases. */
MUST_USE bool transaction_commit(struct task_loop *loop, struct err *err);
/* Ends the open transaction, if there is one, and forgets the outputs. */
MUST_USE bool transaction_drop(struct task_loop *loop, struct err *err);

/* task_loop_trim.c */
/* Called after commits; does something about once a minute. */
void trim_inputs(struct task_loop *loop);

#endif
