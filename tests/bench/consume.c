/* The floor for the services: a client with the same settings reads a topic from its beginning to
 * its end and discards the records. Prints events, wall seconds, CPU seconds and peak memory in
 * KiB, separated by spaces. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

#include "base/err.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_conf.h"
#include "kafka/kafka_topic.h"
#include "service/config.h"
#include "service/monotime.h"

#define BATCH           2000
#define OPEN_TIMEOUT_MS 10000

struct settings {
	struct kafka_config kafka;
	const char *topic;
};
static const struct config_option kafka_options[] = KAFKA_OPTIONS(struct settings, kafka);
static const struct config_option options[] = {
	{"TOPIC", CONFIG_TEXT, offsetof(struct settings, topic), "raw_events", 0, 0,
         "topic to read, without its prefix", NULL, NULL},
	{0},
};
static const struct config_option *const tables[] = {kafka_options, options, NULL};

static bool open_consumer(const struct settings *settings, rd_kafka_t **consumer,
                          int32_t *partitions, struct err *err)
{
	static const char *const extra[] = {"group.id", "bench-consume", NULL};
	rd_kafka_conf_t *conf =
		kafka_conf_new(&settings->kafka, KAFKA_CONSUMER, "bench-consume", extra, err);
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_resp_err_t code;
	char topic[256];

	snprintf(topic, sizeof(topic), "%s%s", settings->kafka.topic_prefix, settings->topic);
	if (!conf || !(*consumer = kafka_client_new(conf, KAFKA_CONSUMER, err)) ||
	    !kafka_partition_count(*consumer, topic, OPEN_TIMEOUT_MS, partitions, err))
		return false;
	list = rd_kafka_topic_partition_list_new(*partitions);
	for (int32_t i = 0; i < *partitions; i++)
		rd_kafka_topic_partition_list_add(list, topic, i)->offset =
			RD_KAFKA_OFFSET_BEGINNING;
	code = rd_kafka_assign(*consumer, list);
	rd_kafka_topic_partition_list_destroy(list);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
	       err_set(err, ERR_FATAL, "assign: %s", rd_kafka_err2str(code));
}

/* Counts records until every partition has reported its end. */
static bool read_all(rd_kafka_t *consumer, int32_t partitions, int64_t *records, struct err *err)
{
	static rd_kafka_message_t *messages[BATCH];
	rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(consumer);
	bool ok = true;

	while (ok && partitions > 0) {
		ssize_t count = rd_kafka_consume_batch_queue(queue, 100, messages, BATCH);

		for (ssize_t i = 0; i < count; i++) {
			if (!messages[i]->err)
				++*records;
			else if (messages[i]->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
				partitions--;
			else
				ok = err_set(err, ERR_FATAL, "consume: %s",
				             rd_kafka_message_errstr(messages[i]));
			rd_kafka_message_destroy(messages[i]);
		}
	}
	rd_kafka_queue_destroy(queue);
	return ok;
}

static double cpu_seconds(const struct rusage *usage)
{
	return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
	       (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
	struct settings settings = {0};
	struct err err = {0};
	rd_kafka_t *consumer = NULL;
	int64_t began_us = monotonic_us(), records = 0;
	int32_t partitions = 0;
	struct rusage usage;
	enum config_result result =
		config_load(tables, "consume", "reads a topic and discards its records", argc, argv,
	                    &settings);
	bool ok;

	if (result != CONFIG_OK)
		return result == CONFIG_HELP_SHOWN ? 0 : 64;
	ok = open_consumer(&settings, &consumer, &partitions, &err) &&
	     read_all(consumer, partitions, &records, &err);
	getrusage(RUSAGE_SELF, &usage);
	if (ok)
		printf("%" PRId64 " %.3f %.3f %ld\n", records,
		       (double)(monotonic_us() - began_us) / 1e6, cpu_seconds(&usage),
		       usage.ru_maxrss);
	else
		fprintf(stderr, "consume: %s\n", err.message);
	if (consumer) {
		rd_kafka_consumer_close(consumer);
		rd_kafka_destroy(consumer);
	}
	return ok ? 0 : 1;
}
