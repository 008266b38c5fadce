/* Properties are set in four layers, the later winning: tuning, the guarded ones, the service's own (extra), then
 * KAFKA_PROPERTIES, which may hold none of the guarded names or their aliases.
 *
 * The tuning is for small transactions back to back: the broker answers CONCURRENT_TRANSACTIONS to the first
 * request of the next one, and retry.backoff.ms is what that costs (100 ms by default, 5 ms here); a flush ignores linger.ms.
 * Lag is taken from the position, not from committed offsets: librdkafka does not see those that
 * a transaction or PostgreSQL commits. It counts up to the high watermark, so that what an open
 * transaction holds back shows. At the end of a partition it is 0, though markers follow the last
 * record.
 * A property of the other role is accepted by librdkafka with a warning, which is logged as debug here.
 * Limits: KAFKA_PROPERTIES of up to 4 KiB. */
#define _GNU_SOURCE /* pthread_timedjoin_np */
#include "kafka/kafka.h"

#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "service/log.h"
#include "service/metrics.h"
#include "service/monotime.h"
#include "service/stop.h"
#include "stream/record.h"
#include "wire/topics.h"

#define PROPERTIES_CAP 4096
#define UNREACHABLE_LOG_US INT64_C(10000000)
#define PARTITIONS_LOG_US INT64_C(10000000)
#define MISSING_TOPIC_MS 5000
#define CONSUMER_END_MS 2000
/* librdkafka 2.2.0 to 2.13.1: see kafka_library_check. */
#define POSITION_MOVES_FROM 0x020200
#define POSITION_MOVES_TO 0x020d01
#define IN_FLIGHT_MAX 5 /* above this the idempotent producer could reorder */

struct property {
	const char *name, *value;
};

static const struct property tuning_all[] = {
	{"enable.sparse.connections", "false"}, /* else 2.15.1 may never connect again to its only broker after a stop */
	{"reconnect.backoff.ms", "50"},
	{"reconnect.backoff.max.ms", "2000"},
	{"topic.metadata.refresh.interval.ms", "30000"},
	{"socket.nagle.disable", "true"},
	{"socket.keepalive.enable", "true"},
	{"message.max.bytes", "8388608"}, /* of 4 MiB with its headers, and room for what the dead letter adds */
	{"receive.message.max.bytes", "67108864"},
	{"statistics.interval.ms", "5000"},
	{"log.connection.close", "false"},
	{NULL, NULL},
};
static const struct property tuning_consumer[] = {
	{"fetch.wait.max.ms", "50"}, /* what is there is given at once; this is how often an idle consumer asks again */
	{"fetch.error.backoff.ms", "20"},
	{"fetch.message.max.bytes", "8388608"},
	{"fetch.max.bytes", "33554432"},
	{"queued.max.messages.kbytes", "65536"},
	{"session.timeout.ms", "10000"},
	{"heartbeat.interval.ms", "1000"},
	{"max.poll.interval.ms", "300000"},
	{"fetch.queue.backoff.ms", "5"}, /* not before librdkafka 2.2: skipped there */
	{NULL, NULL},
};
static const struct property tuning_producer[] = {
	{"linger.ms", "5"}, /* measured: 1 ms costs up to a third of the rate and wins nothing, as a commit flushes at once */
	{"retry.backoff.ms", "5"},
	{"queue.buffering.max.messages", "1000000"},
	{"queue.buffering.max.kbytes", "524288"},
	{"batch.num.messages", "10000"},
	{"batch.size", "1048576"},
	{"compression.codec", "lz4"},
	{NULL, NULL},
};
static const struct property tuning_transactional[] = {
	{"transaction.timeout.ms", "10000"},
	{NULL, NULL},
};

static const struct property guarded_consumer[] = {
	{"enable.auto.commit", "false"},       {"enable.auto.offset.store", "false"}, {"isolation.level", "read_committed"},
	{"auto.offset.reset", "error"},        {"enable.partition.eof", "true"},      {"partition.assignment.strategy", "range"},
	{NULL, NULL},
};
static const struct property guarded_producer[] = {
	{"enable.idempotence", "true"},
	{"acks", "all"},
	{"max.in.flight.requests.per.connection", "5"},
	{"partitioner", "murmur2_random"},
	{NULL, NULL},
};

/* Names that KAFKA_PROPERTIES may not hold; the comments say whose alias. */
static const char *const guarded_names[] = {
	"enable.auto.commit",
	"auto.commit.enable", /* enable.auto.commit */
	"enable.auto.offset.store",
	"isolation.level",
	"auto.offset.reset",
	"enable.partition.eof",
	"partition.assignment.strategy",
	"group.id",
	"transactional.id",
	"enable.idempotence",
	"acks",
	"request.required.acks", /* acks */
	"partitioner",
	"bootstrap.servers",
	"metadata.broker.list", /* bootstrap.servers */
};

/* The broker has dropped an unused transactional id. The caller gets this as an error too, and goes
 * on with a new client. */
static bool says_expired_id(const char *text)
{
	return strstr(text, rd_kafka_err2str(RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING)) != NULL;
}

static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
	/* A refused connection has level 3 and is no error of ours: librdkafka goes on trying. */
	bool transport = strcmp(facility, "FAIL") == 0 || strcmp(facility, "ERROR") == 0;
	bool other_role = strncmp(facility, "CONF", 4) == 0 && strstr(text, "will be ignored by this");
	enum log_level our_level = other_role || level > 6 || says_expired_id(text) ? LOG_DEBUG
	                           : level > 4                                      ? LOG_INFO
	                           : level == 4 || transport                        ? LOG_WARN
	                                                                            : LOG_ERROR;

	LOG_EVENT(our_level, "kafka_log", log_str("client", client ? rd_kafka_name(client) : NULL),
	          log_str("facility", facility), log_str("detail", text), LOG_END);
}

static void log_unreachable(const char *client, const char *why)
{
	static _Atomic int64_t last_us;
	int64_t now_us = monotonic_us(), then_us = atomic_load(&last_us);

	if ((then_us == 0 || now_us - then_us > UNREACHABLE_LOG_US) && atomic_compare_exchange_strong(&last_us, &then_us, now_us))
		log_warn("kafka_unreachable", log_str("client", client), log_str("error", why));
}

static void on_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
	char why[512];

	(void)opaque;
	switch (code) {
	case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
	case RD_KAFKA_RESP_ERR__TRANSPORT:
	case RD_KAFKA_RESP_ERR__RESOLVE: log_unreachable(rd_kafka_name(client), reason); return;
	case RD_KAFKA_RESP_ERR__FATAL:
		code = rd_kafka_fatal_error(client, why, sizeof(why));
		log_error("kafka_fatal", log_str("client", rd_kafka_name(client)),
		          log_str("code", rd_kafka_err2name((rd_kafka_resp_err_t)code)),
		          log_str("error", why));
		return;
	default:
		log_warn("kafka_error", log_str("client", rd_kafka_name(client)),
		         log_str("code", rd_kafka_err2name((rd_kafka_resp_err_t)code)),
		         log_str("error", reason));
		return;
	}
}

/* Label values come from topic and client names: what could end the quotes is left out. */
static void label_text(const char *text, char *out, size_t cap)
{
	size_t len = 0;

	for (; text && *text && len + 1 < cap; text++)
		if (*text != '"' && *text != '\\' && *text != '\n')
			out[len++] = *text;
	out[len] = '\0';
}

static int64_t json_number(const json_t *object, const char *name, int64_t missing)
{
	const json_t *value = json_object_get(object, name);

	return json_is_integer(value) ? (int64_t)json_integer_value(value) : missing;
}

/* Records from the position to the high watermark; 0 where nothing is assigned. */
static int64_t partition_lag(const json_t *partition)
{
	int64_t high = json_number(partition, "hi_offset", -1);
	int64_t position = json_number(partition, "app_offset", -1);
	int64_t last_end = json_number(partition, "eof_offset", -1);
	const char *state = json_string_value(json_object_get(partition, "fetch_state"));

	if (!state || strcmp(state, "active") != 0)
		return 0;
	if (last_end > position && json_number(partition, "fetchq_cnt", 0) == 0)
		position = last_end; /* past markers and aborted records, which are not handed out */
	if (position < 0)
		position = json_number(partition, "committed_offset", -1);
	return position >= 0 && high > position ? high - position : 0;
}

static void stats_topics(json_t *root, const char *client)
{
	const char *topic_name, *number;
	json_t *topic, *partition;

	json_object_foreach(json_object_get(root, "topics"), topic_name, topic) {
		char topic_label[256];

		label_text(topic_name, topic_label, sizeof(topic_label));
		json_object_foreach(json_object_get(topic, "partitions"), number, partition) {
			char labels[512];

			if (number[0] == '-')
				continue; /* librdkafka's "no partition yet" */
			snprintf(labels, sizeof(labels), "client=\"%s\",topic=\"%s\",partition=\"%s\"", client, topic_label, number);
			metric_set(metric_get(METRIC_GAUGE, "consumer_lag", labels,
			                      "records from the position to the high watermark; 0 when not "
			                      "assigned here"),
			           partition_lag(partition));
		}
	}
}

static void stats_brokers(json_t *root, const char *labels)
{
	int64_t rtt_p95_us = 0, retries = 0, timeouts = 0;
	const char *name;
	json_t *broker;

	json_object_foreach(json_object_get(root, "brokers"), name, broker) {
		int64_t p95 = json_number(json_object_get(broker, "rtt"), "p95", 0);

		(void)name;
		rtt_p95_us = p95 > rtt_p95_us ? p95 : rtt_p95_us;
		retries += json_number(broker, "txretries", 0);
		timeouts += json_number(broker, "req_timeouts", 0);
	}
	metric_set(metric_get(METRIC_GAUGE, "kafka_rtt_p95_microseconds", labels, "slowest broker's 95th percentile of request times"), rtt_p95_us);
	metric_set(metric_get(METRIC_COUNTER, "kafka_request_retries_total", labels, "requests sent again"), retries);
	metric_set(metric_get(METRIC_COUNTER, "kafka_request_timeouts_total", labels, "requests without an answer in time"), timeouts);
}

static int on_stats(rd_kafka_t *client, char *text, size_t len, void *opaque)
{
	json_t *root = json_loadb(text, len, 0, NULL);
	char name[128], labels[160];

	(void)opaque;
	if (!root)
		return 0; /* 0: librdkafka frees the text */
	label_text(json_string_value(json_object_get(root, "client_id")), name, sizeof(name));
	snprintf(labels, sizeof(labels), "client=\"%s\",type=\"%s\"", name, rd_kafka_type(client) == RD_KAFKA_CONSUMER ? "consumer" : "producer");
	stats_brokers(root, labels);
	metric_set(metric_get(METRIC_GAUGE, "kafka_queued_messages", labels, "messages in the producer's queue, and in flight"),
	           json_number(root, "msg_cnt", 0));
	if (rd_kafka_type(client) == RD_KAFKA_CONSUMER) {
		stats_topics(root, name);
		metric_set(metric_get(METRIC_COUNTER, "kafka_rebalances_total", labels, "rebalances of the consumer group seen here"),
		           json_number(json_object_get(root, "cgrp"), "rebalance_cnt", 0));
	}
	json_decref(root);
	return 0;
}

/* Does nothing, but is needed: every commit begins with a flush, and without delivery reports the
 * flush of librdkafka (2.0.2 and 2.15.1) does not wake at the last acknowledgement but polls every
 * 10 ms. Measured at 5,000 events/s through both services: p99 from raw append to visible aggregate
 * fell from 201 to 96 ms. */
static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
	(void)client;
	(void)message;
	(void)opaque;
}

static bool set_property(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *err)
{
	char why[512];

	if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
		return true;
	return err_set(err, ERR_INPUT, "Kafka property %s: %s", name, why);
}

static bool set_properties(rd_kafka_conf_t *conf, const struct property *properties, struct err *err)
{
	for (; properties->name; properties++) {
		char why[512];

		if (rd_kafka_conf_set(conf, properties->name, properties->value, why, sizeof(why)) == RD_KAFKA_CONF_INVALID)
			return err_set(err, ERR_INPUT, "Kafka property %s: %s", properties->name, why);
	}
	return true;
}

static bool check_user_property(const char *name, const char *value, struct err *err)
{
	bool in_flight = strcmp(name, "max.in.flight") == 0 || strcmp(name, "max.in.flight.requests.per.connection") == 0;

	for (size_t i = 0; i < sizeof(guarded_names) / sizeof(*guarded_names); i++)
		if (strcmp(name, guarded_names[i]) == 0)
			return err_set(err, ERR_INPUT, "%s cannot be set, since exactly-once depends on it; take it out", name);
	if (in_flight) {
		char *end;
		long number = strtol(value, &end, 10);

		if (*end || end == value || number < 1 || number > IN_FLIGHT_MAX)
			return err_set(err, ERR_INPUT, "%s=%s; expected 1 to %d, above which messages could be reordered", name, value,
			               IN_FLIGHT_MAX);
	}
	return true;
}

/* Ends the item at its comma. An item without = belongs to the value before it, so debug=cgrp,topic is one
 * property; \, is a comma in a value that needs both. Returns the next item, NULL at the end. */
static char *split_property(char *item)
{
	char *to = item, *from = item;

	for (; *from; from++) {
		if (*from == '\\' && from[1] == ',') {
			*to++ = *++from;
			continue;
		}
		if (*from == ',' && (strcspn(from + 1, ",") == 0 || memchr(from + 1, '=', strcspn(from + 1, ","))))
			break;
		*to++ = *from;
	}
	from = *from ? from + 1 : NULL;
	*to = '\0';
	return from;
}

static bool set_user_properties(rd_kafka_conf_t *conf, const char *text, struct err *err)
{
	char copy[PROPERTIES_CAP], *item = copy, *next;
	bool good = true;

	if (!text)
		return true;
	if (strlen(text) >= sizeof(copy))
		return err_set(err, ERR_INPUT, "expected at most %d bytes", PROPERTIES_CAP - 1);
	snprintf(copy, sizeof(copy), "%s", text);
	for (; good && item; item = next) {
		char *equals;

		next = split_property(item);
		item += strspn(item, " ");
		equals = strchr(item, '=');
		if (!*item)
			continue;
		if (!equals || equals == item)
			good = err_set(err, ERR_INPUT, "expected name=value,name=value");
		else {
			*equals = '\0';
			good = check_user_property(item, equals + 1, err) && set_property(conf, item, equals + 1, err);
		}
	}
	explicit_bzero(copy, sizeof(copy));
	return good;
}

bool kafka_properties_check(const char *properties, struct err *err)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	bool good = set_user_properties(conf, properties, err);

	rd_kafka_conf_destroy(conf);
	return good;
}

static bool set_role(rd_kafka_conf_t *conf, enum kafka_role role, struct err *err)
{
	switch (role) {
	case KAFKA_CONSUMER: return set_properties(conf, tuning_consumer, err) && set_properties(conf, guarded_consumer, err);
	case KAFKA_PRODUCER_IDEMPOTENT: return set_properties(conf, tuning_producer, err) && set_properties(conf, guarded_producer, err);
	case KAFKA_PRODUCER_TRANSACTIONAL:
		rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
		return set_properties(conf, tuning_producer, err) && set_properties(conf, tuning_transactional, err) &&
		       set_properties(conf, guarded_producer, err);
	case KAFKA_ADMIN: return true;
	}
	return err_set(err, ERR_FATAL, "no such Kafka role");
}

static bool set_extra(rd_kafka_conf_t *conf, const char *const *extra, struct err *err)
{
	for (; extra && extra[0]; extra += 2)
		if (!set_property(conf, extra[0], extra[1], err))
			return false;
	return true;
}

rd_kafka_conf_t *kafka_conf_new(const struct kafka_config *config, enum kafka_role role, const char *client_id, const char *const *extra,
                                struct err *err)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	bool good;

	rd_kafka_conf_set_log_cb(conf, on_log);
	rd_kafka_conf_set_error_cb(conf, on_error);
	rd_kafka_conf_set_stats_cb(conf, on_stats);
	good = set_properties(conf, tuning_all, err) && set_property(conf, "bootstrap.servers", config->brokers, err) &&
	       set_property(conf, "client.id", client_id, err) && set_role(conf, role, err) && set_extra(conf, extra, err) &&
	       (set_user_properties(conf, config->properties, err) || err_prefix(err, "KAFKA_PROPERTIES"));
	if (good)
		return conf;
	rd_kafka_conf_destroy(conf);
	return NULL;
}

/* 0xMMmmrrxx: major, minor, revision, pre-release. The library that runs may be of another version
 * than the headers. */
bool kafka_library_check(int version, struct err *err)
{
	int release = version >> 8;

	if (release < POSITION_MOVES_FROM || release > POSITION_MOVES_TO)
		return true;
	return err_set(err, ERR_REFUSE,
	               "librdkafka %d.%d.%d cannot be used: from 2.2.0 to 2.13.1 it moves a consumer's "
	               "position past the end of a partition when it reports that end (upstream #5213). "
	               "Build with the pinned version (without LIBRDKAFKA=system), or install 2.13.2 "
	               "or newer",
	               release >> 16, release >> 8 & 0xff, release & 0xff);
}

rd_kafka_t *kafka_client_new(rd_kafka_conf_t *conf, enum kafka_role role, struct err *err)
{
	rd_kafka_type_t type = role == KAFKA_CONSUMER ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER;
	bool usable = kafka_library_check(rd_kafka_version(), err);
	rd_kafka_t *client;
	char why[512];

	client = usable ? rd_kafka_new(type, conf, why, sizeof(why)) : NULL;
	if (!client) {
		rd_kafka_conf_destroy(conf); /* not taken on failure */
		if (usable)
			err_set(err, ERR_REFUSE, "cannot make a Kafka client: %s", why);
		return NULL;
	}
	if (role == KAFKA_CONSUMER)
		rd_kafka_poll_set_consumer(client);
	return client;
}

/* The owner has given up the records that a producer still holds. Purging them and taking their
 * delivery reports keeps librdkafka from warning of them. */
static void *destroy_client(void *client)
{
	if (rd_kafka_type(client) == RD_KAFKA_PRODUCER) {
		rd_kafka_purge(client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
		while (rd_kafka_poll(client, 0) > 0)
			;
	}
	rd_kafka_destroy(client);
	return NULL;
}

/* In a thread of its own, since there is no other way to stop waiting. */
bool kafka_destroy_within(rd_kafka_t *client, int timeout_ms, struct err *err)
{
	struct timespec deadline;
	pthread_t thread;

	if (pthread_create(&thread, NULL, destroy_client, client) != 0)
		return err_set(err, ERR_FENCED, "no thread to end a Kafka client in");
	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += timeout_ms / 1000;
	if (pthread_timedjoin_np(thread, NULL, &deadline) == 0)
		return true;
	pthread_detach(thread);
	return err_set(err, ERR_FENCED, "a Kafka client has not ended within %d ms", timeout_ms);
}

/* librdkafka 2.0.2 keeps a thread of a topic that was away and came back. */
bool kafka_consumer_end(rd_kafka_t *consumer)
{
	struct err err;

	if (!consumer)
		return true;
	rd_kafka_consumer_close(consumer);
	if (kafka_destroy_within(consumer, CONSUMER_END_MS, &err))
		return true;
	log_warn("kafka_client_abandoned", log_str("role", "consumer"),
	         log_str("error", err.message));
	return false;
}

/* Asks for all topics, because asking for one by name may create it, with the broker's own count of partitions. */
static bool ask_partition_count(rd_kafka_t *client, const char *topic, int timeout_ms, int32_t *count, struct err *err)
{
	const struct rd_kafka_metadata *metadata = NULL;
	rd_kafka_resp_err_t code = rd_kafka_metadata(client, 1, NULL, &metadata, timeout_ms);
	const rd_kafka_metadata_topic_t *found = NULL;
	bool good;

	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err_set(err, ERR_RETRY, "topic %s: no broker has answered in %d ms: %s", topic, timeout_ms, rd_kafka_err2str(code));
	for (int i = 0; i < metadata->topic_cnt && !found; i++)
		if (strcmp(metadata->topics[i].topic, topic) == 0)
			found = &metadata->topics[i];
	if (!found)
		good = err_set(err, ERR_REFUSE, "topic %s does not exist; make the topics first, then start this again", topic);
	else if (found->partition_cnt <= 0)
		good = err_set(err, ERR_RETRY, "topic %s: %s", topic, rd_kafka_err2str(found->err));
	else {
		*count = found->partition_cnt;
		good = true;
	}
	rd_kafka_metadata_destroy(metadata);
	return good;
}

/* A broker that has just started, or lags behind its controller, does not know yet what is there. */
bool kafka_partition_count(rd_kafka_t *client, const char *topic, int timeout_ms, int32_t *count, struct err *err)
{
	int64_t until_us = monotonic_us() + (timeout_ms < MISSING_TOPIC_MS ? timeout_ms : MISSING_TOPIC_MS) * INT64_C(1000);

	while (!ask_partition_count(client, topic, timeout_ms, count, err)) {
		if (err->class != ERR_REFUSE || monotonic_us() > until_us || service_stopping())
			return false;
		poll(NULL, 0, 200);
	}
	return true;
}

bool kafka_bounds(rd_kafka_t *client, const char *topic, int32_t partition, int timeout_ms, int64_t *low, int64_t *high, struct err *err)
{
	rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(client, topic, partition, low, high, timeout_ms);

	return code == RD_KAFKA_RESP_ERR_NO_ERROR || err_set(err, kafka_err_class(code) == ERR_REFUSE ? ERR_REFUSE : ERR_RETRY, "offsets of %s/%" PRId32 ": %s",
	                                                     topic, partition, rd_kafka_err2str(code));
}

static void tell_partition(const char *topic, const rd_kafka_metadata_partition_t *partition)
{
	if (partition->leader < 0)
		log_warn("partition_offline", log_partition(topic, partition->id),
		         log_str("detail",
		                 "the partition has no leader; start the brokers of its replicas"));
	else
		log_warn("partition_underreplicated", log_partition(topic, partition->id),
		         log_int("in_sync", partition->isr_cnt),
		         log_int("replicas", partition->replica_cnt),
		         log_str("detail",
		                 "writes fail while fewer than min.insync.replicas are in sync"));
}

void kafka_tell_partitions(rd_kafka_t *client, int timeout_ms)
{
	static int64_t last_us; /* the main thread alone calls this */
	const struct rd_kafka_metadata *metadata = NULL;
	int64_t now_us = monotonic_us();

	if (last_us != 0 && now_us - last_us < PARTITIONS_LOG_US)
		return;
	last_us = now_us;
	if (rd_kafka_metadata(client, 0, NULL, &metadata, timeout_ms) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return;
	for (int t = 0; t < metadata->topic_cnt; t++) {
		const rd_kafka_metadata_topic_t *topic = &metadata->topics[t];

		for (int p = 0; p < topic->partition_cnt; p++) {
			if (topic->partitions[p].leader >= 0 && topic->partitions[p].isr_cnt >= topic->partitions[p].replica_cnt)
				continue;
			tell_partition(topic->topic, &topic->partitions[p]);
			break; /* one tells enough of its topic */
		}
	}
	rd_kafka_metadata_destroy(metadata);
}

/* What is not listed is fatal. */
static const struct {
	rd_kafka_resp_err_t code;
	enum err_class class;
} error_classes[] = {
	{RD_KAFKA_RESP_ERR_NO_ERROR, ERR_NONE},
	{RD_KAFKA_RESP_ERR__FENCED, ERR_FENCED},
	{RD_KAFKA_RESP_ERR_PRODUCER_FENCED, ERR_FENCED},
	{RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, ERR_FENCED},
	{RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, ERR_FENCED},
	{RD_KAFKA_RESP_ERR__FATAL, ERR_FENCED},
	/* The assignment or the transaction is gone, not the data. */
	{RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, ERR_ABORT},
	{RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, ERR_ABORT},
	{RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, ERR_ABORT},
	{RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST, ERR_ABORT},
	{RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED, ERR_ABORT},
	{RD_KAFKA_RESP_ERR__PURGE_QUEUE, ERR_ABORT},
	{RD_KAFKA_RESP_ERR__PURGE_INFLIGHT, ERR_ABORT},
	{RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID, ERR_ABORT},
	{RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING, ERR_ABORT},
	{RD_KAFKA_RESP_ERR__TRANSPORT, ERR_RETRY},
	{RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, ERR_RETRY},
	{RD_KAFKA_RESP_ERR__RESOLVE, ERR_RETRY},
	{RD_KAFKA_RESP_ERR__TIMED_OUT, ERR_RETRY},
	{RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, ERR_RETRY},
	{RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, ERR_RETRY},
	{RD_KAFKA_RESP_ERR__WAIT_COORD, ERR_RETRY},
	{RD_KAFKA_RESP_ERR__WAIT_CACHE, ERR_RETRY},
	{RD_KAFKA_RESP_ERR__QUEUE_FULL, ERR_RETRY},
	{RD_KAFKA_RESP_ERR__IN_PROGRESS, ERR_RETRY},
	{RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS, ERR_RETRY},
	{RD_KAFKA_RESP_ERR__RETRY, ERR_RETRY},
	{RD_KAFKA_RESP_ERR__INTR, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_NOT_COORDINATOR, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_NOT_CONTROLLER, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_LISTENER_NOT_FOUND, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_PREFERRED_LEADER_NOT_AVAILABLE, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, ERR_RETRY}, /* a broker that starts may not know its topics yet */
	/* Records are gone, or an operator has to change something. */
	{RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, ERR_REFUSE}, /* librdkafka has waited: the topic is not there */
	{RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, ERR_REFUSE},
	{RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, ERR_REFUSE},
	{RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, ERR_REFUSE},
	{RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE, ERR_REFUSE},
	{RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, ERR_REFUSE},
};

/* Rights that somebody has to give. */
static const rd_kafka_resp_err_t missing_rights[] = {
	RD_KAFKA_RESP_ERR__AUTHENTICATION,
	RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED,
	RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
	RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
	RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
	RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
};

bool kafka_err_missing_right(rd_kafka_resp_err_t code)
{
	for (size_t i = 0; i < sizeof(missing_rights) / sizeof(*missing_rights); i++)
		if (missing_rights[i] == code)
			return true;
	return false;
}

enum err_class kafka_err_class(rd_kafka_resp_err_t code)
{
	for (size_t i = 0; i < sizeof(error_classes) / sizeof(*error_classes); i++)
		if (error_classes[i].code == code)
			return error_classes[i].class;
	return kafka_err_missing_right(code) ? ERR_REFUSE : ERR_FATAL;
}

bool kafka_err_take(struct err *err, rd_kafka_error_t *error, const char *context)
{
	rd_kafka_resp_err_t code = rd_kafka_error_code(error);
	enum err_class class = ERR_FATAL;

	/* A client in a fatal state (a lost sequence, say, after a long outage) is of no use, but a new one is; not where a
	 * right is missing, however librdkafka calls that. */
	if (kafka_err_missing_right(code))
		class = ERR_REFUSE;
	else if (kafka_err_class(code) == ERR_FENCED || rd_kafka_error_is_fatal(error))
		class = ERR_FENCED;
	else if (rd_kafka_error_txn_requires_abort(error))
		class = ERR_ABORT;
	else if (rd_kafka_error_is_retriable(error))
		class = ERR_RETRY;
	err_set(err, class, "%s: %s (%s)", context, rd_kafka_error_string(error), rd_kafka_error_name(error));
	rd_kafka_error_destroy(error);
	return false;
}

bool kafka_err_is_expired_id(const struct err *err)
{
	return says_expired_id(err->message);
}

int64_t kafka_time_ms(const rd_kafka_message_t *message)
{
	return record_time_clamp_ms(rd_kafka_message_timestamp(message, NULL));
}

rd_kafka_headers_t *kafka_headers_new(const struct output *output)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(output->header_count);

	for (uint16_t i = 0; i < output->header_count; i++)
		rd_kafka_header_add(headers, output->headers[i].name.at, (ssize_t)output->headers[i].name.len, output->headers[i].value.at,
		                    (ssize_t)output->headers[i].value.len);
	return headers;
}
