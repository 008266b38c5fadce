/* The parts of librdkafka without requests: configuration, lists, headers, errors, names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "sim/choice.h"
#include "sim/process.h"
#include "sim/rd_client.h"
#include "sim/story.h"

/* ---- faults */

bool rd_local_fails(const char *call)
{
	struct process *process = process_current();

	if (!process || !choose(CHOICE_LOCAL, process->actor, 2))
		return false;
	story("%s fails", call);
	process->excused = true;
	return true;
}

bool rd_right_is_missing(const char *request)
{
	struct process *process = process_current();

	if (!choose(CHOICE_RIGHT, process->actor, 2))
		return false;
	story("%s: a right is missing", request);
	process->excused = true;
	return true;
}

bool rd_is_silent(rd_kafka_t *client, enum choice_kind kind)
{
	uint32_t silence;

	if (client->silence)
		return true;
	silence = choose(kind, process_current()->actor, 3);
	if (!silence)
		return false;
	story("the client %s connects to no %s any more", client->conf.client_id,
	      silence == RD_NO_BROKER ? "broker" : "coordinator");
	client->silence = (enum rd_silence)silence;
	client->silent_since_us = sim_now_us();
	return true;
}

/* ---- configuration */

rd_kafka_conf_t *rd_kafka_conf_new(void)
{
	return xzalloc(1, sizeof(rd_kafka_conf_t));
}

void rd_kafka_conf_destroy(rd_kafka_conf_t *conf)
{
	free(conf);
}

rd_kafka_conf_res_t rd_kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value,
                                      char *errstr, size_t errstr_size)
{
	if (strcmp(name, "client.id") == 0 && rd_local_fails("rd_kafka_conf_set")) {
		snprintf(errstr, errstr_size, "simulated");
		return RD_KAFKA_CONF_INVALID;
	}
	if (strcmp(name, "client.id") == 0)
		snprintf(conf->client_id, sizeof(conf->client_id), "%s", value);
	else if (strcmp(name, "group.id") == 0)
		snprintf(conf->group, sizeof(conf->group), "%s", value);
	else if (strcmp(name, "transactional.id") == 0)
		snprintf(conf->transactional_id, sizeof(conf->transactional_id), "%s", value);
	else if (strcmp(name, "max.poll.interval.ms") == 0)
		conf->max_poll_us = strtoll(value, NULL, 10) * 1000;
	else if (strcmp(name, "isolation.level") == 0)
		conf->read_uncommitted = strcmp(value, "read_uncommitted") == 0;
	else if (strcmp(name, "transaction.timeout.ms") == 0)
		conf->transaction_timeout_us = strtoll(value, NULL, 10) * 1000;
	return RD_KAFKA_CONF_OK;
}

void rd_kafka_conf_set_log_cb(rd_kafka_conf_t *conf,
                              void (*log_cb)(const rd_kafka_t *rk, int level, const char *fac,
                                             const char *buf))
{
	(void)conf, (void)log_cb;
}

void rd_kafka_conf_set_error_cb(rd_kafka_conf_t *conf,
                                void (*error_cb)(rd_kafka_t *rk, int err, const char *reason,
                                                 void *opaque))
{
	(void)conf, (void)error_cb;
}

void rd_kafka_conf_set_stats_cb(rd_kafka_conf_t *conf,
                                int (*stats_cb)(rd_kafka_t *rk, char *json, size_t json_len,
                                                void *opaque))
{
	(void)conf, (void)stats_cb;
}

void rd_kafka_conf_set_dr_msg_cb(rd_kafka_conf_t *conf,
                                 void (*dr_msg_cb)(rd_kafka_t *rk,
                                                   const rd_kafka_message_t *rkmessage,
                                                   void *opaque))
{
	(void)conf, (void)dr_msg_cb;
}

void rd_kafka_conf_set_rebalance_cb(
	rd_kafka_conf_t *conf,
	void (*rebalance_cb)(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                             rd_kafka_topic_partition_list_t *partitions, void *opaque))
{
	conf->rebalance_cb = rebalance_cb;
}

void rd_kafka_conf_set_opaque(rd_kafka_conf_t *conf, void *opaque)
{
	conf->opaque = opaque;
}

rd_kafka_resp_err_t rd_kafka_conf_interceptor_add_on_new(rd_kafka_conf_t *conf, const char *name,
                                                         rd_kafka_interceptor_f_on_new_t *on_new,
                                                         void *opaque)
{
	(void)name;
	conf->on_new = on_new;
	conf->on_new_opaque = opaque;
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t rd_kafka_interceptor_add_on_response_received(
	rd_kafka_t *client, const char *name,
	rd_kafka_interceptor_f_on_response_received_t *on_response, void *opaque)
{
	(void)name;
	if (rd_local_fails("rd_kafka_interceptor_add"))
		return RD_KAFKA_RESP_ERR__CONFLICT;
	client->on_response = on_response;
	client->on_response_opaque = opaque;
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* ---- clients and topics */

rd_kafka_t *rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *errstr, size_t size)
{
	rd_kafka_t *client;
	char why[256];

	if (rd_local_fails("rd_kafka_new")) {
		snprintf(errstr, size, "simulated");
		return NULL;
	}
	client = xzalloc(1, sizeof(*client));
	client->type = type;
	client->conf = *conf;
	client->generation = -1;
	if (conf->on_new)
		conf->on_new(client, conf, conf->on_new_opaque, why, sizeof(why));
	free(conf);
	return client;
}

void rd_kafka_destroy(rd_kafka_t *client)
{
	if (client->type == RD_KAFKA_CONSUMER)
		rd_consumer_destroy(client);
	else
		rd_producer_destroy(client);
	while (client->topics) {
		rd_kafka_topic_t *topic = client->topics;

		client->topics = topic->next;
		free(topic);
	}
	free(client);
}

rd_kafka_topic_t *rd_topic(rd_kafka_t *client, const char *name)
{
	rd_kafka_topic_t *topic = client->topics;

	while (topic && strcmp(topic->name, name) != 0)
		topic = topic->next;
	if (topic)
		return topic;
	topic = xzalloc(1, sizeof(*topic));
	snprintf(topic->name, sizeof(topic->name), "%s", name);
	topic->client = client;
	topic->next = client->topics;
	client->topics = topic;
	return topic;
}

void rd_topics_free_unused(rd_kafka_t *client)
{
	rd_kafka_topic_t **at = &client->topics;

	while (*at) {
		rd_kafka_topic_t *topic = *at;

		if (topic->messages) {
			at = &topic->next;
			continue;
		}
		*at = topic->next;
		free(topic);
	}
}

rd_kafka_topic_t *rd_kafka_topic_new(rd_kafka_t *client, const char *name,
                                     rd_kafka_topic_conf_t *conf)
{
	(void)conf;
	return rd_local_fails("rd_kafka_topic_new") ? NULL : rd_topic(client, name);
}

void rd_kafka_topic_destroy(rd_kafka_topic_t *topic)
{
	(void)topic; /* freed with the client */
}

const char *rd_kafka_topic_name(const rd_kafka_topic_t *topic)
{
	return topic->name;
}

const char *rd_kafka_name(const rd_kafka_t *client)
{
	return client->conf.client_id;
}

rd_kafka_type_t rd_kafka_type(const rd_kafka_t *client)
{
	return client->type;
}

rd_kafka_resp_err_t rd_kafka_poll_set_consumer(rd_kafka_t *client)
{
	(void)client;
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

int rd_kafka_version(void)
{
	return RD_KAFKA_VERSION;
}

const char *rd_kafka_version_str(void)
{
	return "simulated";
}

/* ---- lists of partitions */

rd_kafka_topic_partition_list_t *rd_kafka_topic_partition_list_new(int size)
{
	rd_kafka_topic_partition_list_t *list = xzalloc(1, sizeof(*list));

	list->size = size > 0 ? size : 1;
	list->elems = xzalloc((size_t)list->size, sizeof(*list->elems));
	return list;
}

void rd_kafka_topic_partition_list_destroy(rd_kafka_topic_partition_list_t *list)
{
	for (int i = 0; i < list->cnt; i++) {
		free(list->elems[i].topic);
		free(list->elems[i].metadata);
	}
	free(list->elems);
	free(list);
}

rd_kafka_topic_partition_t *rd_kafka_topic_partition_list_add(rd_kafka_topic_partition_list_t *list,
                                                              const char *topic, int32_t partition)
{
	rd_kafka_topic_partition_t *entry;

	if (list->cnt == list->size) {
		list->size *= 2;
		list->elems = xrealloc(list->elems, (size_t)list->size * sizeof(*list->elems));
	}
	entry = &list->elems[list->cnt++];
	memset(entry, 0, sizeof(*entry));
	entry->topic = strdup(topic);
	entry->partition = partition;
	entry->offset = RD_KAFKA_OFFSET_INVALID;
	return entry;
}

void rd_kafka_topic_partition_list_add_range(rd_kafka_topic_partition_list_t *list,
                                             const char *topic, int32_t start, int32_t stop)
{
	for (int32_t p = start; p <= stop; p++)
		rd_kafka_topic_partition_list_add(list, topic, p);
}

rd_kafka_topic_partition_list_t *rd_kafka_topic_partition_list_copy(
	const rd_kafka_topic_partition_list_t *from)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(from->cnt);

	for (int i = 0; i < from->cnt; i++)
		rd_kafka_topic_partition_list_add(list, from->elems[i].topic,
		                                  from->elems[i].partition)
			->offset = from->elems[i].offset;
	return list;
}

rd_kafka_topic_partition_t *rd_kafka_topic_partition_list_find(
	const rd_kafka_topic_partition_list_t *list, const char *topic, int32_t partition)
{
	for (int i = 0; i < list->cnt; i++)
		if (list->elems[i].partition == partition &&
		    strcmp(list->elems[i].topic, topic) == 0)
			return &list->elems[i];
	return NULL;
}

/* ---- headers and messages */

rd_kafka_headers_t *rd_kafka_headers_new(size_t count)
{
	(void)count;
	return xzalloc(1, sizeof(rd_kafka_headers_t));
}

void rd_kafka_headers_destroy(rd_kafka_headers_t *headers)
{
	for (size_t i = 0; i < headers->count; i++) {
		free((void *)(uintptr_t)headers->at[i].name.at);
		free((void *)(uintptr_t)headers->at[i].value.at);
	}
	free(headers->at);
	free(headers);
}

static struct span copy(const void *at, size_t len)
{
	char *to;

	if (!at)
		return SPAN_NULL;
	to = xrealloc(NULL, len + 1);
	memcpy(to, at, len);
	to[len] = '\0';
	return (struct span){to, len};
}

rd_kafka_resp_err_t rd_kafka_header_add(rd_kafka_headers_t *headers, const char *name,
                                        ssize_t name_size, const void *value, ssize_t value_size)
{
	GROW(headers->at, headers->count, headers->capacity);
	headers->at[headers->count++] =
		(struct header){copy(name, name_size < 0 ? strlen(name) : (size_t)name_size),
	                        copy(value, (size_t)value_size)};
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t rd_kafka_header_get_all(const rd_kafka_headers_t *headers, size_t i,
                                            const char **name, const void **value, size_t *size)
{
	if (i >= headers->count)
		return RD_KAFKA_RESP_ERR__NOENT;
	*name = headers->at[i].name.at;
	*value = headers->at[i].value.at;
	*size = headers->at[i].value.len;
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t rd_kafka_message_headers(const rd_kafka_message_t *message,
                                             rd_kafka_headers_t **headers)
{
	struct sim_message *m = (struct sim_message *)(uintptr_t)message;

	*headers = &m->headers;
	return m->headers.count ? RD_KAFKA_RESP_ERR_NO_ERROR : RD_KAFKA_RESP_ERR__NOENT;
}

int64_t rd_kafka_message_timestamp(const rd_kafka_message_t *message,
                                   rd_kafka_timestamp_type_t *type)
{
	if (type)
		*type = RD_KAFKA_TIMESTAMP_CREATE_TIME;
	return ((const struct sim_message *)message)->time_ms;
}

/* Overwrites the bytes: nobody may use them any more. */
void rd_kafka_message_destroy(rd_kafka_message_t *message)
{
	struct sim_message *m = (struct sim_message *)message;

	if (message->rkt)
		message->rkt->messages--;
	memset(m + 1, 0xdd, m->bytes);
	memset(m, 0xdd, sizeof(*m));
	free(m);
}

const char *rd_kafka_message_errstr(const rd_kafka_message_t *message)
{
	return rd_kafka_err2str(message->err);
}

/* ---- errors */

/* clang-format off */
#define ERRORS(X)                                                                                 \
	X(NO_ERROR) X(_TIMED_OUT) X(_TRANSPORT) X(_STATE) X(_FATAL) X(_FENCED)                    \
	X(_PARTITION_EOF) X(_AUTO_OFFSET_RESET) X(_UNKNOWN_PARTITION) X(_UNKNOWN_TOPIC)           \
	X(_QUEUE_FULL) X(_ASSIGN_PARTITIONS) X(_REVOKE_PARTITIONS) X(_NOENT)                      \
	X(_WAIT_COORD) X(_INCONSISTENT) X(_MAX_POLL_EXCEEDED)                                     \
	X(NOT_LEADER_FOR_PARTITION) X(NOT_ENOUGH_REPLICAS) X(COORDINATOR_LOAD_IN_PROGRESS)        \
	X(COORDINATOR_NOT_AVAILABLE) X(NOT_COORDINATOR) X(CONCURRENT_TRANSACTIONS)                \
	X(INVALID_PRODUCER_EPOCH) X(PRODUCER_FENCED) X(INVALID_TXN_STATE)                         \
	X(INVALID_PRODUCER_ID_MAPPING) X(UNKNOWN_PRODUCER_ID) X(OUT_OF_ORDER_SEQUENCE_NUMBER)     \
	X(ILLEGAL_GENERATION) X(UNKNOWN_MEMBER_ID) X(UNSTABLE_OFFSET_COMMIT)                      \
	X(UNKNOWN_TOPIC_OR_PART) X(OFFSET_OUT_OF_RANGE) X(UNKNOWN) X(_INVALID_ARG)                \
	X(_MSG_TIMED_OUT) X(MSG_SIZE_TOO_LARGE) X(TOPIC_AUTHORIZATION_FAILED)                     \
	X(GROUP_AUTHORIZATION_FAILED) X(TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
/* clang-format on */

static const struct {
	rd_kafka_resp_err_t code;
	const char *name;
} errors[] = {
#define ERROR(name) {RD_KAFKA_RESP_ERR_##name, #name},
	ERRORS(ERROR)
#undef ERROR
};

const char *rd_kafka_err2name(rd_kafka_resp_err_t code)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i].code == code)
			return errors[i].name;
	return "another error";
}

const char *rd_kafka_err2str(rd_kafka_resp_err_t code)
{
	return rd_kafka_err2name(code);
}

rd_kafka_resp_err_t rd_kafka_last_error(void)
{
	return RD_KAFKA_RESP_ERR__INVALID_ARG;
}

rd_kafka_error_t *rd_error(rd_kafka_resp_err_t code, bool retriable, bool abortable, bool fatal,
                           const char *text)
{
	rd_kafka_error_t *error = xzalloc(1, sizeof(*error));

	*error = (rd_kafka_error_t){code, fatal, retriable, abortable, ""};
	snprintf(error->text, sizeof(error->text), "%s: %s", text, rd_kafka_err2str(code));
	return error;
}

rd_kafka_resp_err_t rd_kafka_error_code(const rd_kafka_error_t *error)
{
	return error->code;
}

const char *rd_kafka_error_name(const rd_kafka_error_t *error)
{
	return rd_kafka_err2name(error->code);
}

const char *rd_kafka_error_string(const rd_kafka_error_t *error)
{
	return error->text;
}

int rd_kafka_error_is_fatal(const rd_kafka_error_t *error)
{
	return error->fatal;
}

int rd_kafka_error_is_retriable(const rd_kafka_error_t *error)
{
	return error->retriable;
}

int rd_kafka_error_txn_requires_abort(const rd_kafka_error_t *error)
{
	return error->abortable;
}

void rd_kafka_error_destroy(rd_kafka_error_t *error)
{
	free(error);
}

rd_kafka_resp_err_t rd_kafka_fatal_error(rd_kafka_t *client, char *text, size_t size)
{
	snprintf(text, size, "%s", client->failure_text);
	return client->txn == RD_TXN_FATAL ? client->failure : RD_KAFKA_RESP_ERR_NO_ERROR;
}
