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

#include "fault.h"
#include "kafka.h"
#include "log.h"
#include "metrics.h"
#include "outputs.h"
#include "redrive.h"
#include "registry.h"
#include "service.h"
#include "table.h"
#include "task.h"
#include "timetext.h"
#include "topics.h"

#define CALL_MS 10000
#define REGISTRY_MS 5000
#define POLL_MS 100
#define QUIET_LIMIT_US (120 * US_PER_SECOND) /* a read that gets nothing for so long gives up */
#define TAIL_RECORDS 2000                    /* of a bronze partition, to know its clock */
#define EXAMPLES 5
#define EXAMPLE_BYTES 120
#define BATCH_BYTES (16 * 1024 * 1024) /* in one transaction, so that it is through before it times out */

struct redrive_config {
	struct service_config service;
	struct kafka_config kafka;
	const char *registry_urls;
	bool dry_run, yes, send_refused;
	const char *reasons, *since, *until, *source, *letters;
	int64_t batch_records, rate;
};

static const struct config_option kafka_options[] = KAFKA_OPTIONS(struct redrive_config, kafka);
static const struct config_option options[] = {
	{"DRY_RUN", CONFIG_BOOLEAN, offsetof(struct redrive_config, dry_run), "false", 0, 0, "show what would be sent, and send nothing", NULL},
	{"YES", CONFIG_BOOLEAN, offsetof(struct redrive_config, yes), "false", 0, 0, "show the same, and send it", NULL},
	{"REASONS", CONFIG_TEXT, offsetof(struct redrive_config, reasons), "", 0, 0, "reason codes, comma-separated; empty: any", NULL},
	{"SINCE", CONFIG_TEXT, offsetof(struct redrive_config, since), "", 0, 0, "dead letters written at or after this, as 2026-01-31T12:00:00Z; empty: any", NULL},
	{"UNTIL", CONFIG_TEXT, offsetof(struct redrive_config, until), "", 0, 0, "dead letters written before this; empty: any", NULL},
	{"SOURCE", CONFIG_TEXT, offsetof(struct redrive_config, source), "", 0, 0,
	 "place of the refused record: 2 (a partition), 2:17 (one offset), 2:17-90, 2:17-; comma-separated; empty: any", NULL},
	{"LETTERS", CONFIG_TEXT, offsetof(struct redrive_config, letters), "", 0, 0, "place of the dead letter itself, written in the same way; empty: any", NULL},
	{"SEND_REFUSED", CONFIG_BOOLEAN, offsetof(struct redrive_config, send_refused), "false", 0, 0,
	 "also send what this version would refuse again", NULL},
	{"BATCH_RECORDS", CONFIG_INTEGER, offsetof(struct redrive_config, batch_records), "1000", 1, 100000, "dead letters in one transaction at most", NULL},
	{"RATE", CONFIG_INTEGER, offsetof(struct redrive_config, rate), "0", 0, 1000000, "dead letters a second at most; 0: no limit", NULL},
	{"SCHEMA_REGISTRY_URL", CONFIG_TEXT, offsetof(struct redrive_config, registry_urls), "http://127.0.0.1:18081/apis/ccompat/v7", 0, 0,
	 "schema registry, one or more base URLs, comma-separated", NULL},
	{0},
};
static const struct config_option *const tables[] = {kafka_options, options, NULL};

/* What the plan says. */
struct plan {
	int64_t verdicts[REDRIVE_VERDICT_COUNT];
	int64_t send_reasons[REASON_COUNT + 1], refused_reasons[REASON_COUNT]; /* by the letter's reason; by the reason of today */
	int64_t ahead, first_ms, last_ms, first_event_us, last_event_us;
	char examples[EXAMPLES][512];
	int example_count;
};

struct redrive {
	const struct redrive_config *config;
	char raw[TOPIC_NAME_MAX + 1], bronze[TOPIC_NAME_MAX + 1], partials[TOPIC_NAME_MAX + 1], dead[TOPIC_NAME_MAX + 1];
	int32_t raw_partitions, dead_partitions;
	rd_kafka_t *looker, *producer; /* looker: ends of logs, and bronze-sink's offsets; joins nothing */
	rd_kafka_t *reader;            /* while a topic is read */
	struct registry *registry;
	struct frame_opener *opener;
	struct partition_clock *clocks;
	struct redrive_terms terms;
	struct redrive_ledger ledger;
	struct event_parser *parser;
	int64_t *from, *to; /* of the dead-letter topic, per partition */
	struct plan plan;
	struct outbox outbox;
	int64_t sent, began_us;
};

/* ---- opening */

static bool parse_time(const char *name, const char *text, int64_t otherwise_us, int64_t *time_us, struct err *err)
{
	*time_us = otherwise_us;
	return !*text || time_parse(span_of(text), time_us) || err_set(err, ERR_INPUT, "%s=%s is no time such as 2026-01-31T12:00:00Z", name, text);
}

static bool parse_selection(const struct redrive_config *config, struct redrive_selection *selection, struct err *err)
{
	if (config->dry_run == config->yes)
		return err_set(err, ERR_INPUT, "say either --dry-run, to see what would be sent, or --yes, to send it");
	return redrive_reasons_parse(config->reasons, selection, err) && redrive_ranges_parse("SOURCE", config->source, &selection->source, err) &&
	       redrive_ranges_parse("LETTERS", config->letters, &selection->letters, err) &&
	       parse_time("SINCE", config->since, INT64_MIN, &selection->since_us, err) &&
	       parse_time("UNTIL", config->until, INT64_MAX, &selection->until_us, err);
}

static rd_kafka_t *client_new(struct redrive *redrive, enum kafka_role role, const char *const *extra, struct err *err)
{
	rd_kafka_conf_t *conf = kafka_conf_new(&redrive->config->kafka, role, "redrive", extra, err);

	return conf ? kafka_client_new(conf, role, err) : NULL;
}

static bool open_clients(struct redrive *redrive, struct err *err)
{
	char sink[256], own[256];
	const char *const looker[] = {"group.id", sink, "isolation.level", "read_uncommitted", NULL};
	const char *const producer[] = {"transactional.id", own, NULL};
	rd_kafka_error_t *error;

	snprintf(sink, sizeof(sink), "%sbronze-sink", redrive->config->kafka.topic_prefix);
	snprintf(own, sizeof(own), "%sredrive", redrive->config->kafka.topic_prefix);
	redrive->looker = client_new(redrive, KAFKA_CONSUMER, looker, err);
	if (!redrive->looker || redrive->config->dry_run)
		return redrive->looker != NULL;
	redrive->producer = client_new(redrive, KAFKA_PRODUCER_TRANSACTIONAL, producer, err);
	if (!redrive->producer)
		return false;
	error = rd_kafka_init_transactions(redrive->producer, 60000);
	return !error || kafka_err_take(err, error, "init transactions");
}

static bool name_topics(struct redrive *redrive, struct err *err)
{
	const char *prefix = redrive->config->kafka.topic_prefix;

	if (!topic_name(prefix, TOPIC_RAW_EVENTS, redrive->raw, sizeof(redrive->raw)) ||
	    !topic_name(prefix, TOPIC_BRONZE_EVENTS, redrive->bronze, sizeof(redrive->bronze)) ||
	    !topic_name(prefix, TOPIC_FUNNEL_PARTIALS, redrive->partials, sizeof(redrive->partials)) ||
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
	if (!parse_selection(redrive->config, &redrive->terms.selection, err) || !name_topics(redrive, err))
		return false;
	redrive->registry = registry_new(redrive->config->registry_urls, REGISTRY_MS, err);
	if (!redrive->registry || !open_clients(redrive, err) ||
	    !kafka_partition_count(redrive->looker, redrive->raw, CALL_MS, &redrive->raw_partitions, err) ||
	    !kafka_partition_count(redrive->looker, redrive->dead, CALL_MS, &redrive->dead_partitions, err))
		return false;
	redrive->opener = frame_opener_new(redrive->registry, redrive->config->kafka.topic_prefix, SCHEMA_BRONZE);
	redrive->terms.raw_partitions = redrive->raw_partitions;
	return true;
}

/* ---- reading */

static bool log_bounds(struct redrive *redrive, const char *topic, int32_t partition, int64_t *low, int64_t *high, struct err *err)
{
	rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(redrive->looker, topic, partition, low, high, CALL_MS);

	return !code || err_set(err, ERR_RETRY, "offsets of %s/%" PRId32 ": %s", topic, partition, rd_kafka_err2str(code));
}

struct reading {
	const char *topic;
	const int64_t *from, *to;
	int64_t *position;
	int32_t partitions;
	bool (*take)(struct redrive *redrive, const struct input_record *record, struct err *err);
};

static bool is_read(const struct reading *reading)
{
	for (int32_t p = 0; p < reading->partitions; p++)
		if (reading->position[p] < reading->to[p])
			return false;
	return true;
}

static bool take_message(struct redrive *redrive, const struct reading *reading, const rd_kafka_message_t *message, struct err *err)
{
	struct header headers[REDRIVE_HEADERS_MAX];
	struct input_record record = {.topic = span_of(reading->topic),
	                              .offset = message->offset,
	                              .timestamp_ms = rd_kafka_message_timestamp(message, NULL),
	                              .partition = message->partition,
	                              .key = {message->key, message->key_len},
	                              .value = {message->payload, message->len},
	                              .headers = headers};
	rd_kafka_headers_t *list;
	const char *name;
	const void *value;
	size_t size;

	if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
		return err_set(err, ERR_RETRY, "%s: retention has just removed what was to be read: run it again", reading->topic);
	if (message->err && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
		return true; /* librdkafka tries again by itself; a long silence ends the read */
	if (message->offset + !message->err > reading->position[message->partition])
		reading->position[message->partition] = message->offset + !message->err;
	if (message->err || message->offset >= reading->to[message->partition])
		return true;
	if (rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR)
		while (record.header_count < REDRIVE_HEADERS_MAX && !rd_kafka_header_get_all(list, record.header_count, &name, &value, &size))
			headers[record.header_count++] = (struct header){span_of(name), {value, size}};
	return reading->take(redrive, &record, err);
}

static bool read_on(struct redrive *redrive, const struct reading *reading, struct err *err)
{
	int64_t quiet_since_us = monotonic_us();
	bool ok = true;

	while (ok && !is_read(reading)) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(redrive->reader, POLL_MS);

		health_alive();
		if (service_stopping())
			ok = err_set(err, ERR_RETRY, "stopped by a signal; %" PRId64 " were sent, run it again for the rest", redrive->sent);
		else if (message)
			ok = take_message(redrive, reading, message, err);
		else if (monotonic_us() - quiet_since_us > QUIET_LIMIT_US)
			ok = err_set(err, ERR_RETRY, "%s: nothing came for two minutes, and its end is not reached", reading->topic);
		if (message) {
			quiet_since_us = monotonic_us();
			rd_kafka_message_destroy(message);
		}
	}
	return ok;
}

static void client_close(rd_kafka_t *client)
{
	if (client && rd_kafka_type(client) == RD_KAFKA_CONSUMER)
		rd_kafka_consumer_close(client);
	if (client)
		rd_kafka_destroy(client);
}

/* Reads a topic between two offsets per partition, and shows every committed record to `take`. Each time with a client of its own: one
 * that is assigned the same partitions again may deliver from a fetch of the time before, and we would take that for the end. */
static bool read_topic(struct redrive *redrive, const char *topic, int32_t partitions, const int64_t *from, const int64_t *to,
                       bool (*take)(struct redrive *, const struct input_record *, struct err *), struct err *err)
{
	struct reading reading = {topic, from, to, xrealloc(NULL, (size_t)partitions * sizeof(int64_t)), partitions, take};
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
	const char *const extra[] = {"group.id", "redrive", NULL}; /* must be there, and is of no use: nothing is joined or committed */
	rd_kafka_resp_err_t code;
	bool ok;

	redrive->reader = client_new(redrive, KAFKA_CONSUMER, extra, err);
	for (int32_t p = 0; p < partitions; p++) {
		reading.position[p] = from[p];
		if (from[p] < to[p])
			rd_kafka_topic_partition_list_add(list, topic, p)->offset = from[p];
	}
	code = redrive->reader ? rd_kafka_assign(redrive->reader, list) : RD_KAFKA_RESP_ERR_NO_ERROR;
	ok = code ? err_set(err, ERR_FATAL, "assign: %s", rd_kafka_err2str(code)) : redrive->reader && read_on(redrive, &reading, err);
	client_close(redrive->reader);
	redrive->reader = NULL;
	rd_kafka_topic_partition_list_destroy(list);
	free(reading.position);
	return ok;
}

/* ---- the clocks */

static bool take_bronze(struct redrive *redrive, const struct input_record *record, struct err *err)
{
	struct partition_clock *clock = &redrive->clocks[record->partition];
	struct control control = control_read(record);
	struct bronze_event bronze;
	enum reason reason = REASON_NONE;
	struct span body;

	if (control.kind == CONTROL_BEGIN || control.kind == CONTROL_JUMP)
		clock_control(clock, control.event_time_us, record->timestamp_ms * 1000);
	if (!record->value.at)
		return true;
	if (!frame_opener_open(redrive->opener, record->value, &body, &reason, NULL, 0, err))
		return false;
	if (reason == REASON_NONE && bronze_decode(body, &bronze, NULL))
		clock_event(clock, bronze.event.event_time_us, bronze.event.user_id);
	return true;
}

/* A clock that knows nothing takes the first event's time, as an empty partition's does; one in the middle of a log must not:
 * 1970 stands for "nothing known" while the tail is read. */
static void clock_before_tail(struct partition_clock *clock, const char *header)
{
	if (!clock_parse(span_of(header), clock))
		clock_init(clock);
	if (clock_now(clock) == CLOCK_NONE)
		clock->control_us = 0;
}

static bool look_at_sink(struct redrive *redrive, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(redrive->raw_partitions);
	rd_kafka_resp_err_t code;

	rd_kafka_topic_partition_list_add_range(list, redrive->raw, 0, redrive->raw_partitions - 1);
	code = rd_kafka_committed(redrive->looker, list, CALL_MS);
	for (int i = 0; !code && i < list->cnt; i++) {
		char meaning[TASK_MEANING_MAX] = "", header[FOLD_HEADER_MAX] = "";
		struct span metadata = {list->elems[i].metadata, list->elems[i].metadata_size};

		if (metadata.at && task_metadata_look(metadata, meaning, header))
			redrive->terms.horizon_us = redrive_horizon(meaning);
		clock_before_tail(&redrive->clocks[list->elems[i].partition], header);
	}
	rd_kafka_topic_partition_list_destroy(list);
	return !code || err_set(err, ERR_RETRY, "committed offsets of bronze-sink: %s", rd_kafka_err2str(code));
}

static bool read_clocks(struct redrive *redrive, struct err *err)
{
	int64_t *from = xrealloc(NULL, (size_t)redrive->raw_partitions * 2 * sizeof(*from)), *to = from + redrive->raw_partitions;
	bool ok;

	redrive->clocks = xrealloc(NULL, (size_t)redrive->raw_partitions * sizeof(*redrive->clocks));
	redrive->terms.clocks = redrive->clocks;
	ok = look_at_sink(redrive, err);
	for (int32_t p = 0; ok && p < redrive->raw_partitions; p++) {
		ok = log_bounds(redrive, redrive->bronze, p, &from[p], &to[p], err);
		if (ok && to[p] - from[p] > TAIL_RECORDS)
			from[p] = to[p] - TAIL_RECORDS;
	}
	ok = ok && read_topic(redrive, redrive->bronze, redrive->raw_partitions, from, to, take_bronze, err);
	for (int32_t p = 0; ok && p < redrive->raw_partitions; p++)
		if (clock_now(&redrive->clocks[p]) == 0)
			clock_init(&redrive->clocks[p]);
	free(from);
	return ok;
}

/* ---- the plan */

static bool take_mark(struct redrive *redrive, const struct input_record *record, struct err *err)
{
	int32_t partition;
	int64_t offset;

	(void)err;
	if (redrive_mark_read(record, &partition, &offset))
		redrive_ledger_add(&redrive->ledger, partition, offset);
	return true;
}

static void widen(int64_t value, int64_t *first, int64_t *last)
{
	*first = value < *first ? value : *first;
	*last = value > *last ? value : *last;
}

static void note_example(struct plan *plan, const struct redrive *redrive, const struct redrive_decision *decision, const struct input_record *record)
{
	char *text, bytes[EXAMPLE_BYTES + 1];
	size_t len = record->value.len < EXAMPLE_BYTES ? record->value.len : EXAMPLE_BYTES;

	if (plan->example_count == EXAMPLES)
		return;
	for (size_t i = 0; i < len; i++)
		bytes[i] = record->value.at[i] >= ' ' && record->value.at[i] <= '~' ? record->value.at[i] : '.';
	bytes[len] = '\0';
	text = plan->examples[plan->example_count++];
	snprintf(text, sizeof(plan->examples[0]), "%" PRId32 ":%" PRId64 " %.*s %s/%" PRId32 ":%" PRId64 " to partition %" PRId32 ": %s", record->partition,
	         record->offset, (int)(decision->letter.reason.len < 64 ? decision->letter.reason.len : 64), decision->letter.reason.at, redrive->raw,
	         decision->letter.source_partition, decision->letter.source_offset, decision->target, bytes);
}

static bool take_for_plan(struct redrive *redrive, const struct input_record *record, struct err *err)
{
	struct plan *plan = &redrive->plan;
	struct redrive_decision decision;
	char reason[64];

	(void)err;
	redrive_judge(&redrive->terms, &redrive->ledger, redrive->parser, record, &decision);
	plan->verdicts[decision.verdict]++;
	if (decision.refused != REASON_NONE)
		plan->refused_reasons[decision.refused]++;
	if (decision.verdict != REDRIVE_SEND)
		return true;
	snprintf(reason, sizeof(reason), "%.*s", (int)(decision.letter.reason.len < 63 ? decision.letter.reason.len : 63), decision.letter.reason.at);
	plan->send_reasons[reason_from_name(reason)]++;
	plan->ahead += decision.ahead;
	widen(record->timestamp_ms, &plan->first_ms, &plan->last_ms);
	if (decision.refused == REASON_NONE)
		widen(decision.event_time_us, &plan->first_event_us, &plan->last_event_us);
	note_example(plan, redrive, &decision, record);
	return true;
}

static void print_times(const char *what, int64_t first_us, int64_t last_us)
{
	char first[32], last[32];

	if (first_us > last_us)
		return;
	time_format_iso(first_us, first);
	time_format_iso(last_us, last);
	printf("  %s from %s to %s\n", what, first, last);
}

static void print_clocks(const struct redrive *redrive)
{
	int64_t first_us = INT64_MAX, last_us = INT64_MIN;
	char horizon[32] = "";

	for (int32_t p = 0; p < redrive->raw_partitions; p++)
		if (clock_now(&redrive->clocks[p]) != CLOCK_NONE)
			widen(clock_now(&redrive->clocks[p]), &first_us, &last_us);
	print_times("clocks of the partitions, at least:", first_us, last_us);
	if (redrive->terms.horizon_us)
		duration_format(redrive->terms.horizon_us, horizon);
	printf("  de-duplication horizon behind them: %s\n", *horizon ? horizon : "not known (bronze-sink has committed nothing yet)");
}

static void print_send(const struct redrive *redrive)
{
	const struct plan *plan = &redrive->plan;

	for (int r = 0; r <= REASON_COUNT; r++)
		if (plan->send_reasons[r])
			printf("  reason %s: %" PRId64 "\n", r < REASON_COUNT ? reason_name((enum reason)r) : "unknown to this version", plan->send_reasons[r]);
	if (plan->verdicts[REDRIVE_SEND]) {
		printf("  source %s: %" PRId64 "\n", redrive->raw, plan->verdicts[REDRIVE_SEND]);
		print_times("refused", plan->first_ms * 1000, plan->last_ms * 1000);
		print_times("event times", plan->first_event_us, plan->last_event_us);
	}
	if (plan->ahead)
		printf("  of these still too far ahead of their partition's clock, as far as it is known: %" PRId64 "\n", plan->ahead);
	for (int i = 0; i < plan->example_count; i++)
		printf("  example %s\n", plan->examples[i]);
}

static void print_plan(const struct redrive *redrive)
{
	const struct plan *plan = &redrive->plan;
	int64_t read = 0;

	for (int v = 0; v < REDRIVE_VERDICT_COUNT; v++)
		read += plan->verdicts[v];
	printf("%s: %" PRId64 " records\n", redrive->dead, read);
	print_clocks(redrive);
	for (int v = 0; v < REDRIVE_VERDICT_COUNT; v++) {
		const char *way = redrive_way((enum redrive_verdict)v);

		if (!plan->verdicts[v] && v != REDRIVE_SEND)
			continue;
		printf("%s: %" PRId64 "%s%s\n", redrive_what((enum redrive_verdict)v), plan->verdicts[v], *way ? "; " : "", way);
		if (v == REDRIVE_SEND)
			print_send(redrive);
	}
	for (int r = 0; r < REASON_COUNT; r++)
		if (plan->refused_reasons[r])
			printf("  refused again as %s: %" PRId64 "\n", reason_name((enum reason)r), plan->refused_reasons[r]);
	fflush(stdout);
}

static bool make_plan(struct redrive *redrive, struct err *err)
{
	redrive->from = xrealloc(NULL, (size_t)redrive->dead_partitions * 2 * sizeof(int64_t));
	redrive->to = redrive->from + redrive->dead_partitions;
	redrive->plan = (struct plan){.first_ms = INT64_MAX, .last_ms = INT64_MIN, .first_event_us = INT64_MAX, .last_event_us = INT64_MIN};
	for (int32_t p = 0; p < redrive->dead_partitions; p++)
		if (!log_bounds(redrive, redrive->dead, p, &redrive->from[p], &redrive->to[p], err))
			return false;
	return read_topic(redrive, redrive->dead, redrive->dead_partitions, redrive->from, redrive->to, take_mark, err) && read_clocks(redrive, err) &&
	       read_topic(redrive, redrive->dead, redrive->dead_partitions, redrive->from, redrive->to, take_for_plan, err);
}

/* ---- sending */

static bool produce(struct redrive *redrive, const struct output *output, struct err *err)
{
	rd_kafka_headers_t *headers = kafka_headers_new(output);
	rd_kafka_resp_err_t code;

	for (;;) {
		code = rd_kafka_producev(redrive->producer, RD_KAFKA_V_TOPIC(output->topic == TOPIC_RAW_EVENTS ? redrive->raw : redrive->dead),
		                         RD_KAFKA_V_PARTITION(output->partition), RD_KAFKA_V_KEY(output->key.at, output->key.len),
		                         RD_KAFKA_V_VALUE((void *)(uintptr_t)output->value.at, output->value.len),
		                         RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
		if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			break;
		rd_kafka_poll(redrive->producer, 10);
	}
	if (!code)
		return true;
	rd_kafka_headers_destroy(headers);
	return err_set(err, code == RD_KAFKA_RESP_ERR__STATE ? ERR_ABORT : kafka_err_class(code), "produce: %s", rd_kafka_err2str(code));
}

/* Makes one transactional call until it is through, or is no use. */
static bool persist(rd_kafka_error_t *(*call)(rd_kafka_t *, int), rd_kafka_t *producer, const char *what, struct err *err)
{
	rd_kafka_error_t *error;

	while ((error = call(producer, CALL_MS))) {
		health_alive();
		if (kafka_err_take(err, error, what) || err->class != ERR_RETRY || service_stopping())
			return false;
		log_warn("retry", "cause=\"%s\"", err->message);
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
	if (!persist(rd_kafka_commit_transaction, redrive->producer, "commit transaction", err))
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
		return err->class == ERR_ABORT ? err_prefix(err, "the transaction was lost; run the same command again") : false;
	outbox_clear(&redrive->outbox);
	redrive->sent += (int64_t)letters;
	return true;
}

/* At RATE a batch is a second's worth at most, and the next one waits until it is due; no transaction is open meanwhile. */
static int64_t batch_records(const struct redrive_config *config)
{
	return config->rate && config->rate < config->batch_records ? config->rate : config->batch_records;
}

static void keep_to_rate(const struct redrive *redrive)
{
	int64_t due_us, left_us;

	if (!redrive->config->rate)
		return;
	due_us = redrive->began_us + redrive->sent * US_PER_SECOND / redrive->config->rate;
	while ((left_us = due_us - monotonic_us()) > 0 && !service_stopping()) {
		health_alive();
		rd_kafka_poll(redrive->producer, (int)(left_us / 1000 < POLL_MS ? left_us / 1000 + 1 : POLL_MS));
	}
}

static bool take_to_send(struct redrive *redrive, const struct input_record *record, struct err *err)
{
	struct redrive_decision decision;

	redrive_judge(&redrive->terms, &redrive->ledger, redrive->parser, record, &decision);
	if (decision.verdict != REDRIVE_SEND)
		return true;
	redrive_emit(&redrive->outbox, &decision, record);
	if ((int64_t)redrive->outbox.count < 2 * batch_records(redrive->config) && redrive->outbox.bytes < BATCH_BYTES)
		return true;
	if (!send_batch(redrive, err))
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
	print_plan(redrive);
	if (redrive->config->dry_run) {
		puts("nothing was sent: this was a dry run");
		return STEP_DONE;
	}
	redrive->began_us = monotonic_us();
	if (redrive->plan.verdicts[REDRIVE_SEND] &&
	    (!read_topic(redrive, redrive->dead, redrive->dead_partitions, redrive->from, redrive->to, take_to_send, err) || !send_batch(redrive, err))) {
		printf("sent before it failed: %" PRId64 "\n", redrive->sent);
		return STEP_FAILED;
	}
	printf("sent: %" PRId64 "\n", redrive->sent);
	log_info("redriven", "sent=%" PRId64, redrive->sent);
	return STEP_DONE;
}

static void redrive_close(void *state)
{
	struct redrive *redrive = state;

	if (!redrive)
		return;
	client_close(redrive->producer);
	client_close(redrive->looker);
	frame_opener_free(redrive->opener);
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
	.summary = "sends chosen dead letters to the raw topic again, each once; shows what it would send, and why the rest cannot come back",
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
