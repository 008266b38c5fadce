/* Both clients ask for the partitions of the topic. A client that is only slow gets an answer in
 * the end, so the question is asked of this client first. */
#include "kafka/lost_client.h"

#include <stdint.h>

#include "base/err.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_topic.h"
#include "service/log.h"

#define TIMEOUT_MS 5000

bool lost_client_new_one_connects(const struct kafka_config *config, const char *topic)
{
	struct err err;
	int32_t count;
	rd_kafka_conf_t *conf = kafka_conf_new(config, KAFKA_ADMIN, "client-check", NULL, &err);
	rd_kafka_t *client = conf ? kafka_client_new(conf, KAFKA_ADMIN, &err) : NULL;
	bool ok = client && kafka_partition_count(client, topic, TIMEOUT_MS, &count, &err);

	if (client && !kafka_destroy_within(client, TIMEOUT_MS, &err))
		log_warn("kafka_client_abandoned", log_str("role", "metadata"),
		         log_str("error", err.message));
	return ok;
}

bool lost_client(rd_kafka_t *client, const struct kafka_config *config, const char *topic)
{
	struct err ignored;
	int32_t count;

	return !kafka_partition_count(client, topic, TIMEOUT_MS, &count, &ignored) &&
	       lost_client_new_one_connects(config, topic);
}
