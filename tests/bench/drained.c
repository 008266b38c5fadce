/* Waits until the committed offsets of a group are at the log ends of its topics: the service has
 * processed all records. It compares twice in a row, because the service may append to one of the
 * topics between two requests. Exit 1 after TIMEOUT. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_conf.h"
#include "kafka/kafka_topic.h"
#include "service/config.h"
#include "service/monotime.h"

#define CALL_TIMEOUT_MS 10000
#define PAUSE_US        50000
#define TOPICS_MAX      4

struct settings {
	struct kafka_config kafka;
	const char *group, *topics;
	int64_t timeout_us;
};
static const struct config_option kafka_options[] = KAFKA_OPTIONS(struct settings, kafka);
static const struct config_option options[] = {
	{"GROUP", CONFIG_TEXT, offsetof(struct settings, group), NULL, 0, 0,
         "consumer group, without its prefix", NULL, NULL},
	{"TOPICS", CONFIG_TEXT, offsetof(struct settings, topics), NULL, 0, 0,
         "topics that it reads, without prefix, comma-separated", NULL, NULL},
	{"TIMEOUT", CONFIG_DURATION, offsetof(struct settings, timeout_us), "10m", 0, 0,
         "longest time to wait", NULL, NULL},
	{0},
};
static const struct config_option *const tables[] = {kafka_options, options, NULL};

static bool list_partitions(const struct settings *settings, rd_kafka_t *client,
                            rd_kafka_topic_partition_list_t *list, struct err *err)
{
	char names[512], topic[256], *rest = NULL;

	snprintf(names, sizeof(names), "%s", settings->topics);
	for (char *name = strtok_r(names, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
		int32_t count;

		snprintf(topic, sizeof(topic), "%s%s", settings->kafka.topic_prefix, name);
		if (!kafka_partition_count(client, topic, CALL_TIMEOUT_MS, &count, err))
			return false;
		rd_kafka_topic_partition_list_add_range(list, topic, 0, count - 1);
	}
	return true;
}

static bool at_end(rd_kafka_t *client, const rd_kafka_topic_partition_t *partition, bool *is,
                   struct err *err)
{
	int64_t low, high;
	rd_kafka_resp_err_t code =
		rd_kafka_query_watermark_offsets(client, partition->topic, partition->partition,
	                                         &low, &high, CALL_TIMEOUT_MS);

	*is = partition->offset == high || (high == low && partition->offset < 0);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
	       err_set(err, ERR_FATAL, "%s: %s", partition->topic, rd_kafka_err2str(code));
}

/* Whether the group is at all log ends, in two comparisons in a row. */
static bool is_drained(rd_kafka_t *client, rd_kafka_topic_partition_list_t *list, bool *drained,
                       struct err *err)
{
	*drained = true;
	for (int round = 0; round < 2 && *drained; round++) {
		rd_kafka_resp_err_t code = rd_kafka_committed(client, list, CALL_TIMEOUT_MS);

		if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
			return err_set(err, ERR_FATAL, "committed offsets: %s",
			               rd_kafka_err2str(code));
		for (int i = 0; i < list->cnt && *drained; i++)
			if (!at_end(client, &list->elems[i], drained, err))
				return false;
	}
	return true;
}

static bool wait_drained(const struct settings *settings, rd_kafka_t *client, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(TOPICS_MAX);
	int64_t deadline_us = monotonic_us() + settings->timeout_us;
	bool drained = false, ok = list_partitions(settings, client, list, err);

	while (ok && !drained) {
		ok = is_drained(client, list, &drained, err);
		if (ok && !drained && monotonic_us() > deadline_us)
			ok = err_set(err, ERR_RETRY,
			             "group %s did not reach the end of %s within TIMEOUT",
			             settings->group, settings->topics);
		if (!drained)
			usleep(PAUSE_US);
	}
	rd_kafka_topic_partition_list_destroy(list);
	return ok;
}

int main(int argc, char **argv)
{
	struct settings settings = {0};
	struct err err = {0};
	char group[256];
	const char *const extra[] = {"group.id", group, NULL};
	rd_kafka_conf_t *conf;
	rd_kafka_t *client = NULL;
	enum config_result result =
		config_load(tables, "drained",
	                    "waits until a group has processed all records of its topics", argc,
	                    argv, &settings);
	bool ok;

	if (result != CONFIG_OK)
		return result == CONFIG_HELP_SHOWN ? 0 : 64;
	snprintf(group, sizeof(group), "%s%s", settings.kafka.topic_prefix, settings.group);
	conf = kafka_conf_new(&settings.kafka, KAFKA_CONSUMER, "bench-drained", extra, &err);
	ok = conf && (client = kafka_client_new(conf, KAFKA_CONSUMER, &err)) &&
	     wait_drained(&settings, client, &err);
	if (!ok)
		fprintf(stderr, "drained: %s\n", err.message);
	if (client)
		rd_kafka_destroy(client);
	return ok ? 0 : 1;
}
