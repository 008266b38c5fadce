/* After a rebalance callback librdkafka waits until assign or unassign is called. So all messages
 * of a poll belong to the assignment before it. Each change of positions replaces the assignment.
 *
 * After a topic is deleted and created again, its offsets start from 0, and the group's consumer
 * does not notice: librdkafka (2.0.2; 2.15.1 has a FIXME for it) handles the errors itself while
 * the topic is missing, and then continues at the same offset of the new log. A process that is
 * frozen during that time does not even get the errors. So the intake recognises a partition's
 * log by a record that was read from it. A busy input costs one check per minute; an input that
 * pauses between its records costs a few milliseconds per commit.
 *
 * Rejected: seek and pause, because queued messages of the old position could look like a gap at
 * the new one; to leave a rebalance unanswered while the start is looked up, because the group
 * expels the member if that takes long.
 *
 * Gaps in offsets are normal (transaction markers, compaction, aborted records). */
#include "kafka/intake.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "event/reason.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_error.h"
#include "kafka/kafka_record.h"
#include "kafka/kafka_topic.h"
#include "kafka/lost_client.h"
#include "kafka/partition_queues.h"
#include "kafka/same_log.h"
#include "service/log.h"
#include "service/monotime.h"
#include "stream/outbox.h"
#include "stream/partition_end.h"

#define CALL_TIMEOUT_MS 10000
#define MESSAGES_MAX    2000
#define PROPERTIES_MAX  16
#define DETAIL_MAX      256
#define VERIFY_AFTER_US INT64_C(30000000)  /* without partitions; also the time between checks */
#define GIVE_UP_US      INT64_C(120000000) /* without partitions, while the brokers answer */

struct intake {
	const struct kafka_config *kafka;
	struct metric *stale;
	rd_kafka_t *client;
	struct partition_queues *queues;
	struct intake_topic topics[INTAKE_TOPICS_MAX];
	size_t topic_count;

	struct assigned_partition *partitions;
	size_t partition_count;
	bool reading;
	int64_t without_since_us; /* without partitions since this time; 0: it has some */
	int64_t verified_us;

	/* The callback stores this; the user carries it out between polls. */
	rd_kafka_topic_partition_list_t *rebalance; /* NULL: none */
	rd_kafka_resp_err_t rebalance_kind;
	bool closing;

	rd_kafka_message_t *messages[MESSAGES_MAX]; /* of the last poll */
	size_t message_count, next_message;
	int64_t polled_us;
	struct assigned_partition *peeked; /* of the next message; NULL: it was not delivered */
	struct assigned_partition *found;  /* of the last message: a cache */

	struct header headers[KAFKA_HEADERS_MAX]; /* of the delivered record */
	char detail[DETAIL_MAX];
};

/* ---- life */

static void rebalance_cb(rd_kafka_t *client, rd_kafka_resp_err_t kind,
                         rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
	struct intake *intake = opaque;

	if (intake->closing) {
		rd_kafka_assign(client, NULL);
		return;
	}
	if (intake->rebalance)
		rd_kafka_topic_partition_list_destroy(intake->rebalance);
	intake->rebalance = rd_kafka_topic_partition_list_copy(partitions);
	intake->rebalance_kind = kind;
}

static rd_kafka_t *client_new(struct intake *intake, const struct intake_config *config,
                              struct err *err)
{
	char group[256];
	const char *properties[PROPERTIES_MAX + 1] = {"group.id", group};
	rd_kafka_conf_t *conf;

	snprintf(group, sizeof(group), "%s%s", config->kafka->topic_prefix, config->group);
	for (size_t i = 0; config->properties && config->properties[i] && i + 2 < PROPERTIES_MAX;
	     i++)
		properties[i + 2] = config->properties[i];
	conf = kafka_conf_new(config->kafka, KAFKA_CONSUMER, config->client_id, properties, err);
	if (!conf)
		return NULL;
	rd_kafka_conf_set_rebalance_cb(conf, rebalance_cb);
	rd_kafka_conf_set_opaque(conf, intake);
	return kafka_client_new(conf, KAFKA_CONSUMER, err);
}

struct intake *intake_new(const struct intake_config *config, struct err *err)
{
	struct intake *intake = xrealloc(NULL, sizeof(*intake));

	*intake = (struct intake){.kafka = config->kafka, .stale = config->stale};
	intake->client = client_new(intake, config, err);
	if (!intake->client) {
		free(intake);
		return NULL;
	}
	intake->queues = partition_queues_new(intake->client);
	return intake;
}

bool intake_set_topics(struct intake *intake, struct registry *registry,
                       const struct intake_topic *topics, size_t count, struct err *err)
{
	const char *prefix = intake->kafka->topic_prefix;

	for (; intake->topic_count < count; intake->topic_count++) {
		struct intake_topic *topic = &intake->topics[intake->topic_count];

		*topic = topics[intake->topic_count];
		snprintf(topic->name, sizeof(topic->name), "%s%s", prefix, topic->suffix);
		if (!kafka_partition_count(intake->client, topic->name, CALL_TIMEOUT_MS,
		                           &topic->partition_count, err))
			return false;
		topic->decoder =
			topic->framed ? frame_decoder_new(registry, prefix, topic->kind) : NULL;
	}
	return true;
}

const struct intake_topic *intake_topic(const struct intake *intake, size_t number)
{
	return &intake->topics[number];
}

bool intake_subscribe(struct intake *intake, struct err *err)
{
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new((int)intake->topic_count);
	rd_kafka_resp_err_t code;

	for (size_t i = 0; i < intake->topic_count; i++)
		rd_kafka_topic_partition_list_add(list, intake->topics[i].name,
		                                  RD_KAFKA_PARTITION_UA);
	code = rd_kafka_subscribe(intake->client, list);
	rd_kafka_topic_partition_list_destroy(list);
	intake->without_since_us = intake->verified_us = monotonic_us();
	return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
	       err_set(err, kafka_err_class(code), "cannot subscribe: %s", kafka_err_text(code));
}

rd_kafka_t *intake_client(const struct intake *intake)
{
	return intake->client;
}

static void clear_rebalance(struct intake *intake)
{
	if (intake->rebalance)
		rd_kafka_topic_partition_list_destroy(intake->rebalance);
	intake->rebalance = NULL;
}

static void clear_partitions(struct intake *intake)
{
	for (size_t i = 0; i < intake->partition_count; i++)
		partition_watch_stop(&intake->partitions[i].watch);
	free(intake->partitions);
	intake->partitions = NULL;
	intake->partition_count = 0;
	intake->reading = false;
	intake->peeked = intake->found = NULL;
}

void intake_close(struct intake *intake)
{
	if (!intake)
		return;
	intake->closing = true;
	intake_forget(intake);
	if (intake->rebalance) /* not carried out yet: the client waits for an answer */
		rd_kafka_assign(intake->client, NULL);
	clear_rebalance(intake);
	partition_queues_free(intake->queues);
	if (!kafka_consumer_end(intake->client))
		return; /* the client may still call back */
	clear_partitions(intake);
	for (size_t i = 0; i < intake->topic_count; i++)
		frame_decoder_free(intake->topics[i].decoder);
	free(intake);
}

/* ---- records */

size_t intake_poll(struct intake *intake, int wait_ms, int64_t max)
{
	size_t room = max < 1 ? 1 : max < MESSAGES_MAX ? (size_t)max : MESSAGES_MAX;

	if (intake->next_message < intake->message_count)
		return 0;
	intake->message_count =
		partition_queues_poll(intake->queues, wait_ms, intake->messages, room);
	intake->next_message = 0;
	intake->polled_us = monotonic_us();
	return intake->message_count;
}

static struct intake_topic *find_topic(struct intake *intake, const rd_kafka_topic_t *seen)
{
	for (size_t i = 0; i < intake->topic_count; i++)
		if (intake->topics[i].seen == seen)
			return &intake->topics[i];
	for (size_t i = 0; i < intake->topic_count; i++)
		if (strcmp(intake->topics[i].name, rd_kafka_topic_name(seen)) == 0) {
			intake->topics[i].seen = seen;
			return &intake->topics[i];
		}
	return NULL;
}

static struct assigned_partition *find_partition(struct intake *intake,
                                                 const rd_kafka_message_t *message)
{
	const struct intake_topic *topic =
		intake->reading && message->rkt ? find_topic(intake, message->rkt) : NULL;
	struct assigned_partition *found = intake->found;

	if (!topic)
		return NULL;
	if (found && found->topic == topic && found->partition == message->partition)
		return found;
	for (size_t i = 0; i < intake->partition_count; i++)
		if (intake->partitions[i].topic == topic &&
		    intake->partitions[i].partition == message->partition)
			return intake->found = &intake->partitions[i];
	return NULL;
}

/* A missing topic is retriable: when it is back, its offset range or a marked record shows
 * whether it is the same one. */
enum err_class intake_error_class(rd_kafka_resp_err_t code)
{
	enum err_class class = kafka_err_class(code);

	if (code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
	    code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || class == ERR_ABORT || class == ERR_NONE)
		return ERR_RETRY;
	return class;
}

static bool take_error(struct intake *intake, const struct assigned_partition *from,
                       const rd_kafka_message_t *message, struct err *err)
{
	enum err_class class = intake_error_class(message->err);
	char fatal[512] = "";

	if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
		return !from || same_log_out_of_range(intake->client, from->topic->name,
		                                      from->partition, from->position, err);
	if (class == ERR_RETRY) {
		log_warn("consumer_error", log_str("code", rd_kafka_err2name(message->err)),
		         log_str("error", rd_kafka_message_errstr(message)));
		return true;
	}
	if (message->err == RD_KAFKA_RESP_ERR__FATAL)
		rd_kafka_fatal_error(intake->client, fatal, sizeof(fatal));
	err_set(err, class, "consumer: %s%s%s", *fatal ? fatal : rd_kafka_message_errstr(message),
	        kafka_err_missing_right(message->err) ? ": " : "",
	        kafka_err_missing_right(message->err) ? kafka_err_text(message->err) : "");
	if (!message->rkt)
		return false;
	return err_prefix(err, "%s/%" PRId32, rd_kafka_topic_name(message->rkt),
	                  message->partition);
}

/* Decodes a framed value. False: the registry does not answer, ERR_RETRY. */
static bool decode_frame(struct intake *intake, const struct intake_topic *topic,
                         struct input_record *record, struct err *err)
{
	unsigned char first =
		record->value.at && record->value.len ? (unsigned char)record->value.at[0] : ' ';

	intake->detail[0] = '\0';
	record->detail = intake->detail;
	if (!topic->framed || !record->value.at)
		return true;
	if (topic->kind == SCHEMA_RAW) {
		if (first >= ' ' || first == '\t' || first == '\n' || first == '\r')
			return true; /* unframed: the JSON parser checks it */
		if (first != 0) {
			record->refused = REASON_UNKNOWN_MAGIC_BYTE;
			snprintf(intake->detail, DETAIL_MAX,
			         "the first byte is 0x%02x: expected JSON, or a magic byte 0 and "
			         "a schema id",
			         first);
			return true;
		}
	}
	return frame_decode(topic->decoder, record->value, &record->body, &record->refused,
	                    intake->detail, DETAIL_MAX, err);
}

/* The next message of this poll is a record of the same partition. */
static bool is_followed(const struct intake *intake, const rd_kafka_message_t *message)
{
	const rd_kafka_message_t *next = intake->next_message + 1 < intake->message_count
	                                         ? intake->messages[intake->next_message + 1]
	                                         : NULL;

	return next && !next->err && next->rkt == message->rkt &&
	       next->partition == message->partition;
}

/* INTAKE_NOTHING: skip the next message. */
static bool peek_message(struct intake *intake, const rd_kafka_message_t *message,
                         struct intake_item *item, struct err *err)
{
	struct assigned_partition *from = find_partition(intake, message);
	bool end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;

	*item = (struct intake_item){.kind = INTAKE_NOTHING};
	if (message->err && !end)
		return take_error(intake, from, message, err);
	if (!from || message->offset < from->position) {
		metric_add(intake->stale, !end);
		return true;
	}
	if (!end) {
		/* Of raw records, headers are always needed. */
		item->record = from->topic->kind == SCHEMA_RAW
		                       ? kafka_record(message, intake->headers)
		                       : kafka_record_unread(message, intake->headers);
		item->record.followed = is_followed(intake, message);
		if (!decode_frame(intake, from->topic, &item->record, err))
			return false;
	}
	item->kind = end ? INTAKE_END : INTAKE_RECORD;
	item->from = intake->peeked = from;
	item->number = (size_t)(from - intake->partitions);
	item->offset = message->offset;
	recreation_check_delivered(&from->log, from->last, intake->polled_us);
	return true;
}

bool intake_peek(struct intake *intake, struct intake_item *item, struct err *err)
{
	*item = (struct intake_item){.kind = INTAKE_NOTHING};
	for (; intake->next_message < intake->message_count; intake_next(intake)) {
		if (!peek_message(intake, intake->messages[intake->next_message], item, err))
			return false;
		if (item->kind != INTAKE_NOTHING)
			return true;
	}
	return true;
}

rd_kafka_message_t *intake_keep(struct intake *intake)
{
	rd_kafka_message_t *message = intake->messages[intake->next_message++];
	struct assigned_partition *from = intake->peeked;

	intake->peeked = NULL;
	if (from && message->err) {
		from->position = message->offset;
		partition_end_reached(&from->watch.end, message->offset);
	} else if (from) {
		from->position = message->offset + 1;
		partition_end_left(&from->watch.end);
	}
	return message;
}

void intake_next(struct intake *intake)
{
	rd_kafka_message_destroy(intake_keep(intake));
}

void intake_forget(struct intake *intake)
{
	intake->peeked = NULL;
	for (; intake->next_message < intake->message_count; intake->next_message++)
		rd_kafka_message_destroy(intake->messages[intake->next_message]);
}

/* ---- partitions */

enum intake_change intake_change(const struct intake *intake)
{
	if (!intake->rebalance)
		return INTAKE_SAME;
	return intake->rebalance_kind == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS ? INTAKE_ASSIGNED
	                                                                      : INTAKE_REVOKED;
}

static const struct record_mark nothing_taken = {.offset = -1};

static bool add_partition(struct intake *intake, const rd_kafka_topic_partition_t *assigned,
                          struct err *err)
{
	struct assigned_partition *partition = &intake->partitions[intake->partition_count];
	size_t input = 0;
	const struct intake_topic *topic;

	while (input < intake->topic_count &&
	       strcmp(intake->topics[input].name, assigned->topic) != 0)
		input++;
	if (input == intake->topic_count)
		return true;
	topic = &intake->topics[input];
	if (assigned->partition >= topic->partition_count)
		return err_set(err, ERR_OPERATOR,
		               "%s had %" PRId32
		               " partitions when this service started, and has more "
		               "now: " TOPIC_KEEPS_PARTITIONS,
		               topic->name, topic->partition_count);
	*partition = (struct assigned_partition){.topic = topic,
	                                         .input = input,
	                                         .partition = assigned->partition,
	                                         .high = -1,
	                                         .last = &nothing_taken};
	partition_watch_init(&partition->watch, topic->name, assigned->partition);
	intake->partition_count++;
	return true;
}

bool intake_accept(struct intake *intake, struct err *err)
{
	const rd_kafka_topic_partition_list_t *assigned = intake->rebalance;

	clear_partitions(intake);
	intake->partitions =
		xrealloc(NULL, ((size_t)assigned->cnt + 1) * sizeof(*intake->partitions));
	for (int i = 0; i < assigned->cnt; i++)
		if (!add_partition(intake, &assigned->elems[i], err))
			return false;
	clear_rebalance(intake);
	intake->without_since_us = 0;
	intake_hold(intake);
	log_info("partitions_assigned", log_uint("partitions", intake->partition_count));
	return true;
}

void intake_release(struct intake *intake)
{
	intake_forget(intake);
	clear_partitions(intake);
	clear_rebalance(intake);
	intake->without_since_us = intake->verified_us = monotonic_us();
	partition_queues_assign(intake->queues, NULL);
}

bool intake_verify_client(struct intake *intake, int64_t now_us, struct err *err)
{
	bool lost;

	if (intake->without_since_us == 0 || intake->rebalance || intake->topic_count == 0 ||
	    now_us < intake->verified_us + VERIFY_AFTER_US)
		return true;
	lost = lost_client(intake->client, intake->kafka, intake->topics[0].name) ||
	       (now_us > intake->without_since_us + GIVE_UP_US &&
	        lost_client_new_one_connects(intake->kafka, intake->topics[0].name));
	intake->verified_us = now_us;
	return !lost || err_set(err, ERR_FENCED,
	                        "the Kafka client has had no partitions for %" PRId64
	                        " s, although the brokers answer a new client; the service starts "
	                        "again",
	                        (now_us - intake->without_since_us) / 1000000);
}

size_t intake_partition_count(const struct intake *intake)
{
	return intake->partition_count;
}

struct assigned_partition *intake_partition(const struct intake *intake, size_t number)
{
	return &intake->partitions[number];
}

rd_kafka_topic_partition_list_t *intake_list(const struct intake *intake)
{
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new((int)intake->partition_count);

	for (size_t i = 0; i < intake->partition_count; i++)
		rd_kafka_topic_partition_list_add(list, intake->partitions[i].topic->name,
		                                  intake->partitions[i].partition);
	return list;
}

static bool query_offsets(struct intake *intake, int64_t which, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = intake_list(intake);
	bool ok = kafka_offsets_at(intake->client, list, which, CALL_TIMEOUT_MS, err);

	for (int i = 0; ok && i < list->cnt; i++) {
		struct assigned_partition *partition = &intake->partitions[i];

		*(which == RD_KAFKA_OFFSET_END ? &partition->high : &partition->low) =
			list->elems[i].offset;
	}
	rd_kafka_topic_partition_list_destroy(list);
	return ok;
}

bool intake_log_starts(struct intake *intake, struct err *err)
{
	return query_offsets(intake, RD_KAFKA_OFFSET_BEGINNING, err);
}

bool intake_log_ends(struct intake *intake, struct err *err)
{
	return query_offsets(intake, RD_KAFKA_OFFSET_END, err);
}

static bool recognise(struct intake *intake, struct err *err)
{
	size_t count = 0;
	struct log_check *checks = xrealloc(NULL, (intake->partition_count + 1) * sizeof(*checks));
	int64_t now_us = monotonic_us();
	bool ok;

	for (size_t i = 0; i < intake->partition_count; i++) {
		const struct assigned_partition *partition = &intake->partitions[i];

		if (recreation_check_is_due(&partition->log, partition->last, now_us))
			checks[count++] =
				(struct log_check){.topic = partition->topic->name,
			                           .partition = partition->partition,
			                           .compacted = partition->topic->compacted,
			                           .mark = partition->log.known};
	}
	ok = same_log(intake->kafka, checks, count, err);
	if (ok && count)
		log_debug("input_topics_verified", log_uint("partitions", count),
		          log_int("took_us", monotonic_us() - now_us));
	for (size_t i = 0; ok && i < intake->partition_count; i++) {
		struct assigned_partition *partition = &intake->partitions[i];

		if (recreation_check_is_due(&partition->log, partition->last, now_us))
			recreation_check_passed(&partition->log, partition->last, now_us);
	}
	free(checks);
	return ok;
}

bool intake_recognises(struct intake *intake, struct err *err)
{
	return !intake->reading || recognise(intake, err);
}

bool intake_start(struct intake *intake, struct err *err)
{
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_resp_err_t code;

	for (size_t i = 0; i < intake->partition_count; i++)
		recreation_check_begin(&intake->partitions[i].log, intake->partitions[i].last,
		                       monotonic_us());
	if (!recognise(intake, err))
		return false;
	list = intake_list(intake);
	for (size_t i = 0; i < intake->partition_count; i++) {
		list->elems[i].offset = intake->partitions[i].position;
		partition_end_left(&intake->partitions[i].watch.end);
	}
	code = partition_queues_assign(intake->queues, list);
	rd_kafka_topic_partition_list_destroy(list);
	intake->reading = code == RD_KAFKA_RESP_ERR_NO_ERROR;
	return intake->reading ||
	       err_set(err, ERR_FATAL, "cannot assign partitions: %s", kafka_err_text(code));
}

bool intake_is_reading(const struct intake *intake)
{
	return intake->reading;
}

void intake_hold(struct intake *intake)
{
	rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);

	intake_forget(intake);
	partition_queues_assign(intake->queues, none);
	rd_kafka_topic_partition_list_destroy(none);
	intake->reading = false;
	/* The client may free these objects and reuse their memory. */
	for (size_t i = 0; i < intake->topic_count; i++)
		intake->topics[i].seen = NULL;
}

void intake_watch(struct intake *intake, int64_t limit_us)
{
	for (size_t i = 0; i < intake->partition_count; i++)
		intake->partitions[i].high = partition_watch_look(&intake->partitions[i].watch,
		                                                  intake->client, limit_us);
}

int64_t intake_readable(const struct assigned_partition *partition)
{
	return partition->watch.end.offset != PARTITION_END_NONE ||
	                       partition->high < partition->position
	               ? 0
	               : partition->high - partition->position;
}

size_t intake_watch_text(const struct intake *intake, char *text, size_t len, size_t cap)
{
	for (size_t i = 0; i < intake->partition_count; i++)
		len = partition_watch_text(&intake->partitions[i].watch, text, len, cap);
	return len;
}
