/* Changes a broker in ways that the services do not expect. For the scenarios; one command per
 * call:
 *
 *   broker delete-group GROUP                           deletes its committed offsets
 *   broker delete-topic TOPIC
 *   broker create-topic TOPIC PARTITIONS
 *   broker grow-topic TOPIC PARTITIONS
 *   broker cut TOPIC PARTITION OFFSET                   deletes the records before OFFSET, as
 *                                                       retention does
 *   broker commit GROUP TOPIC PARTITION OFFSET METADATA
 *   broker committed GROUP TOPIC PARTITION              prints OFFSET, a tab, METADATA
 *   broker deny TOPIC read|write                        denies it to everybody
 *   broker allow TOPIC                                  deletes all access rules of the topic
 *   broker hold TOPIC PARTITIONS SECONDS                keeps a transaction open, with a record in
 *                                                       each partition, for SECONDS or until TERM;
 *                                                       then aborts it; prints "holding" when it is
 *                                                       open
 *   broker repeat TOPIC PARTITION OFFSET TIME           appends the record again, with TIME as
 *                                                       its timestamp (milliseconds, any number)
 *
 * KAFKA_BROKERS names the broker. Exit 0, or 1 with the error. Limits: one action per call; 30 s
 * for each request. */
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALL_MS 30000

static bool failed(const char *what, const char *why)
{
	fprintf(stderr, "broker: %s: %s\n", what, why);
	return false;
}

static const char *acl_error(const rd_kafka_CreateAcls_result_t *result)
{
	size_t count = 0;
	const rd_kafka_acl_result_t **results = rd_kafka_CreateAcls_result_acls(result, &count);

	for (size_t i = 0; i < count; i++)
		if (rd_kafka_acl_result_error(results[i]))
			return rd_kafka_error_string(rd_kafka_acl_result_error(results[i]));
	return NULL;
}

/* The error of the only result in an answer of any kind; NULL if it succeeded. */
static const char *error_of(rd_kafka_event_t *event)
{
	const rd_kafka_topic_result_t **topics = NULL;
	const rd_kafka_group_result_t **groups;
	size_t count = 0;

	if (rd_kafka_event_error(event))
		return rd_kafka_event_error_string(event);
	switch (rd_kafka_event_type(event)) {
	case RD_KAFKA_EVENT_CREATETOPICS_RESULT:
		topics = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(
								     event),
		                                             &count);
		break;
	case RD_KAFKA_EVENT_DELETETOPICS_RESULT:
		topics = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(
								     event),
		                                             &count);
		break;
	case RD_KAFKA_EVENT_CREATEPARTITIONS_RESULT:
		topics = rd_kafka_CreatePartitions_result_topics(
			rd_kafka_event_CreatePartitions_result(event), &count);
		break;
	case RD_KAFKA_EVENT_DELETEGROUPS_RESULT:
		groups = rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(
								     event),
		                                             &count);
		return count && rd_kafka_group_result_error(groups[0])
		               ? rd_kafka_error_string(rd_kafka_group_result_error(groups[0]))
		               : NULL;
	case RD_KAFKA_EVENT_CREATEACLS_RESULT:
		return acl_error(rd_kafka_event_CreateAcls_result(event));
	case RD_KAFKA_EVENT_DELETEACLS_RESULT:
		return NULL; /* if there is no rule, there is nothing to delete */
	case RD_KAFKA_EVENT_DELETERECORDS_RESULT:
		return rd_kafka_DeleteRecords_result_offsets(
			       rd_kafka_event_DeleteRecords_result(event))
		                       ->elems[0]
		                       .err
		               ? "the broker did not delete the records"
		               : NULL;
	default: return "unexpected type of answer";
	}
	return count && rd_kafka_topic_result_error(topics[0])
	               ? rd_kafka_err2str(rd_kafka_topic_result_error(topics[0]))
	               : NULL;
}

/* If a topic has a rule, the broker denies everything that no rule allows. So a second rule allows
 * everything else. */
static void deny(rd_kafka_t *client, rd_kafka_queue_t *queue,
                 const rd_kafka_AdminOptions_t *options, char **args)
{
	const struct {
		rd_kafka_AclOperation_t operation;
		rd_kafka_AclPermissionType_t permission;
	} rules[] = {
		{RD_KAFKA_ACL_OPERATION_ALL, RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW},
		{strcmp(args[2], "read") == 0 ? RD_KAFKA_ACL_OPERATION_READ
	                                      : RD_KAFKA_ACL_OPERATION_WRITE,
	         RD_KAFKA_ACL_PERMISSION_TYPE_DENY},
	};
	rd_kafka_AclBinding_t *bindings[2];
	char why[256];

	for (size_t i = 0; i < 2; i++)
		bindings[i] = rd_kafka_AclBinding_new(RD_KAFKA_RESOURCE_TOPIC, args[1],
		                                      RD_KAFKA_RESOURCE_PATTERN_LITERAL, "User:*",
		                                      "*", rules[i].operation, rules[i].permission,
		                                      why, sizeof(why));
	rd_kafka_CreateAcls(client, bindings, 2, options, queue);
	rd_kafka_AclBinding_destroy_array(bindings, 2);
}

static void allow(rd_kafka_t *client, rd_kafka_queue_t *queue,
                  const rd_kafka_AdminOptions_t *options, char **args)
{
	char why[256];
	rd_kafka_AclBindingFilter_t *filter =
		rd_kafka_AclBindingFilter_new(RD_KAFKA_RESOURCE_TOPIC, args[1],
	                                      RD_KAFKA_RESOURCE_PATTERN_LITERAL, NULL, NULL,
	                                      RD_KAFKA_ACL_OPERATION_ANY,
	                                      RD_KAFKA_ACL_PERMISSION_TYPE_ANY, why, sizeof(why));

	rd_kafka_DeleteAcls(client, &filter, 1, options, queue);
	rd_kafka_AclBinding_destroy(filter);
}

static void send_request(rd_kafka_t *client, rd_kafka_queue_t *queue,
                         const rd_kafka_AdminOptions_t *options, char **args)
{
	char text[256];
	const char *command = args[0];

	if (strcmp(command, "delete-group") == 0) {
		rd_kafka_DeleteGroup_t *group = rd_kafka_DeleteGroup_new(args[1]);

		rd_kafka_DeleteGroups(client, &group, 1, options, queue);
		rd_kafka_DeleteGroup_destroy(group);
	} else if (strcmp(command, "delete-topic") == 0) {
		rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(args[1]);

		rd_kafka_DeleteTopics(client, &topic, 1, options, queue);
		rd_kafka_DeleteTopic_destroy(topic);
	} else if (strcmp(command, "deny") == 0) {
		deny(client, queue, options, args);
	} else if (strcmp(command, "allow") == 0) {
		allow(client, queue, options, args);
	} else if (strcmp(command, "create-topic") == 0) {
		rd_kafka_NewTopic_t *topic =
			rd_kafka_NewTopic_new(args[1], (int)strtol(args[2], NULL, 10), 1, text,
		                              sizeof(text));

		rd_kafka_CreateTopics(client, &topic, 1, options, queue);
		rd_kafka_NewTopic_destroy(topic);
	} else if (strcmp(command, "grow-topic") == 0) {
		rd_kafka_NewPartitions_t *partitions =
			rd_kafka_NewPartitions_new(args[1], (size_t)strtol(args[2], NULL, 10), text,
		                                   sizeof(text));

		rd_kafka_CreatePartitions(client, &partitions, 1, options, queue);
		rd_kafka_NewPartitions_destroy(partitions);
	} else {
		rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
		rd_kafka_DeleteRecords_t *records;

		rd_kafka_topic_partition_list_add(list, args[1], (int32_t)strtol(args[2], NULL, 10))
			->offset = strtoll(args[3], NULL, 10);
		records = rd_kafka_DeleteRecords_new(list);
		rd_kafka_DeleteRecords(client, &records, 1, options, queue);
		rd_kafka_DeleteRecords_destroy(records);
		rd_kafka_topic_partition_list_destroy(list);
	}
}

static bool administer(rd_kafka_t *client, char **args)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_ANY);
	char why[256] = "";
	rd_kafka_event_t *event;
	const char *error;

	rd_kafka_AdminOptions_set_request_timeout(options, CALL_MS, why, sizeof(why));
	send_request(client, queue, options, args);
	event = rd_kafka_queue_poll(queue, CALL_MS);
	error = event ? error_of(event) : "no answer within 30 s";
	if (error)
		failed(args[0], error);
	if (event)
		rd_kafka_event_destroy(event);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	return !error;
}

static bool commit(rd_kafka_t *client, char **args)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_t *partition =
		rd_kafka_topic_partition_list_add(list, args[2],
	                                          (int32_t)strtol(args[3], NULL, 10));
	rd_kafka_resp_err_t code;

	partition->offset = strtoll(args[4], NULL, 10);
	partition->metadata = strdup(args[5]); /* the list frees it */
	partition->metadata_size = strlen(args[5]);
	code = rd_kafka_commit(client, list, 0);
	rd_kafka_topic_partition_list_destroy(list);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR || failed("commit", rd_kafka_err2str(code));
}

static bool committed(rd_kafka_t *client, char **args)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	const rd_kafka_topic_partition_t *partition =
		rd_kafka_topic_partition_list_add(list, args[2],
	                                          (int32_t)strtol(args[3], NULL, 10));
	rd_kafka_resp_err_t code = rd_kafka_committed(client, list, CALL_MS);

	if (!code)
		printf("%lld\t%.*s\n", (long long)partition->offset, (int)partition->metadata_size,
		       partition->metadata ? (char *)partition->metadata : "");
	rd_kafka_topic_partition_list_destroy(list);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR || failed("committed", rd_kafka_err2str(code));
}

static bool succeeded(const char *what, rd_kafka_error_t *error)
{
	bool ok = !error || failed(what, rd_kafka_error_string(error));

	if (error)
		rd_kafka_error_destroy(error);
	return ok;
}

static volatile sig_atomic_t released;

static void release(int number)
{
	(void)number;
	released = 1;
}

/* The broker ends the transaction after ten minutes. SECONDS must be less. */
static bool hold_settings(rd_kafka_conf_t *conf, char *why, size_t cap)
{
	return !rd_kafka_conf_set(conf, "transactional.id", "broker-hold", why, cap) &&
	       !rd_kafka_conf_set(conf, "transaction.timeout.ms", "600000", why, cap); /* 0 is OK */
}

static bool hold(rd_kafka_t *client, char **args)
{
	char value[] = "held";
	long partitions = strtol(args[2], NULL, 10), seconds = strtol(args[3], NULL, 10);

	if (!succeeded("init", rd_kafka_init_transactions(client, CALL_MS)) ||
	    !succeeded("begin", rd_kafka_begin_transaction(client)))
		return false;
	for (int32_t p = 0; p < partitions; p++)
		if (rd_kafka_producev(client, RD_KAFKA_V_TOPIC(args[1]), RD_KAFKA_V_PARTITION(p),
		                      RD_KAFKA_V_VALUE(value, 4), RD_KAFKA_V_END))
			return failed("hold", "cannot produce a record");
	if (rd_kafka_flush(client, CALL_MS))
		return failed("hold", "records not acknowledged within 30 s");
	signal(SIGTERM, release);
	puts("holding");
	fflush(stdout);
	for (long waited_ms = 0; waited_ms < seconds * 1000 && !released; waited_ms += 100)
		rd_kafka_poll(client, 100);
	return succeeded("abort", rd_kafka_abort_transaction(client, CALL_MS));
}

static rd_kafka_message_t *read_one(const char *topic, int32_t partition, int64_t offset)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_message_t *message = NULL;
	rd_kafka_t *client;
	char why[256];

	rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
	if (rd_kafka_conf_set(conf, "bootstrap.servers", getenv("KAFKA_BROKERS"), why,
	                      sizeof(why)) != RD_KAFKA_CONF_OK ||
	    rd_kafka_conf_set(conf, "group.id", "broker-repeat", why, sizeof(why)) !=
	            RD_KAFKA_CONF_OK)
		return NULL;
	client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
	if (client && rd_kafka_assign(client, list) == RD_KAFKA_RESP_ERR_NO_ERROR)
		message = rd_kafka_consumer_poll(client, CALL_MS);
	rd_kafka_topic_partition_list_destroy(list);
	return message; /* its client is not destroyed: the process ends soon */
}

static bool repeat(rd_kafka_t *client, char **args)
{
	int32_t partition = (int32_t)strtol(args[2], NULL, 10);
	rd_kafka_message_t *message = read_one(args[1], partition, strtoll(args[3], NULL, 10));
	rd_kafka_headers_t *headers = NULL;

	if (!message || message->err)
		return failed("repeat", "cannot read the record");
	rd_kafka_message_detach_headers(message, &headers);
	if (rd_kafka_producev(client, RD_KAFKA_V_TOPIC(args[1]), RD_KAFKA_V_PARTITION(partition),
	                      RD_KAFKA_V_KEY(message->key, message->key_len),
	                      RD_KAFKA_V_VALUE(message->payload, message->len),
	                      RD_KAFKA_V_HEADERS(headers),
	                      RD_KAFKA_V_TIMESTAMP(strtoll(args[4], NULL, 10)),
	                      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END))
		return failed("repeat", "cannot produce the record");
	return !rd_kafka_flush(client, CALL_MS) ||
	       failed("repeat", "record not acknowledged within 30 s");
}

static int arguments_of(const char *command)
{
	static const struct {
		const char *name;
		int arguments;
	} commands[] = {{"delete-group", 1}, {"delete-topic", 1}, {"create-topic", 2},
	                {"grow-topic", 2},   {"cut", 3},          {"commit", 5},
	                {"committed", 3},    {"deny", 2},         {"allow", 1},
	                {"hold", 3},         {"repeat", 4}};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, command) == 0)
			return commands[i].arguments;
	return -1;
}

int main(int argc, char **argv)
{
	const char *brokers = getenv("KAFKA_BROKERS");
	bool commits = argc > 1 && strncmp(argv[1], "commit", 6) == 0;
	bool holds = argc > 1 && strcmp(argv[1], "hold") == 0, good;
	rd_kafka_conf_t *conf;
	rd_kafka_t *client;
	char why[256];

	if (argc < 2 || !brokers || arguments_of(argv[1]) != argc - 2) {
		fputs("usage: broker delete-group|delete-topic|create-topic|grow-topic|cut|commit|"
		      "committed|deny|allow|hold|repeat ...; KAFKA_BROKERS must be set\n",
		      stderr);
		return 64;
	}
	conf = rd_kafka_conf_new();
	if (rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof(why)) !=
	            RD_KAFKA_CONF_OK ||
	    (commits &&
	     rd_kafka_conf_set(conf, "group.id", argv[2], why, sizeof(why)) != RD_KAFKA_CONF_OK) ||
	    (holds && !hold_settings(conf, why, sizeof(why))))
		return failed("settings", why), 1;
	client = rd_kafka_new(commits ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, why,
	                      sizeof(why));
	if (!client)
		return failed("client", why), 1;
	if (commits)
		good = (strcmp(argv[1], "commit") == 0 ? commit : committed)(client, argv + 1);
	else if (holds)
		good = hold(client, argv + 1);
	else
		good = strcmp(argv[1], "repeat") == 0 ? repeat(client, argv + 1)
		                                      : administer(client, argv + 1);
	rd_kafka_destroy(client);
	return good ? 0 : 1;
}
