/* The loop: poll, fold, and commit when the input is drained, when COMMIT_INTERVAL has passed, or
 * when a batch is full. So a short queue gives low latency, and a long queue gives large batches;
 * catch_up.h and commit_pace.h have the limits.
 *
 * "Drained" means that a poll of 1 ms returned nothing. While catching up, it does not cause a
 * commit: the broker is slow. While commits are slow and many records arrive, transactions collect
 * more of them (commit_pace.h).
 *
 * Transaction markers of the input's producers take offsets too. A position that moved only over
 * markers is committed 300 ms after the last commit, so that lag becomes 0 and idle partitions cost
 * nothing. */
#include "task_loop/task_loop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "event/reason.h"
#include "kafka/intake.h"
#include "kafka/kafka_error.h"
#include "kafka/kafka_topic.h"
#include "registry/frame_decoder.h"
#include "service/fault.h"
#include "service/health.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/monotime.h"
#include "service/stop.h"
#include "stream/catch_up.h"
#include "stream/outbox.h"
#include "stream/record.h"
#include "stream/task.h"
#include "task_loop/task_loop_assignment.h"
#include "task_loop/task_loop_history.h"
#include "task_loop/task_loop_idle.h"
#include "task_loop/task_loop_producer.h"
#include "task_loop/task_loop_report.h"
#include "task_loop/task_loop_state.h"
#include "task_loop/task_loop_transaction.h"
#include "task_loop/task_loop_uncommitted.h"
#include "wire/schema_loss.h"

#define OPEN_TIMEOUT_MS     10000
#define REGISTRY_TIMEOUT_MS 5000
#define IDLE_POLL_MS        50
#define DRAIN_POLL_MS       1
#define POLL_RECORDS        2000
#define MARKER_COMMIT_US    300000
#ifndef SEND_EVERY_OUTPUTS
#define SEND_EVERY_OUTPUTS 1000
#endif
#define RETRY_PAUSE_US  100000
#define RETRY_DOUBLINGS 4
/* Longer than any step, except an assignment during which no broker answers; a member that is
 * expelled then joins again. It is also the rebalance timeout: after a crash of the broker, the
 * coordinator (Kafka 4.2.1) waits this long for members that no longer exist. */
#define POLL_INTERVAL_MS       "60000"
#define EXPLAIN_TIMEOUT_MS     1000
#define CLOSE_ABORT_TIMEOUT_MS 1000

/* ---- opening */

static bool open_intake(struct task_loop *loop, struct err *err)
{
	static const char *const properties[] = {"max.poll.interval.ms", POLL_INTERVAL_MS, NULL};
	char client[256];
	struct intake_config config = {
		.kafka = &loop->kafka,
		.group = loop->service_name,
		.client_id = client,
		.properties = properties,
		.stale = metric_get(METRIC_COUNTER, "stale_records_total", "",
	                            "records before the position that were discarded"),
	};

	snprintf(client, sizeof(client), "%s-%s", loop->service_name, loop->instance);
	loop->intake = intake_new(&config, err);
	return loop->intake != NULL;
}

static bool register_schemas(struct task_loop *loop, struct err *err)
{
	static const struct {
		enum topic_id output;
		enum schema_kind kind;
	} written[] = {
		{TOPIC_BRONZE_EVENTS, SCHEMA_BRONZE},
		{TOPIC_LATE_EVENTS, SCHEMA_LATE},
		{TOPIC_COUNTS, SCHEMA_COUNTS},
		{TOPIC_SESSION_FUNNELS, SCHEMA_VISIT},
		{TOPIC_FUNNEL_PARTIALS, SCHEMA_PARTIAL},
		{TOPIC_AGGREGATED_EVENTS, SCHEMA_AGGREGATE},
		{TOPIC_ABANDONED_CARTS, SCHEMA_CART},
	};

	for (size_t i = 0; i < sizeof(written) / sizeof(written[0]); i++) {
		enum schema_kind kind = written[i].kind;

		if (loop->writes & (1u << written[i].output) &&
		    !registry_register(loop->registry, loop->kafka.topic_prefix, kind,
		                       &loop->context->schema_id[kind], err))
			return false;
	}
	return true;
}

/* Retries for up to 2 minutes while a server is away: at the start there is no state to lose. */
static bool wait_for(bool (*try)(struct task_loop *, struct err *), struct task_loop *loop,
                     struct err *err)
{
	int64_t deadline_us = monotonic_us() + 120 * INT64_C(1000000);

	while (!try(loop, err)) {
		if (err->class != ERR_RETRY || monotonic_us() > deadline_us || service_stopping())
			return false;
		log_warn("retrying", log_str("phase", "open"), log_str("error", err->message));
		health_ready(err->message);
		health_alive();
		usleep(500000);
	}
	return true;
}

static bool query_outputs(struct task_loop *loop, struct err *err)
{
	for (enum topic_id output = 0; output < TOPIC_COUNT; output++)
		if (loop->writes & (1u << output) &&
		    !task_loop_partition_count(loop, topic_of(output)->suffix,
		                               &loop->context->partition_count[output], err))
			return false;
	return true;
}

bool task_loop_open(struct task_loop **result, const struct service_config *service,
                    const struct kafka_config *kafka, const struct task_loop_config *config,
                    const char *service_name, unsigned writes, struct output_context *context,
                    struct err *err)
{
	struct task_loop *loop = xrealloc(NULL, sizeof(*loop));

	*result = loop;
	*loop = (struct task_loop){.service_name = service_name,
	                           .instance = service->instance_id,
	                           .writes = writes,
	                           .config = *config,
	                           .kafka = *kafka,
	                           .context = context};
	loop->commits_metric =
		metric_get(METRIC_COUNTER, "commits_total", "", "Kafka transactions committed");
	loop->aborts_metric =
		metric_get(METRIC_COUNTER, "aborts_total", "", "Kafka transactions aborted");
	loop->doubts_metric =
		metric_get(METRIC_COUNTER, "doubtful_transactions_total", "",
	                   "transactions committed although a request got no answer; the "
	                   "Kafka producer was replaced after each");
	loop->commit_histogram =
		histogram_get("commit_seconds", "",
	                      "duration of a commit, from flush to acknowledgement");
	loop->producers_metric = metric_get(
		METRIC_COUNTER, "kafka_producers_total", "",
		"transactional producers created; each after the first has replaced one");
	report_open(loop);
	context->service = service_name;
	loop->registry = registry_new(&config->registry, REGISTRY_TIMEOUT_MS, err);
	/* Register nothing with a registry that has lost its data: our schemas would get ids that
	 * mean something else in the topics. */
	return loop->registry && open_intake(loop, err) && wait_for(query_outputs, loop, err) &&
	       wait_for(counts_topic_schemas_known, loop, err) &&
	       wait_for(register_schemas, loop, err) && wait_for(txn_producer_ready, loop, err);
}

bool task_loop_partition_count(struct task_loop *loop, const char *topic_suffix, int32_t *count,
                               struct err *err)
{
	char topic[TOPIC_NAME_MAX + 1];

	snprintf(topic, sizeof(topic), "%s%s", loop->kafka.topic_prefix, topic_suffix);
	return kafka_partition_count(intake_client(loop->intake), topic, OPEN_TIMEOUT_MS, count,
	                             err);
}

/* The numbers must fit that of the input. They never change, so all values of a key are in the same
 * partition. */
static bool outputs_fit(const struct task_loop *loop, struct err *err)
{
	const struct intake_topic *input = intake_topic(loop->intake, 0);
	struct set_partitions set = {.all = input->partition_count};

	for (enum topic_id output = 0; output < TOPIC_COUNT; output++)
		if (loop->output_topics[output] &&
		    !topic_partitions_fit(output, rd_kafka_topic_name(loop->output_topics[output]),
		                          loop->context->partition_count[output], input->name, &set,
		                          err))
			return false;
	return true;
}

bool task_loop_start(struct task_loop *loop, const struct task_loop_input *inputs,
                     size_t input_count, struct err *err)
{
	struct intake_topic topics[TASK_LOOP_INPUTS_MAX];

	loop->inputs = inputs;
	for (size_t i = 0; i < input_count; i++)
		topics[i] = (struct intake_topic){.suffix = inputs[i].topic_suffix,
		                                  .kind = inputs[i].kind,
		                                  .framed = true};
	if (!intake_set_topics(loop->intake, loop->registry, topics, input_count, err) ||
	    !outputs_fit(loop, err))
		return false;
	assignment_report_health(loop); /* not ready before the first assignment */
	return intake_subscribe(loop->intake, err);
}

/* ---- folding */

/* Called after a record was folded. ERR_OPERATOR: a restore lacks a record that was read before.
 * A new record of our own topics that is refused for its schema becomes a dead letter, and the
 * service is not ready. Raw records come from other writers, so an unknown schema is their
 * fault. */
static bool check_schema(struct task_loop *loop, const struct assigned_task *assigned,
                         const struct input_record *record, struct err *err)
{
	struct framed_record place =
		framed_record_of(assigned->topic, record->partition, record->offset, record->value);

	if (task_lost_records(&assigned->task))
		return schema_loss_error(err, &place,
		                         record->refused != REASON_NONE ? record->refused
		                                                        : REASON_MALFORMED_AVRO);
	if (!assigned->task.restoring && assigned->input->kind != SCHEMA_RAW &&
	    schema_loss_suspected(record->refused) &&
	    schema_alarm_raise(&loop->schema_alarm, monotonic_us(), &place, record->refused))
		log_error("schema_refused", log_str("error", loop->schema_alarm.message));
	return true;
}

static bool fold_record(struct task_loop *loop, struct assigned_task *assigned,
                        const struct input_record *record, struct err *err)
{
	if (assigned->task.restoring)
		FAULT_POINT("in_restore");
	task_apply(&assigned->task, record, &loop->outbox);
	if ((record->refused != REASON_NONE || assigned->task.restoring) &&
	    !check_schema(loop, assigned, record, err))
		return false;
	assigned->moved |= !assigned->task.restoring;
	idle_task_moved(assigned);
	metric_add(assigned->metrics.records, 1);
	return true;
}

/* Folds the polled records. If the registry is away, the rest waits for the next step. Without
 * tasks the records are dropped: a revocation is not complete yet, and its partitions are read
 * again from their committed offsets. */
static bool fold_batch(struct task_loop *loop, struct err *err)
{
	struct intake_item item;
	bool ok;

	if (!loop->task_count)
		intake_forget(loop->intake);
	while ((ok = intake_peek(loop->intake, &item, err)) && item.kind != INTAKE_NOTHING) {
		struct assigned_task *assigned = &loop->tasks[item.number];

		if (item.kind == INTAKE_END)
			task_at_end(&assigned->task, item.offset);
		else if (!(ok = fold_record(loop, assigned, &item.record, err)))
			break;
		intake_next(loop->intake);
		if (loop->outbox.count - loop->outbox.sent >= SEND_EVERY_OUTPUTS &&
		    !transaction_send(loop, err))
			return false;
	}
	for (size_t i = 0; i < loop->task_count; i++)
		if (loop->tasks[i].moved && !loop->first_uncommitted_us)
			loop->first_uncommitted_us = monotonic_us();
	return ok;
}

/* ---- when to commit */

/* Every partition of this transaction is catching up. So records of a partition near its log end
 * do not wait for those of others. */
static bool is_behind(const struct task_loop *loop)
{
	bool behind = false;

	for (size_t i = 0; i < loop->task_count; i++) {
		const struct assigned_task *assigned = &loop->tasks[i];
		int64_t folded = assigned->task.position - assigned->task.committed;

		if (assigned->task.restoring || folded == 0)
			continue;
		if (!catching_up(folded, intake_readable(assigned->partition)))
			return false;
		behind = true;
	}
	return behind;
}

static bool batch_is_full(const struct task_loop *loop)
{
	return task_loop_uncommitted_records(loop) >= loop->config.batch_records ||
	       (int64_t)loop->outbox.bytes >= loop->config.batch_bytes;
}

static bool markers_to_commit(const struct task_loop *loop)
{
	bool due = monotonic_us() - loop->last_commit_us >= MARKER_COMMIT_US;

	for (size_t i = 0; i < loop->task_count; i++) {
		const struct assigned_task *assigned = &loop->tasks[i];

		if (!assigned->task.restoring &&
		    (assigned->commit_again ||
		     (due && assigned->task.position != assigned->task.committed)))
			return true;
	}
	return false;
}

/* From the first record of the transaction to its commit. */
static int64_t longest_wait_us(const struct task_loop *loop, bool drained, int64_t now_us)
{
	const struct task_loop_config *config = &loop->config;
	int64_t pace_us =
		commit_pace_us(&loop->pace, task_loop_uncommitted_rows(loop),
	                       now_us - loop->commit_started_us, config->transaction_timeout_us);
	bool behind = is_behind(loop);
	int64_t interval_us = commit_interval_us(config->commit_interval_us,
	                                         config->transaction_timeout_us, behind);

	if (drained && !behind)
		return pace_us;
	return pace_us > interval_us ? pace_us : interval_us;
}

static bool commit_is_due(struct task_loop *loop, bool drained, bool stopping)
{
	int64_t now_us = monotonic_us();

	/* A position that markers alone have moved by a full batch is committed too: the step does
	 * not poll until then. */
	if (!loop->first_uncommitted_us)
		return drained &&
		       (loop->outbox.count || batch_is_full(loop) || markers_to_commit(loop));
	return stopping || batch_is_full(loop) ||
	       now_us - loop->first_uncommitted_us >= longest_wait_us(loop, drained, now_us);
}

/* ---- the step */

/* A recurring error needs an operator (a record too large for its topic, too few replicas). So
 * the pause grows, and /readyz shows the error until something succeeds. */
static enum step after_error(struct task_loop *loop, const struct err *err)
{
	if (err->class != ERR_RETRY)
		return STEP_FAILED;
	/* The second in a row is an ordinary failure. */
	if (kafka_err_is_expired_id(err) && loop->failures_in_row == 0) {
		loop->failures_in_row++;
		log_info("transactional_id_expired", log_uint("outputs", loop->outbox.count),
		         log_str("detail",
		                 "the transactional id was unused for longer than the broker "
		                 "keeps it; a new client sends the batch again"));
		return STEP_MORE;
	}
	log_warn("retrying", log_str("phase", "run"), log_str("error", err->message));
	health_ready(err->message);
	if (loop->producer)
		kafka_log_partition_health(loop->producer, EXPLAIN_TIMEOUT_MS);
	usleep(RETRY_PAUSE_US << (loop->failures_in_row < RETRY_DOUBLINGS ? loop->failures_in_row
	                                                                  : RETRY_DOUBLINGS));
	loop->failures_in_row++;
	return STEP_MORE;
}

/* A record cannot be decoded yet. The records folded before it are committed without it. */
static enum step after_fold_error(struct task_loop *loop, struct err *err)
{
	if (after_error(loop, err) == STEP_FAILED)
		return STEP_FAILED;
	loop->fold_failed = true;
	return !loop->first_uncommitted_us || transaction_commit(loop, err)
	               ? STEP_MORE
	               : after_error(loop, err);
}

/* A restore commits nothing, so no commit shows that the registry answers again. */
static void after_fold(struct task_loop *loop)
{
	if (loop->fold_failed)
		loop->failures_in_row = 0;
	loop->fold_failed = false;
}

enum step task_loop_step(struct task_loop *loop, bool stopping, struct err *err)
{
	int wait_ms = loop->first_uncommitted_us ? DRAIN_POLL_MS : IDLE_POLL_MS;
	bool polled = false;

	if (loop->producer)
		rd_kafka_poll(loop->producer, 0);
	if (!loop->committing) {
		/* A full batch is committed before anything is added to it, even after several
		 * retries. */
		if (stopping) {
			intake_forget(loop->intake);
		} else if (!batch_is_full(loop)) {
			polled = intake_poll(loop->intake, wait_ms, POLL_RECORDS) > 0;
			if (!fold_batch(loop, err))
				return after_fold_error(loop, err);
			after_fold(loop);
		} else if (loop->failures_in_row >= NOT_READY_FAILURES &&
		           !assignment_restart(loop, err)) {
			/* The group may have expelled this member. Only a poll shows that. */
			return after_error(loop, err);
		}
		if (!transaction_send_early(loop, err) || !assignment_apply(loop, stopping, err))
			return after_error(loop, err);
		if (!stopping) {
			if (!intake_verify_client(loop->intake, monotonic_us(), err))
				return STEP_FAILED;
			idle_watch(loop);
		}
	}
	if (loop->committing || commit_is_due(loop, !polled, stopping)) {
		if (!transaction_commit(loop, err))
			return after_error(loop, err);
	}
	assignment_report_health(loop);
	report_step(loop);
	return stopping && !loop->committing && !loop->first_uncommitted_us ? STEP_DONE : STEP_MORE;
}

/* Aborts an open transaction. Otherwise the next instance would wait until the broker does. */
static void end_producer(struct task_loop *loop)
{
	struct err err;
	rd_kafka_error_t *error =
		loop->phase == TRANSACTION_NONE
			? NULL
			: rd_kafka_abort_transaction(loop->producer, CLOSE_ABORT_TIMEOUT_MS);

	if (error)
		rd_kafka_error_destroy(error);
	if (!txn_producer_close(loop, &err))
		log_warn("kafka_client_abandoned", log_str("role", "producer"),
		         log_str("error", err.message));
}

void task_loop_close(struct task_loop *loop)
{
	if (!loop)
		return;
	report_close(loop);
	end_producer(loop);
	if (loop->trim_results)
		rd_kafka_queue_destroy(loop->trim_results);
	idle_close(loop);
	intake_close(loop->intake);
	assignment_drop_all(loop);
	frame_decoder_free(loop->counts_decoder);
	registry_free(loop->registry);
	outbox_free(&loop->outbox);
	free(loop);
}
