/* The opaque of each message is its entry in acks, which the delivery report marks.
 * rd_kafka_produceva is the only call that takes headers; it copies key and value. A failed
 * delivery is final for the run: the library has retried as long as it may, and later records of
 * the partition would be out of order. */
#include "sender.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka/kafka_client.h"
#include "kafka/kafka_error.h"
#include "kafka/kafka_topic.h"
#include "kafka/lost_client.h"
#include "wire/topics.h"

#define HEADERS_MAX 8

struct sender {
	const struct kafka_config *config;
	rd_kafka_t *client;
	char topic[TOPIC_NAME_MAX + 1], cluster[128];
	rd_kafka_topic_t *handle, *states;
	int64_t acknowledged;
	bool failed;
	struct err failure;
};

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
	struct sender *sender = opaque;
	struct ack *ack = message->_private;
	char why[512] = "";

	if (!ack)
		return;
	if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		ack->broker_offset = message->offset;
		ack->state = ACK_DONE;
		sender->acknowledged++;
		return;
	}
	if (sender->failed)
		return;
	sender->failed = true;
	if (rd_kafka_fatal_error(client, why, sizeof(why)) == RD_KAFKA_RESP_ERR_NO_ERROR)
		snprintf(why, sizeof(why), "%s", kafka_err_text(message->err));
	err_set(&sender->failure, kafka_err_class(message->err),
	        "topic %s partition %d: a record was not delivered: %s",
	        rd_kafka_topic_name(message->rkt), (int)message->partition, why);
	if (sender->failure.class == ERR_ABORT || sender->failure.class == ERR_INPUT)
		sender->failure.class = ERR_RETRY; /* the next run continues after the prefix */
}

struct sender *sender_new(const struct kafka_config *config, const char *client_id,
                          int64_t timeout_us, int linger_ms, struct err *err)
{
	char timeout_ms[24], linger[12];
	const char *extra[] = {"message.timeout.ms",
	                       timeout_ms,
	                       "queue.buffering.max.messages",
	                       "50000",
	                       "queue.buffering.max.kbytes",
	                       "262144",
	                       linger_ms ? "linger.ms" : NULL,
	                       linger,
	                       NULL};
	struct sender *sender = calloc(1, sizeof(*sender));
	rd_kafka_conf_t *conf = NULL;

	if (!sender) {
		err_set(err, ERR_FATAL, "out of memory");
		return NULL;
	}
	sender->config = config;
	snprintf(timeout_ms, sizeof(timeout_ms), "%lld", (long long)(timeout_us / 1000));
	snprintf(linger, sizeof(linger), "%d", linger_ms);
	if (!topic_name(config->topic_prefix, TOPIC_RAW_EVENTS, sender->topic,
	                sizeof(sender->topic)))
		err_set(err, ERR_OPERATOR,
		        "TOPIC_PREFIX=%s is too long: topic names have at most %d bytes",
		        config->topic_prefix, TOPIC_NAME_MAX);
	else
		conf = kafka_conf_new(config, KAFKA_PRODUCER_IDEMPOTENT, client_id, extra, err);
	if (conf) {
		rd_kafka_conf_set_opaque(conf, sender);
		rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
		sender->client = kafka_client_new(conf, KAFKA_PRODUCER_IDEMPOTENT, err);
	}
	if (!sender->client) {
		free(sender);
		return NULL;
	}
	return sender;
}

void sender_free(struct sender *sender)
{
	if (!sender)
		return;
	sender->failed = true; /* ignore the delivery reports of purged messages */
	rd_kafka_purge(sender->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	rd_kafka_poll(sender->client, 0);
	if (sender->handle)
		rd_kafka_topic_destroy(sender->handle);
	if (sender->states)
		rd_kafka_topic_destroy(sender->states);
	rd_kafka_destroy(sender->client);
	free(sender);
}

bool sender_connect(struct sender *sender, int timeout_ms, int32_t *partition_count,
                    struct err *err)
{
	char *cluster;

	if (!kafka_partition_count(sender->client, sender->topic, timeout_ms, partition_count, err))
		return false;
	if (*partition_count > PARTITIONS_MAX)
		return err_set(err, ERR_OPERATOR, "topic %s has %d partitions; expected at most %d",
		               sender->topic, (int)*partition_count, PARTITIONS_MAX);
	cluster = rd_kafka_clusterid(sender->client, timeout_ms);
	if (cluster)
		snprintf(sender->cluster, sizeof(sender->cluster), "%s", cluster);
	rd_kafka_mem_free(sender->client, cluster);
	if (!sender->handle) /* called again after ERR_RETRY */
		sender->handle = rd_kafka_topic_new(sender->client, sender->topic, NULL);
	return sender->handle || err_set(err, ERR_FATAL, "topic %s: %s", sender->topic,
	                                 rd_kafka_err2str(rd_kafka_last_error()));
}

const char *sender_topic(const struct sender *sender)
{
	return sender->topic;
}

const char *sender_cluster(const struct sender *sender)
{
	return sender->cluster;
}

bool sender_log_reaches(struct sender *sender, int32_t partition, int64_t offset, bool *reaches,
                        struct err *err)
{
	int64_t low, high;

	if (!kafka_offset_range(sender->client, sender->topic, partition, 5000, &low, &high, err))
		return false;
	*reaches = high > offset;
	return true;
}

static enum send_result produce(struct sender *sender, const rd_kafka_vu_t *args, size_t count,
                                const char *topic, int32_t partition, struct err *err)
{
	rd_kafka_error_t *error = rd_kafka_produceva(sender->client, args, count);
	rd_kafka_resp_err_t code;

	if (!error)
		return SEND_TAKEN;
	code = rd_kafka_error_code(error);
	if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
		err_set(err, kafka_err_class(code) == ERR_INPUT ? ERR_FATAL : kafka_err_class(code),
		        "topic %s partition %d: the client did not accept a record: %s", topic,
		        (int)partition, rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
	return code == RD_KAFKA_RESP_ERR__QUEUE_FULL ? SEND_FULL : SEND_FAILED;
}

/* The arguments of every record. Returns their number. */
static size_t record_args(rd_kafka_vu_t *args, rd_kafka_topic_t *topic, int32_t partition,
                          struct span key, struct span value, struct ack *ack)
{
	size_t count = 0;

	args[count].vtype = RD_KAFKA_VTYPE_RKT;
	args[count++].u.rkt = topic;
	args[count].vtype = RD_KAFKA_VTYPE_PARTITION;
	args[count++].u.i32 = partition;
	args[count].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
	args[count++].u.i = RD_KAFKA_MSG_F_COPY;
	args[count].vtype = RD_KAFKA_VTYPE_KEY;
	args[count].u.mem.ptr = (void *)(uintptr_t)key.at;
	args[count++].u.mem.size = key.len;
	args[count].vtype = RD_KAFKA_VTYPE_VALUE;
	args[count].u.mem.ptr = (void *)(uintptr_t)value.at;
	args[count++].u.mem.size = value.len;
	args[count].vtype = RD_KAFKA_VTYPE_OPAQUE;
	args[count++].u.ptr = ack;
	return count;
}

enum send_result sender_send(struct sender *sender, int32_t partition, struct span key,
                             struct span value, const struct header *headers, size_t header_count,
                             struct ack *ack, struct err *err)
{
	rd_kafka_vu_t args[6 + HEADERS_MAX];
	size_t count = record_args(args, sender->handle, partition, key, value, ack);

	for (size_t i = 0; i < header_count && i < HEADERS_MAX; i++) {
		args[count].vtype = RD_KAFKA_VTYPE_HEADER;
		args[count].u.header.name = headers[i].name.at;
		args[count].u.header.val = headers[i].value.at;
		args[count++].u.header.size = (ssize_t)headers[i].value.len;
	}
	return produce(sender, args, count, sender->topic, partition, err);
}

enum send_result sender_send_state(struct sender *sender, struct span key, struct span value,
                                   struct ack *ack, struct err *err)
{
	char name[TOPIC_NAME_MAX + 1];
	rd_kafka_vu_t args[6];

	if (!topic_name(sender->config->topic_prefix, TOPIC_PRODUCER_STATE, name, sizeof(name))) {
		err_set(err, ERR_OPERATOR, "TOPIC_PREFIX=%s is too long",
		        sender->config->topic_prefix);
		return SEND_FAILED;
	}
	if (!sender->states)
		sender->states = rd_kafka_topic_new(sender->client, name, NULL);
	if (!sender->states) {
		err_set(err, ERR_FATAL, "topic %s: %s", name,
		        rd_kafka_err2str(rd_kafka_last_error()));
		return SEND_FAILED;
	}
	return produce(sender, args, record_args(args, sender->states, 0, key, value, ack), name, 0,
	               err);
}

rd_kafka_t *sender_client(struct sender *sender)
{
	return sender->client;
}

bool sender_poll(struct sender *sender, int timeout_ms, struct err *err)
{
	rd_kafka_poll(sender->client, timeout_ms);
	if (sender->failed)
		*err = sender->failure;
	return !sender->failed;
}

void sender_log_partition_health(struct sender *sender)
{
	kafka_log_partition_health(sender->client, 1000);
}

bool sender_verify_client(struct sender *sender, struct err *err)
{
	if (!lost_client(sender->client, sender->config, sender->topic))
		return true;
	return err_set(err, ERR_RETRY,
	               "the Kafka client does not connect again, although the brokers answer a new "
	               "client; start the producer again: it continues after the last acknowledged "
	               "row");
}

int64_t sender_acknowledged(const struct sender *sender)
{
	return sender->acknowledged;
}
