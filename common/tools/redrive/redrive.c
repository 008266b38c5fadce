/* redrive --dry-run | --yes [selection]: sends dead letters to the raw topic again, each once.
 * redrive_rules.h has the rules.
 *
 * The dead-letter topic is read up to the log end at the start, two or three times: for the
 * marker records of earlier runs, for the plan, and, with --yes, to send. So memory holds the
 * places of markers only. Dead letters that arrive during the run (such as records that are
 * refused again) wait for the next run.
 *
 * One producer with one transactional id per set: a second redrive fences the first one, and
 * reads the markers after that. So it knows everything that the first one has sent. The log end
 * is the high watermark, not the last stable offset: otherwise an open transaction of
 * bronze-sink could hide our own markers. Reading is read_committed and waits until such a
 * transaction ends.
 *
 * A request without an answer leaves the producer in doubt (txn_doubt.h). Such a producer is
 * replaced before the next transaction. Another redrive may have run in between, so the markers
 * written since the start are read before the next dead letter is sent.
 *
 * Killed at any moment: the next run or the broker aborts the open transaction. Run the same
 * command again for the rest.
 *
 * The clock of a partition is estimated from the restore metadata of bronze-sink and the last
 * records of its bronze partition. The estimate is never ahead of the real clock.
 *
 * Limits: at most 32 headers of a record come back, because its dead letter has no more. The end
 * of a transaction takes an offset in each raw partition that it wrote to. So if a producer ends
 * its segment at that moment, its batch report may wait for the next row: run redrive between
 * replays. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/memory.h"
#include "base/span.h"
#include "base/timetext.h"
#include "kafka/kafka_error.h"
#include "kafka/kafka_refusal.h"
#include "kafka/kafka_record.h"
#include "kafka/kafka_topic.h"
#include "redrive_plan.h"
#include "redrive_read.h"
#include "redrive_state.h"
#include "service/config.h"
#include "service/event_rules_options.h"
#include "service/fault.h"
#include "service/health.h"
#include "service/log.h"
#include "service/monotime.h"
#include "service/stop.h"
#include "stream/dead_letter.h"
#include "stream/record.h"
#include "wire/schemas.h"

#define REGISTRY_MS 5000
/* most bytes in one transaction, so that it commits before it times out */
#define BATCH_BYTES (16 * 1024 * 1024)

/* ---- settings that are texts with a grammar; each is parsed when it is checked and when it is
 * used */

static bool reasons_check(const char *text, struct err *err)
{
	struct redrive_selection selection;

	return redrive_reasons_parse(text, &selection, err);
}

static bool ranges_check(const char *text, struct err *err)
{
	struct redrive_ranges ranges;

	return redrive_ranges_parse(text, &ranges, err);
}

static bool parse_time(const char *text, int64_t otherwise_us, int64_t *time_us, struct err *err)
{
	*time_us = otherwise_us;
	return !*text || time_parse(span_of(text), time_us) ||
	       err_set(err, ERR_INPUT, "expected a time such as 2026-01-31T12:00:00Z");
}

static bool time_check(const char *text, struct err *err)
{
	int64_t time_us;

	return parse_time(text, 0, &time_us, err);
}

/* ---- settings */

static const struct config_option kafka_options[] = KAFKA_OPTIONS(struct redrive_config, kafka);
static const struct config_option registry_options[] =
	REGISTRY_OPTIONS(struct redrive_config, registry, REGISTRY_URL_DEFAULT, REGISTRY_URL_HELP);
static const struct config_option options[] = {
	{"DRY_RUN", CONFIG_BOOLEAN, offsetof(struct redrive_config, dry_run), "false", 0, 0,
         "print what would be sent, and send nothing", NULL, NULL},
	{"YES", CONFIG_BOOLEAN, offsetof(struct redrive_config, yes), "false", 0, 0,
         "print the same, and send it", NULL, NULL},
	{"REASONS", CONFIG_TEXT, offsetof(struct redrive_config, reasons), "", 0, 0,
         "reason codes, comma-separated; empty: any", NULL, reasons_check},
	{"SINCE", CONFIG_TEXT, offsetof(struct redrive_config, since), "", 0, 0,
         "dead letters written at or after this time, such as 2026-01-31T12:00:00Z; empty: any",
         NULL, time_check},
	{"UNTIL", CONFIG_TEXT, offsetof(struct redrive_config, until), "", 0, 0,
         "dead letters written before this time; empty: any", NULL, time_check},
	{"SOURCE", CONFIG_TEXT, offsetof(struct redrive_config, source), "", 0, 0,
         "places of the refused records: 2 (a partition), 2:17 (one offset), 2:17-90, 2:17-; "
         "comma-separated; empty: any",
         NULL, ranges_check},
	{"LETTERS", CONFIG_TEXT, offsetof(struct redrive_config, dead_letters), "", 0, 0,
         "places of the dead letters themselves, in the same form; empty: any", NULL, ranges_check},
	{"SEND_REFUSED", CONFIG_BOOLEAN, offsetof(struct redrive_config, send_refused), "false", 0,
         0, "also send records that this version would refuse again", NULL, NULL},
	{"BATCH_RECORDS", CONFIG_INTEGER, offsetof(struct redrive_config, batch_records), "1000", 1,
         100000, "largest number of dead letters per transaction", NULL, NULL},
	{"RATE", CONFIG_INTEGER, offsetof(struct redrive_config, rate), "0", 0, 1000000,
         "largest number of dead letters per second; 0: no limit", NULL, NULL},
	{0},
};
static const struct config_option rules_options[] =
	EVENT_RULES_OPTIONS(struct redrive_config, rules);
static const struct config_option *const tables[] = {kafka_options, registry_options, options,
                                                     rules_options, NULL};

/* ---- opening */

static bool parse_selection(const struct redrive_config *config,
                            struct redrive_selection *selection, struct err *err)
{
	if (config->dry_run == config->yes)
		return err_set(
			err, ERR_INPUT,
			"expected either --dry-run, to see what would be sent, or --yes, to send "
			"it");
	return redrive_reasons_parse(config->reasons, selection, err) &&
	       redrive_ranges_parse(config->source, &selection->source, err) &&
	       redrive_ranges_parse(config->dead_letters, &selection->dead_letters, err) &&
	       parse_time(config->since, INT64_MIN, &selection->since_us, err) &&
	       parse_time(config->until, INT64_MAX, &selection->until_us, err);
}

static bool open_producer(struct redrive *redrive, struct err *err)
{
	char id[256];
	const char *const extra[] = {"transactional.id", id, NULL};
	rd_kafka_error_t *error;
	rd_kafka_conf_t *conf;

	snprintf(id, sizeof(id), "%sredrive", redrive->config->kafka.topic_prefix);
	conf = kafka_conf_new(&redrive->config->kafka, KAFKA_PRODUCER_TRANSACTIONAL, "redrive",
	                      extra, err);
	if (!conf)
		return false;
	redrive->doubt = txn_doubt_new();
	redrive->producer = txn_doubt_client_new(redrive->doubt, conf, err);
	if (!redrive->producer)
		return false;
	error = rd_kafka_init_transactions(redrive->producer, 60000);
	return !error || kafka_err_take(err, error, "init transactions");
}

static void close_producer(struct redrive *redrive)
{
	redrive_client_close(redrive->producer);
	txn_doubt_free(redrive->doubt);
	redrive->producer = NULL;
	redrive->doubt = NULL;
}

static bool open_clients(struct redrive *redrive, struct err *err)
{
	char sink[256];
	const char *const extra[] = {"group.id", sink, "isolation.level", "read_uncommitted", NULL};

	snprintf(sink, sizeof(sink), "%sbronze-sink", redrive->config->kafka.topic_prefix);
	redrive->metadata_client = redrive_client(redrive, KAFKA_CONSUMER, extra, err);
	return redrive->metadata_client && !kafka_refused(redrive->metadata_client, err) &&
	       (redrive->config->dry_run || open_producer(redrive, err));
}

static bool name_topics(struct redrive *redrive, struct err *err)
{
	const char *prefix = redrive->config->kafka.topic_prefix;

	if (!topic_name(prefix, TOPIC_RAW_EVENTS, redrive->raw, sizeof(redrive->raw)) ||
	    !topic_name(prefix, TOPIC_BRONZE_EVENTS, redrive->bronze, sizeof(redrive->bronze)) ||
	    !topic_name(prefix, TOPIC_FUNNEL_PARTIALS, redrive->partials,
	                sizeof(redrive->partials)) ||
	    !topic_name(prefix, TOPIC_DEAD_LETTER, redrive->dead, sizeof(redrive->dead)))
		return err_set(err, ERR_INPUT,
		               "TOPIC_PREFIX is too long: topic names have at most %d bytes",
		               TOPIC_NAME_MAX);
	redrive->params.raw_topic = span_of(redrive->raw);
	redrive->params.bronze_topic = span_of(redrive->bronze);
	redrive->params.partials_topic = span_of(redrive->partials);
	return true;
}

static bool redrive_open(void *settings, void **state, struct err *err)
{
	struct redrive *redrive = xrealloc(NULL, sizeof(*redrive));
	struct event_rules rules;

	*redrive = (struct redrive){.config = settings};
	*state = redrive;
	redrive->params.send_refused = redrive->config->send_refused;
	redrive->params.now_us = wallclock_us();
	if (!parse_selection(redrive->config, &redrive->params.selection, err) ||
	    !event_rules_read(&redrive->config->rules, &rules, err) || !name_topics(redrive, err))
		return false;
	redrive->parser = event_parser_new(&rules);
	redrive->registry = registry_new(&redrive->config->registry, REGISTRY_MS, err);
	if (!redrive->registry || !open_clients(redrive, err) ||
	    !kafka_partition_count(redrive->metadata_client, redrive->raw, REDRIVE_CALL_MS,
	                           &redrive->raw_partitions, err) ||
	    !kafka_partition_count(redrive->metadata_client, redrive->dead, REDRIVE_CALL_MS,
	                           &redrive->dead_partitions, err))
		return false;
	redrive->decoder = frame_decoder_new(redrive->registry, redrive->config->kafka.topic_prefix,
	                                     SCHEMA_BRONZE);
	redrive->params.raw_partitions = redrive->raw_partitions;
	return true;
}

/* ---- the plan */

static bool take_marker(void *context, const struct input_record *record, bool *enough,
                        struct err *err)
{
	struct redrive *redrive = context;
	int32_t partition;
	int64_t offset;

	(void)enough;
	(void)err;
	if (redrive_marker_read(record, &partition, &offset))
		redrive_ledger_add(&redrive->ledger, partition, offset);
	return true;
}

static bool take_for_plan(void *context, const struct input_record *record, bool *enough,
                          struct err *err)
{
	struct redrive *redrive = context;
	struct redrive_decision decision;

	(void)enough;
	(void)err;
	redrive_classify(&redrive->params, &redrive->ledger, redrive->parser, record, &decision);
	redrive_plan_add(redrive, &decision, record);
	return true;
}

/* Reads the first offset and the log end of each partition of the dead-letter topic. */
static bool read_offset_ranges(struct redrive *redrive, int64_t *from, int64_t *to, struct err *err)
{
	for (int32_t p = 0; p < redrive->dead_partitions; p++)
		if (!kafka_offset_range(redrive->metadata_client, redrive->dead, p, REDRIVE_CALL_MS,
		                        &from[p], &to[p], err))
			return false;
	return true;
}

static bool make_plan(struct redrive *redrive, struct err *err)
{
	redrive->from = xrealloc(NULL, (size_t)redrive->dead_partitions * 2 * sizeof(int64_t));
	redrive->to = redrive->from + redrive->dead_partitions;
	redrive_plan_begin(&redrive->plan);
	return read_offset_ranges(redrive, redrive->from, redrive->to, err) &&
	       redrive_read(redrive, redrive->dead, redrive->dead_partitions, redrive->from,
	                    redrive->to, take_marker, err) &&
	       redrive_read_clocks(redrive, err) &&
	       redrive_read(redrive, redrive->dead, redrive->dead_partitions, redrive->from,
	                    redrive->to, take_for_plan, err);
}

/* ---- sending */

static bool produce(struct redrive *redrive, const struct output *output, struct err *err)
{
	rd_kafka_headers_t *headers = kafka_headers_new(output);
	rd_kafka_resp_err_t code;

	for (;;) {
		code = rd_kafka_producev(redrive->producer,
		                         RD_KAFKA_V_TOPIC(output->topic == TOPIC_RAW_EVENTS
		                                                  ? redrive->raw
		                                                  : redrive->dead),
		                         RD_KAFKA_V_PARTITION(output->partition),
		                         RD_KAFKA_V_KEY(output->key.at, output->key.len),
		                         RD_KAFKA_V_VALUE((void *)(uintptr_t)output->value.at,
		                                          output->value.len),
		                         RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
		                         RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
		if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			break;
		rd_kafka_poll(redrive->producer, 10);
	}
	if (!code)
		return true;
	rd_kafka_headers_destroy(headers);
	return err_set(err, code == RD_KAFKA_RESP_ERR__STATE ? ERR_ABORT : kafka_err_class(code),
	               "produce: %s", kafka_err_text(code));
}

/* Repeats one transactional call until it succeeds or cannot succeed. */
static bool repeat_call(const struct redrive *redrive, rd_kafka_error_t *(*call)(rd_kafka_t *, int),
                        const char *what, struct err *err)
{
	rd_kafka_error_t *error;

	while ((error = call(redrive->producer, REDRIVE_CALL_MS))) {
		health_alive();
		txn_doubt_raise(redrive->doubt);
		if (kafka_err_take(err, error, what) || err->class != ERR_RETRY ||
		    service_stopping())
			return false;
		log_warn("retrying", log_str("phase", what), log_str("error", err->message));
	}
	return true;
}

static bool send_once(struct redrive *redrive, struct err *err)
{
	rd_kafka_error_t *error = rd_kafka_begin_transaction(redrive->producer);

	if (error)
		return kafka_err_take(err, error, "begin transaction");
	for (size_t i = 0; i < redrive->outbox.count; i++)
		if (!produce(redrive, &redrive->outbox.at[i], err))
			return false;
	FAULT_POINT("before_commit");
	if (!repeat_call(redrive, rd_kafka_commit_transaction, "commit transaction", err))
		return false;
	FAULT_POINT("after_commit");
	return true;
}

/* Sends the records and markers of the batch in one transaction. A client whose transaction was
 * lost is not used again (task_loop_producer.c has the reason): the same command continues in a new
 * process. */
static bool send_batch(struct redrive *redrive, struct err *err)
{
	size_t dead_letters = redrive->outbox.count / 2;

	if (dead_letters && !send_once(redrive, err))
		return err->class == ERR_ABORT
		               ? err_prefix(err,
		                            "the transaction was lost; run the same command again")
		               : false;
	outbox_clear(&redrive->outbox);
	redrive->sent += (int64_t)dead_letters;
	return true;
}

/* Reads the markers that this or another redrive has written since the plan was made. */
static bool read_new_markers(struct redrive *redrive, struct err *err)
{
	int64_t *from = xrealloc(NULL, (size_t)redrive->dead_partitions * 2 * sizeof(*from));
	int64_t *to = from + redrive->dead_partitions;
	bool ok = read_offset_ranges(redrive, from, to, err);

	for (int32_t p = 0; p < redrive->dead_partitions; p++)
		from[p] = redrive->to[p];
	ok = ok && redrive_read(redrive, redrive->dead, redrive->dead_partitions, from, to,
	                        take_marker, err);
	free(from);
	return ok;
}

/* After a commit, if there is more to send: replaces a producer in doubt. */
static bool replace_doubtful_producer(struct redrive *redrive, struct err *err)
{
	if (!txn_doubt_replaces(redrive->doubt))
		return true;
	close_producer(redrive);
	return open_producer(redrive, err) && read_new_markers(redrive, err);
}

/* With RATE, a batch has at most the records of one second. The next one waits until it is due; no
 * transaction is open during that wait. */
static int64_t batch_records(const struct redrive_config *config)
{
	return config->rate && config->rate < config->batch_records ? config->rate
	                                                            : config->batch_records;
}

static void wait_for_rate(const struct redrive *redrive)
{
	int64_t due_us, left_us;

	if (!redrive->config->rate)
		return;
	due_us = redrive->began_us + redrive->sent * US_PER_SECOND / redrive->config->rate;
	while ((left_us = due_us - monotonic_us()) > 0 && !service_stopping()) {
		health_alive();
		rd_kafka_poll(redrive->producer,
		              (int)(left_us / 1000 < REDRIVE_POLL_MS ? left_us / 1000 + 1
		                                                     : REDRIVE_POLL_MS));
	}
}

static bool take_to_send(void *context, const struct input_record *record, bool *enough,
                         struct err *err)
{
	struct redrive *redrive = context;
	struct redrive_decision decision;

	(void)enough;
	redrive_classify(&redrive->params, &redrive->ledger, redrive->parser, record, &decision);
	if (decision.result != REDRIVE_SEND)
		return true;
	redrive_emit(&redrive->outbox, &decision, record);
	if ((int64_t)redrive->outbox.count < 2 * batch_records(redrive->config) &&
	    redrive->outbox.bytes < BATCH_BYTES)
		return true;
	if (!send_batch(redrive, err) || !replace_doubtful_producer(redrive, err))
		return false;
	wait_for_rate(redrive);
	return true;
}

static enum step redrive_step(void *state, bool stopping, struct err *err)
{
	struct redrive *redrive = state;

	if (stopping)
		return STEP_DONE;
	if (!make_plan(redrive, err))
		return STEP_FAILED;
	redrive_plan_print(redrive);
	if (redrive->config->dry_run) {
		puts("nothing was sent: this was a dry run");
		return STEP_DONE;
	}
	redrive->began_us = monotonic_us();
	if (redrive->plan.results[REDRIVE_SEND] &&
	    (!redrive_read(redrive, redrive->dead, redrive->dead_partitions, redrive->from,
	                   redrive->to, take_to_send, err) ||
	     !send_batch(redrive, err))) {
		printf("sent before the failure: %" PRId64 "%s\n", redrive->sent,
		       err->class == ERR_RETRY ? "; run the same command again for the rest" : "");
		return STEP_FAILED;
	}
	printf("sent: %" PRId64 "\n", redrive->sent);
	log_info("redriven", log_int("sent", redrive->sent));
	return STEP_DONE;
}

static void redrive_close(void *state)
{
	struct redrive *redrive = state;

	if (!redrive)
		return;
	close_producer(redrive);
	redrive_client_close(redrive->metadata_client);
	frame_decoder_free(redrive->decoder);
	registry_free(redrive->registry);
	event_parser_free(redrive->parser);
	redrive_ledger_free(&redrive->ledger);
	outbox_free(&redrive->outbox);
	free(redrive->clocks);
	free(redrive->from);
	free(redrive);
}

static const struct service redrive_program = {
	.name = "redrive",
	.summary = "sends selected dead letters to the raw topic again, each once; shows what it "
		   "would send, and why the rest cannot come back",
	.tables = tables,
	.config_size = sizeof(struct redrive_config),
	.open = redrive_open,
	.step = redrive_step,
	.close = redrive_close,
};

int main(int argc, char **argv)
{
	return service_main(&redrive_program, argc, argv);
}
