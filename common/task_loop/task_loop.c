/* The loop: poll, fold, and commit when the input is drained, at the latest every COMMIT_INTERVAL,
 * or when a bound is reached. Short queues give low latency, long queues give big batches.
 *
 * "Drained" means that a poll of a millisecond brought nothing. Transaction markers of the input's own
 * producers take offsets too; positions that moved only over those are committed after a while of
 * quiet, so that lag reads 0 and idle partitions cost nothing. */
#include "task_loop/task_loop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/span.h"
#include "event/reason.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_error.h"
#include "kafka/kafka_record.h"
#include "kafka/kafka_topic.h"
#include "kafka/same_log.h"
#include "registry/frame_opener.h"
#include "service/fault.h"
#include "service/health.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/monotime.h"
#include "service/stop.h"
#include "stream/log_watch.h"
#include "stream/outbox.h"
#include "stream/partition_end.h"
#include "stream/record.h"
#include "stream/task.h"
#include "task_loop/task_loop_internal.h"
#include "wire/schema_loss.h"

#define OPEN_TIMEOUT_MS 10000
#define REGISTRY_TIMEOUT_MS 5000
#define IDLE_POLL_MS 50
#define DRAIN_POLL_MS 1
#define MARKER_COMMIT_US 300000
#define SEND_EVERY_OUTPUTS 1000
#define HEADERS_MAX 64
#define RETRY_PAUSE_US 100000
#define RETRY_DOUBLINGS 4
/* More than what a step takes, but for an assignment while a broker answers none of its calls: who is thrown out then asks again. Also
 * how long the group waits for members that do not answer: after a crash of the broker it was seen (Kafka 4.2.1) to wait so long for
 * members of before, which it had forgotten to time out. */
#define POLL_INTERVAL_MS "60000"
#define EXPLAIN_TIMEOUT_MS 1000
#define CLOSE_ABORT_TIMEOUT_MS 1000

/* ---- opening */

static bool open_consumer(struct task_loop *loop, struct err *err)
{
	char group[256], client[256];
	const char *const extra[] = {"group.id", group, "max.poll.interval.ms", POLL_INTERVAL_MS, NULL};
	rd_kafka_conf_t *conf;

	snprintf(group, sizeof(group), "%s%s", loop->kafka.topic_prefix, loop->service_name);
	snprintf(client, sizeof(client), "%s-%s", loop->service_name, loop->instance);
	conf = kafka_conf_new(&loop->kafka, KAFKA_CONSUMER, client, extra, err);
	if (!conf)
		return false;
	rd_kafka_conf_set_rebalance_cb(conf, assignment_rebalance_cb);
	rd_kafka_conf_set_opaque(conf, loop);
	loop->consumer = kafka_client_new(conf, KAFKA_CONSUMER, err);
	if (!loop->consumer)
		return false;
	loop->queue = rd_kafka_queue_get_consumer(loop->consumer);
	return true;
}

static bool register_schemas(struct task_loop *loop, struct err *err)
{
	static const struct {
		enum topic_id output;
		enum schema_id_slot slot;
	} written[] = {
		{TOPIC_BRONZE_EVENTS, SCHEMA_BRONZE}, {TOPIC_LATE_EVENTS, SCHEMA_LATE},       {TOPIC_COUNTS, SCHEMA_COUNTS},
		{TOPIC_SESSION_FUNNELS, SCHEMA_VISIT},  {TOPIC_FUNNEL_PARTIALS, SCHEMA_PARTIAL}, {TOPIC_AGGREGATED_EVENTS, SCHEMA_AGGREGATE},
	};

	for (size_t i = 0; i < sizeof(written) / sizeof(written[0]); i++) {
		enum schema_id_slot slot = written[i].slot;

		if (loop->writes & (1u << written[i].output) &&
		    !registry_register(loop->registry, loop->kafka.topic_prefix, slot, &loop->terms->schema_id[slot], err))
			return false;
	}
	return true;
}

/* At start nothing is at stake yet, so what is not ready is waited for. */
static bool wait_for(bool (*try)(struct task_loop *, struct err *), struct task_loop *loop, struct err *err)
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

static bool learn_outputs(struct task_loop *loop, struct err *err)
{
	for (enum topic_id output = 0; output < TOPIC_COUNT; output++)
		if (loop->writes & (1u << output) &&
		    !task_loop_partition_count(loop, topic_of(output)->suffix, &loop->terms->partition_count[output], err))
			return false;
	return true;
}

bool task_loop_open(struct task_loop **result, const struct service_config *service, const struct kafka_config *kafka,
                    const struct task_loop_config *config, const char *service_name, unsigned writes, struct output_terms *terms,
                    struct err *err)
{
	struct task_loop *loop = xrealloc(NULL, sizeof(*loop));

	*result = loop;
	*loop = (struct task_loop){.service_name = service_name,
	                           .instance = service->instance_id,
	                           .writes = writes,
	                           .config = *config,
	                           .kafka = *kafka,
	                           .terms = terms};
	loop->messages = xrealloc(NULL, BATCH_MESSAGES * sizeof(*loop->messages));
	loop->commits_metric = metric_get(METRIC_COUNTER, "commits_total", "", "Kafka transactions committed");
	loop->aborts_metric = metric_get(METRIC_COUNTER, "aborts_total", "", "Kafka transactions aborted");
	loop->doubts_metric = metric_get(METRIC_COUNTER, "doubtful_transactions_total", "",
	                                 "Transactions committed although a request had no answer; the "
	                                 "Kafka producer was replaced after each");
	loop->stale_metric = metric_get(METRIC_COUNTER, "stale_records_total", "", "Records below the position that were discarded");
	loop->commit_histogram = histogram_get("commit_seconds", "", "Duration of a commit, from flush to acknowledgement");
	terms->service = service_name;
	loop->registry = registry_new(config->registry_urls, REGISTRY_TIMEOUT_MS, err);
	/* Nothing is registered with a registry that has lost its data: our schemas would take ids that
	 * mean something else in the topics. */
	return loop->registry && open_consumer(loop, err) && wait_for(learn_outputs, loop, err) &&
	       wait_for(log_schemas_known, loop, err) && wait_for(register_schemas, loop, err) &&
	       wait_for(producer_ready, loop, err);
}

bool task_loop_partition_count(struct task_loop *loop, const char *topic_suffix, int32_t *count, struct err *err)
{
	char topic[TOPIC_NAME_MAX + 1];

	snprintf(topic, sizeof(topic), "%s%s", loop->kafka.topic_prefix, topic_suffix);
	return kafka_partition_count(loop->consumer, topic, OPEN_TIMEOUT_MS, count, err);
}

/* The topics of a set have one number of partitions, and keep it: a key's newest value is always in the same one. */
static bool outputs_fit(const struct task_loop *loop, struct err *err)
{
	for (enum topic_id output = 0; output < TOPIC_COUNT; output++) {
		int32_t want = topic_partitions(output, loop->input_partitions[0]);

		if (loop->output_topics[output] && loop->terms->partition_count[output] != want)
			return err_set(err, ERR_REFUSE,
			               "%s has %" PRId32 " partitions and should have %" PRId32 ", as %s has %" PRId32
			               ": the number never changes, since keys would move; the way on is to process into a fresh set (another TOPIC_PREFIX)",
			               rd_kafka_topic_name(loop->output_topics[output]), loop->terms->partition_count[output], want, loop->input_topics[0],
			               loop->input_partitions[0]);
	}
	return true;
}

bool task_loop_start(struct task_loop *loop, const struct task_loop_input *inputs, size_t input_count, struct err *err)
{
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new((int)input_count);
	rd_kafka_resp_err_t code;

	loop->inputs = inputs;
	loop->input_count = input_count;
	for (size_t i = 0; i < input_count; i++) {
		snprintf(loop->input_topics[i], sizeof(loop->input_topics[i]), "%s%s", loop->kafka.topic_prefix, inputs[i].topic_suffix);
		if (!task_loop_partition_count(loop, inputs[i].topic_suffix, &loop->input_partitions[i], err)) {
			rd_kafka_topic_partition_list_destroy(topics);
			return false;
		}
		loop->openers[i] = frame_opener_new(loop->registry, loop->kafka.topic_prefix, inputs[i].slot);
		rd_kafka_topic_partition_list_add(topics, loop->input_topics[i], RD_KAFKA_PARTITION_UA);
	}
	if (!outputs_fit(loop, err)) {
		rd_kafka_topic_partition_list_destroy(topics);
		return false;
	}
	assignment_report_health(loop); /* not ready before the first assignment */
	code = rd_kafka_subscribe(loop->consumer, topics);
	rd_kafka_topic_partition_list_destroy(topics);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR || err_set(err, ERR_FATAL, "subscribe: %s", rd_kafka_err2str(code));
}

/* ---- folding */

static size_t read_headers(const rd_kafka_message_t *message, struct header *headers)
{
	rd_kafka_headers_t *list;
	const char *name;
	const void *value;
	size_t size, count = 0;

	if (rd_kafka_message_headers(message, &list) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return 0;
	while (count < HEADERS_MAX && rd_kafka_header_get_all(list, count, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR)
		headers[count++] = (struct header){span_of(name), {value, size}};
	return count;
}

/* Takes the framing off. False with ERR_RETRY only where the registry cannot be asked. */
static bool open_frame(struct task_loop *loop, const struct slot *slot, struct input_record *record, char *detail, size_t cap,
                       struct err *err)
{
	unsigned char first = record->value.at && record->value.len ? (unsigned char)record->value.at[0] : ' ';

	record->body = record->value;
	if (!record->value.at)
		return true;
	if (slot->input->slot == SCHEMA_RAW) {
		if (first >= ' ' || first == '\t' || first == '\n' || first == '\r')
			return true; /* plain JSON, or not even that: the parser says */
		if (first != 0) {
			record->refused = REASON_UNKNOWN_MAGIC_BYTE;
			snprintf(detail, cap, "first byte 0x%02x", first);
			return true;
		}
	}
	return frame_opener_open(loop->openers[slot->input - loop->inputs], record->value, &record->body, &record->refused, detail, cap, err);
}

/* Called after a record was folded. A rebuild must not lack a record that was read before. A new
 * record of our own topics that is refused for its schema is a dead letter, and the service is not
 * ready. Raw records come from other writers, so an unknown schema is their mistake. */
static bool judge_schema(struct task_loop *loop, const struct slot *slot,
                         const struct input_record *record, struct err *err)
{
	struct schema_place place =
		schema_place_of(slot->topic, record->partition, record->offset, record->value);

	if (task_lost_records(&slot->task))
		return schema_loss_refuse(
			err, &place, record->refused != REASON_NONE ? record->refused : REASON_MALFORMED_AVRO);
	if (!slot->task.restoring && slot->input->slot != SCHEMA_RAW &&
	    schema_loss_shows(record->refused) &&
	    schema_alarm_raise(&loop->schema_alarm, monotonic_us(), &place, record->refused))
		log_error("schema_refused", log_str("error", loop->schema_alarm.reason));
	return true;
}

static bool fold_message(struct task_loop *loop, struct slot *slot, const rd_kafka_message_t *message, struct err *err)
{
	struct header headers[HEADERS_MAX];
	char detail[256] = "";
	int64_t stale_before = slot->task.stale_count;
	struct input_record record = {
		.topic = span_of(slot->topic),
		.offset = message->offset,
		.timestamp_ms = kafka_time_ms(message),
		.partition = message->partition,
		.key = {message->key, message->key_len},
		.value = {message->payload, message->len},
		.detail = detail,
		.headers = headers,
	};

	if (slot->input->read_headers || !message->payload)
		record.header_count = read_headers(message, headers);
	if (!open_frame(loop, slot, &record, detail, sizeof(detail), err))
		return false;
	if (slot->task.restoring)
		FAULT_POINT("in_restore");
	log_watch_seen(&slot->log, &slot->task.last, loop->polled_us);
	task_apply(&slot->task, &record, &loop->outbox);
	if (slot->task.stale_count != stale_before) {
		metric_add(loop->stale_metric, 1);
		return true;
	}
	if ((record.refused != REASON_NONE || slot->task.restoring) &&
	    !judge_schema(loop, slot, &record, err))
		return false;
	slot->moved |= !slot->task.restoring;
	idle_slot_moved(slot);
	metric_add(slot->records_metric, 1);
	return true;
}

static bool message_error(struct task_loop *loop, const rd_kafka_message_t *message, struct err *err)
{
	char text[512];

	if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
		struct slot *slot = assignment_slot(loop, rd_kafka_topic_name(message->rkt), message->partition);

		if (!slot)
			return true;
		log_watch_seen(&slot->log, &slot->task.last, loop->polled_us);
		task_at_end(&slot->task, message->offset);
		partition_end_reached(&slot->watch.end, message->offset);
		return true;
	}
	if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) {
		const struct slot *slot =
			message->rkt
				? assignment_slot(loop, rd_kafka_topic_name(message->rkt), message->partition)
				: NULL;

		return !slot || same_log_out_of_range(loop->consumer, slot->topic, message->partition,
		                                      slot->task.position, err);
	}
	if (kafka_err_missing_right(message->err))
		return err_set(err, ERR_REFUSE, "%s: %s", message->rkt ? rd_kafka_topic_name(message->rkt) : "consumer", rd_kafka_message_errstr(message));
	if (message->err == RD_KAFKA_RESP_ERR__FATAL) {
		rd_kafka_fatal_error(loop->consumer, text, sizeof(text));
		return err_set(err, ERR_FENCED, "consumer: %s", text);
	}
	log_warn("consumer_error", log_str("code", rd_kafka_err2name(message->err)),
	         log_str("error", rd_kafka_message_errstr(message)));
	return true;
}

/* Folds the batch from where it stands. What is left when the registry is away waits for the next step. */
static bool fold_batch(struct task_loop *loop, struct err *err)
{
	struct slot *slot = NULL;
	bool ok = true;

	for (; ok && loop->next_message < loop->message_count; loop->next_message++) {
		rd_kafka_message_t *message = loop->messages[loop->next_message];

		if (message->err) {
			ok = message_error(loop, message, err);
		} else {
			if (!slot || slot->task.terms.partition != message->partition || strcmp(slot->topic, rd_kafka_topic_name(message->rkt)) != 0)
				slot = assignment_slot(loop, rd_kafka_topic_name(message->rkt), message->partition);
			ok = !slot || fold_message(loop, slot, message, err);
		}
		if (!ok)
			break;
		rd_kafka_message_destroy(message);
		if (loop->outbox.count - loop->outbox.sent >= SEND_EVERY_OUTPUTS && !transaction_send(loop, err)) {
			loop->next_message++;
			return false;
		}
	}
	for (size_t i = 0; i < loop->slot_count; i++)
		if (loop->slots[i].moved && !loop->first_uncommitted_us)
			loop->first_uncommitted_us = monotonic_us();
	return ok;
}

/* ---- when to commit */

static bool batch_is_full(const struct task_loop *loop)
{
	int64_t records = 0;

	for (size_t i = 0; i < loop->slot_count; i++)
		if (!loop->slots[i].task.restoring)
			records += loop->slots[i].task.position - loop->slots[i].task.committed;
	return records >= loop->config.batch_records || (int64_t)loop->outbox.bytes >= loop->config.batch_bytes;
}

static bool markers_to_commit(const struct task_loop *loop)
{
	bool due = monotonic_us() - loop->last_commit_us >= MARKER_COMMIT_US;

	for (size_t i = 0; i < loop->slot_count; i++) {
		const struct slot *slot = &loop->slots[i];

		if (!slot->task.restoring && (slot->commit_again || (due && slot->task.position != slot->task.committed)))
			return true;
	}
	return false;
}

static bool commit_is_due(struct task_loop *loop, bool drained, bool stopping)
{
	if (loop->first_uncommitted_us)
		return drained || stopping || batch_is_full(loop) ||
		       monotonic_us() - loop->first_uncommitted_us >= loop->config.commit_interval_us;
	return drained && (loop->outbox.count || markers_to_commit(loop));
}

/* ---- the step */

/* The first message is waited for; what came with it is taken at once. */
static bool poll_batch(struct task_loop *loop)
{
	int timeout_ms = loop->first_uncommitted_us ? DRAIN_POLL_MS : IDLE_POLL_MS;
	ssize_t n = rd_kafka_consume_batch_queue(loop->queue, 0, loop->messages, BATCH_MESSAGES);

	if (n <= 0) {
		n = rd_kafka_consume_batch_queue(loop->queue, timeout_ms, loop->messages, 1);
		if (n > 0) {
			ssize_t more = rd_kafka_consume_batch_queue(loop->queue, 0, loop->messages + n, BATCH_MESSAGES - (size_t)n);

			n += more > 0 ? more : 0;
		}
	}
	loop->message_count = n > 0 ? (size_t)n : 0;
	loop->next_message = 0;
	loop->polled_us = monotonic_us();
	return loop->message_count > 0;
}

void task_loop_forget_messages(struct task_loop *loop)
{
	for (; loop->next_message < loop->message_count; loop->next_message++)
		rd_kafka_message_destroy(loop->messages[loop->next_message]);
}

/* What fails again and again needs somebody's hand (a record too large for its topic, too few replicas): the pause grows, and
 * readiness says why until something has succeeded. */
static enum step after_error(struct task_loop *loop, const struct err *err)
{
	if (err->class != ERR_RETRY)
		return STEP_FAILED;
	/* A second one in a row is a failure like any other. */
	if (kafka_err_is_expired_id(err) && loop->failures_in_row == 0) {
		loop->failures_in_row++;
		log_info("transactional_id_expired", log_uint("outputs", loop->outbox.count),
		         log_str("detail",
		                 "unused for longer than the broker keeps it; a new client "
		                 "sends the batch again"));
		return STEP_MORE;
	}
	log_warn("retrying", log_str("phase", "run"), log_str("error", err->message));
	health_ready(err->message);
	if (loop->producer)
		kafka_tell_partitions(loop->producer, EXPLAIN_TIMEOUT_MS);
	usleep(RETRY_PAUSE_US << (loop->failures_in_row < RETRY_DOUBLINGS ? loop->failures_in_row : RETRY_DOUBLINGS));
	loop->failures_in_row++;
	return STEP_MORE;
}

/* What was folded before a record that cannot be read yet need not wait for it. */
static enum step after_fold_error(struct task_loop *loop, struct err *err)
{
	if (after_error(loop, err) == STEP_FAILED)
		return STEP_FAILED;
	return !loop->first_uncommitted_us || transaction_commit(loop, err) ? STEP_MORE : after_error(loop, err);
}

/* Who is about to end takes nothing over, and need not wait for what that would take. */
static bool carry_out_rebalance(struct task_loop *loop, bool stopping, struct err *err)
{
	return (stopping && loop->rebalance_kind == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) || assignment_carry_out(loop, err);
}

enum step task_loop_step(struct task_loop *loop, bool stopping, struct err *err)
{
	bool polled = false;

	if (loop->producer)
		rd_kafka_poll(loop->producer, 0);
	if (!loop->committing) {
		/* A full batch goes out before anything is added to it, however often it has to be sent. */
		if (stopping) {
			task_loop_forget_messages(loop);
		} else if (!batch_is_full(loop)) {
			if (loop->next_message == loop->message_count)
				polled = poll_batch(loop);
			if (!fold_batch(loop, err))
				return after_fold_error(loop, err);
		}
		if (!transaction_send(loop, err) || !carry_out_rebalance(loop, stopping, err))
			return after_error(loop, err);
		if (!stopping)
			idle_watch(loop);
	}
	if (loop->committing || commit_is_due(loop, !polled, stopping)) {
		if (!transaction_commit(loop, err))
			return after_error(loop, err);
	}
	assignment_report_health(loop);
	return stopping && !loop->committing && !loop->first_uncommitted_us ? STEP_DONE : STEP_MORE;
}

/* No successor should have to wait until the broker gives up a transaction that was left open. */
static void end_producer(struct task_loop *loop)
{
	struct err err;
	rd_kafka_error_t *error = loop->phase == TRANSACTION_NONE ? NULL : rd_kafka_abort_transaction(loop->producer, CLOSE_ABORT_TIMEOUT_MS);

	if (error)
		rd_kafka_error_destroy(error);
	if (!producer_close(loop, &err))
		log_warn("kafka_client_abandoned", log_str("role", "producer"),
		         log_str("error", err.message));
}

void task_loop_close(struct task_loop *loop)
{
	if (!loop)
		return;
	loop->closing = true;
	task_loop_forget_messages(loop);
	free(loop->messages);
	end_producer(loop);
	if (loop->rebalance_partitions) {
		rd_kafka_topic_partition_list_destroy(loop->rebalance_partitions);
		rd_kafka_assign(loop->consumer, NULL);
	}
	if (loop->trim_answers)
		rd_kafka_queue_destroy(loop->trim_answers);
	if (loop->queue)
		rd_kafka_queue_destroy(loop->queue);
	idle_close(loop);
	if (!kafka_consumer_end(loop->consumer))
		return;
	assignment_drop_all(loop);
	for (size_t i = 0; i < TASK_LOOP_INPUTS_MAX; i++)
		frame_opener_free(loop->openers[i]);
	frame_opener_free(loop->counts_opener);
	registry_free(loop->registry);
	outbox_free(&loop->outbox);
	free(loop);
}
