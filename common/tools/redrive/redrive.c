/* redrive --dry-run | --yes [selection]: sends dead letters to the raw topic again, each once. core/redrive.h has the rules.
 *
 * The dead-letter topic is read up to where it ended at the start, two or three times: for the marks of earlier runs, for the plan,
 * and, with --yes, to send. So memory holds the marks only, and letters that come while this runs (those that are refused
 * again among them) wait for the next run.
 *
 * One producer with one transactional id per set: a second redrive fences the first, and only then reads the marks, so it knows all
 * that the first one has sent. "Ended" is the end of the log itself, not of what is committed: else a transaction that bronze-sink
 * has open could hide our own marks behind it. Reading is read_committed, and waits for such a transaction.
 *
 * A request without an answer leaves the producer in doubt (txn_doubt.h). Such a producer is
 * replaced before the next transaction. Another redrive may have run in between, so the marks
 * written since the start are read before the next letter is sent.
 *
 * Killed at any moment: the open transaction is aborted, by the next run or by the broker; run it again for the rest.
 *
 * The clock of a partition is taken from bronze-sink's restore metadata and the last records of its bronze partition: it is never
 * ahead of the real one.
 *
 * Limits: of a record's own headers the first 32 come back, since its dead letter keeps no more. The transaction's end takes an
 * offset in each raw partition that it wrote to, so a segment of the producer that ends at that very moment may wait for the next row
 * before its batch report: redrive between replays. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/memory.h"
#include "base/span.h"
#include "base/timetext.h"
#include "kafka/kafka_error.h"
#include "kafka/kafka_record.h"
#include "kafka/kafka_topic.h"
#include "redrive_plan.h"
#include "redrive_read.h"
#include "redrive_state.h"
#include "service/config.h"
#include "service/fault.h"
#include "service/health.h"
#include "service/log.h"
#include "service/monotime.h"
#include "service/stop.h"
#include "stream/dead_letter.h"
#include "stream/record.h"
#include "wire/schemas.h"

#define REGISTRY_MS 5000
#define BATCH_BYTES \
	(16 * 1024 * 1024) /* in one transaction, so that it is through before it times out */

/* ---- texts with a grammar of their own: read once to check the settings, and once to take them */

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
static const struct config_option options[] = {
	{"DRY_RUN", CONFIG_BOOLEAN, offsetof(struct redrive_config, dry_run), "false", 0, 0,
         "show what would be sent, and send nothing", NULL, NULL},
	{"YES", CONFIG_BOOLEAN, offsetof(struct redrive_config, yes), "false", 0, 0,
         "show the same, and send it", NULL, NULL},
	{"REASONS", CONFIG_TEXT, offsetof(struct redrive_config, reasons), "", 0, 0,
         "reason codes, comma-separated; empty: any", NULL, reasons_check},
	{"SINCE", CONFIG_TEXT, offsetof(struct redrive_config, since), "", 0, 0,
         "dead letters written at or after this, as 2026-01-31T12:00:00Z; empty: any", NULL,
         time_check},
	{"UNTIL", CONFIG_TEXT, offsetof(struct redrive_config, until), "", 0, 0,
         "dead letters written before this; empty: any", NULL, time_check},
	{"SOURCE", CONFIG_TEXT, offsetof(struct redrive_config, source), "", 0, 0,
         "place of the refused record: 2 (a partition), 2:17 (one offset), 2:17-90, 2:17-; comma-separated; empty: any",
         NULL, ranges_check},
	{"LETTERS", CONFIG_TEXT, offsetof(struct redrive_config, letters), "", 0, 0,
         "place of the dead letter itself, written in the same way; empty: any", NULL,
         ranges_check},
	{"SEND_REFUSED", CONFIG_BOOLEAN, offsetof(struct redrive_config, send_refused), "false", 0,
         0, "also send what this version would refuse again", NULL, NULL},
	{"BATCH_RECORDS", CONFIG_INTEGER, offsetof(struct redrive_config, batch_records), "1000", 1,
         100000, "dead letters in one transaction at most", NULL, NULL},
	{"RATE", CONFIG_INTEGER, offsetof(struct redrive_config, rate), "0", 0, 1000000,
         "dead letters a second at most; 0: no limit", NULL, NULL},
	{"SCHEMA_REGISTRY_URL", CONFIG_URLS, offsetof(struct redrive_config, registry_urls),
         "http://127.0.0.1:18081/apis/ccompat/v7", 0, 0,
         "schema registry, one or more base URLs, comma-separated", NULL, registry_urls_check},
	{0},
};
static const struct config_option *const tables[] = {kafka_options, options, NULL};

/* ---- opening */

static bool parse_selection(const struct redrive_config *config,
                            struct redrive_selection *selection, struct err *err)
{
	if (config->dry_run == config->yes)
		return err_set(
			err, ERR_INPUT,
			"say either --dry-run, to see what would be sent, or --yes, to send it");
	return redrive_reasons_parse(config->reasons, selection, err) &&
	       redrive_ranges_parse(config->source, &selection->source, err) &&
	       redrive_ranges_parse(config->letters, &selection->letters, err) &&
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
	const char *const looker[] = {"group.id", sink, "isolation.level", "read_uncommitted",
	                              NULL};

	snprintf(sink, sizeof(sink), "%sbronze-sink", redrive->config->kafka.topic_prefix);
	redrive->looker = redrive_client(redrive, KAFKA_CONSUMER, looker, err);
	return redrive->looker && (redrive->config->dry_run || open_producer(redrive, err));
}

static bool name_topics(struct redrive *redrive, struct err *err)
{
	const char *prefix = redrive->config->kafka.topic_prefix;

	if (!topic_name(prefix, TOPIC_RAW_EVENTS, redrive->raw, sizeof(redrive->raw)) ||
	    !topic_name(prefix, TOPIC_BRONZE_EVENTS, redrive->bronze, sizeof(redrive->bronze)) ||
	    !topic_name(prefix, TOPIC_FUNNEL_PARTIALS, redrive->partials,
	                sizeof(redrive->partials)) ||
	    !topic_name(prefix, TOPIC_DEAD_LETTER, redrive->dead, sizeof(redrive->dead)))
		return err_set(err, ERR_INPUT, "TOPIC_PREFIX is too long");
	redrive->terms.raw_topic = span_of(redrive->raw);
	redrive->terms.bronze_topic = span_of(redrive->bronze);
	redrive->terms.partials_topic = span_of(redrive->partials);
	return true;
}

static bool redrive_open(void *settings, void **state, struct err *err)
{
	struct redrive *redrive = xrealloc(NULL, sizeof(*redrive));

	*redrive = (struct redrive){.config = settings};
	*state = redrive;
	redrive->terms.send_refused = redrive->config->send_refused;
	redrive->terms.now_us = wallclock_us();
	redrive->parser = event_parser_new();
	if (!parse_selection(redrive->config, &redrive->terms.selection, err) ||
	    !name_topics(redrive, err))
		return false;
	redrive->registry = registry_new(redrive->config->registry_urls, REGISTRY_MS, err);
	if (!redrive->registry || !open_clients(redrive, err) ||
	    !kafka_partition_count(redrive->looker, redrive->raw, REDRIVE_CALL_MS,
	                           &redrive->raw_partitions, err) ||
	    !kafka_partition_count(redrive->looker, redrive->dead, REDRIVE_CALL_MS,
	                           &redrive->dead_partitions, err))
		return false;
	redrive->opener = frame_decoder_new(redrive->registry, redrive->config->kafka.topic_prefix,
	                                    SCHEMA_BRONZE);
	redrive->terms.raw_partitions = redrive->raw_partitions;
	return true;
}

/* ---- the plan */

static bool take_mark(void *context, const struct input_record *record, bool *enough,
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
	redrive_classify(&redrive->terms, &redrive->ledger, redrive->parser, record, &decision);
	redrive_plan_add(redrive, &decision, record);
	return true;
}

/* First offset and end of each partition of the dead-letter topic. */
static bool look_at_bounds(struct redrive *redrive, int64_t *from, int64_t *to, struct err *err)
{
	for (int32_t p = 0; p < redrive->dead_partitions; p++)
		if (!kafka_offset_range(redrive->looker, redrive->dead, p, REDRIVE_CALL_MS,
		                        &from[p], &to[p], err))
			return false;
	return true;
}

static bool make_plan(struct redrive *redrive, struct err *err)
{
	redrive->from = xrealloc(NULL, (size_t)redrive->dead_partitions * 2 * sizeof(int64_t));
	redrive->to = redrive->from + redrive->dead_partitions;
	redrive_plan_begin(&redrive->plan);
	return look_at_bounds(redrive, redrive->from, redrive->to, err) &&
	       redrive_read(redrive, redrive->dead, redrive->dead_partitions, redrive->from,
	                    redrive->to, take_mark, err) &&
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
	               "produce: %s", rd_kafka_err2str(code));
}

/* Makes one transactional call until it is through, or is no use. */
static bool persist(const struct redrive *redrive, rd_kafka_error_t *(*call)(rd_kafka_t *, int),
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
	if (!persist(redrive, rd_kafka_commit_transaction, "commit transaction", err))
		return false;
	FAULT_POINT("after_commit");
	return true;
}

/* Records and marks of the batch in one transaction. A client whose transaction was lost is not used again (task_loop_producer.c says
 * why): the same command goes on from here, in a process of its own. */
static bool send_batch(struct redrive *redrive, struct err *err)
{
	size_t letters = redrive->outbox.count / 2;

	if (letters && !send_once(redrive, err))
		return err->class == ERR_ABORT
		               ? err_prefix(err,
		                            "the transaction was lost; run the same command again")
		               : false;
	outbox_clear(&redrive->outbox);
	redrive->sent += (int64_t)letters;
	return true;
}

/* Marks that were written since the plan was made, by us or by another redrive. */
static bool read_new_marks(struct redrive *redrive, struct err *err)
{
	int64_t *from = xrealloc(NULL, (size_t)redrive->dead_partitions * 2 * sizeof(*from));
	int64_t *to = from + redrive->dead_partitions;
	bool ok = look_at_bounds(redrive, from, to, err);

	for (int32_t p = 0; p < redrive->dead_partitions; p++)
		from[p] = redrive->to[p];
	ok = ok && redrive_read(redrive, redrive->dead, redrive->dead_partitions, from, to,
	                        take_mark, err);
	free(from);
	return ok;
}

/* After a commit with more to come: a producer in doubt is replaced. */
static bool settle(struct redrive *redrive, struct err *err)
{
	if (!txn_doubt_replaces(redrive->doubt))
		return true;
	close_producer(redrive);
	return open_producer(redrive, err) && read_new_marks(redrive, err);
}

/* At RATE a batch is a second's worth at most, and the next one waits until it is due; no transaction is open meanwhile. */
static int64_t batch_records(const struct redrive_config *config)
{
	return config->rate && config->rate < config->batch_records ? config->rate
	                                                            : config->batch_records;
}

static void keep_to_rate(const struct redrive *redrive)
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
	redrive_classify(&redrive->terms, &redrive->ledger, redrive->parser, record, &decision);
	if (decision.verdict != REDRIVE_SEND)
		return true;
	redrive_emit(&redrive->outbox, &decision, record);
	if ((int64_t)redrive->outbox.count < 2 * batch_records(redrive->config) &&
	    redrive->outbox.bytes < BATCH_BYTES)
		return true;
	if (!send_batch(redrive, err) || !settle(redrive, err))
		return false;
	keep_to_rate(redrive);
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
	if (redrive->plan.verdicts[REDRIVE_SEND] &&
	    (!redrive_read(redrive, redrive->dead, redrive->dead_partitions, redrive->from,
	                   redrive->to, take_to_send, err) ||
	     !send_batch(redrive, err))) {
		printf("sent before it failed: %" PRId64 "%s\n", redrive->sent,
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
	redrive_client_close(redrive->looker);
	frame_decoder_free(redrive->opener);
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
	.summary =
		"sends chosen dead letters to the raw topic again, each once; shows what it would send, and why the rest cannot come back",
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
