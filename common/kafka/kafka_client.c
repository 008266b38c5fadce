#include "kafka/kafka_client.h"

#include <pthread.h>

#include "service/log.h"
#include "service/thread_deadline.h"

#define CONSUMER_END_MS 2000
/* librdkafka 2.2.0 to 2.13.1: see kafka_library_check. */
#define POSITION_MOVES_FROM 0x020200
#define POSITION_MOVES_TO   0x020d01

/* 0xMMmmrrxx: major, minor, revision, pre-release. The loaded library may differ from the
 * headers. */
bool kafka_library_check(int version, struct err *err)
{
	int release = version >> 8;

	if (release < POSITION_MOVES_FROM || release > POSITION_MOVES_TO)
		return true;
	return err_set(
		err, ERR_OPERATOR,
		"librdkafka %d.%d.%d cannot be used: versions 2.2.0 to 2.13.1 move a consumer's "
		"position past the end of a partition when they report that end (upstream #5213); "
		"build with the pinned version (without LIBRDKAFKA=system), or install 2.13.2 or "
		"newer",
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
			err_set(err, ERR_OPERATOR, "cannot create a Kafka client: %s", why);
		return NULL;
	}
	if (role == KAFKA_CONSUMER)
		rd_kafka_poll_set_consumer(client);
	return client;
}

/* The owner has given up the records that a producer still holds. Without the purge, and without
 * polling their delivery reports, librdkafka logs warnings about them. */
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

/* Runs in a thread of its own, because rd_kafka_destroy has no timeout. */
bool kafka_destroy_within(rd_kafka_t *client, int timeout_ms, struct err *err)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, destroy_client, client) != 0)
		return err_set(err, ERR_FENCED, "cannot create a thread to destroy a Kafka client");
	return thread_join_by(thread, thread_deadline(timeout_ms / 1000)) ||
	       err_set(err, ERR_FENCED, "a Kafka client did not end within %d ms", timeout_ms);
}

/* librdkafka 2.0.2 may never end: a thread remains for a topic that was away and came back. */
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
