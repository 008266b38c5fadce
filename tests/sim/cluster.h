/* The simulated cluster: topics, both coordinators, and the requests that it answers.
 *
 * A request is handled at one moment, in the order in which requests arrive. network.h brings them.
 * All functions expect that the world's arena is current (sim_enter). */
#ifndef SIM_CLUSTER_H
#define SIM_CLUSTER_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "sim/partition_log.h"

#define SIM_TOPICS_MAX     16
#define SIM_PARTITIONS_MAX 8
#define SIM_OFFSETS_MAX    16

struct sim_topic {
	char name[64];
	uint32_t id; /* another one after the topic is created again */
	int32_t partition_count;
	struct partition_log logs[SIM_PARTITIONS_MAX];
	bool missing; /* deleted, and not created again yet */
};

/* Historic errors of brokers, as switches. */
struct cluster_bugs {
	bool drop_markers;    /* KAFKA-20734: a marker is left out if the leader is away */
	bool no_verification; /* transaction.partition.verification.enable=false */
};

struct cluster {
	struct sim_topic topics[SIM_TOPICS_MAX];
	size_t topic_count;
	uint32_t next_topic_id;
	int64_t down_until_us;    /* no request is answered until then */
	int64_t loading_until_us; /* the coordinators load until then */
	int64_t hidden_until_us;  /* until then metadata lacks __consumer_offsets */
	int64_t behind_until_us;  /* until then the brokers show ends that are too low */
	int64_t behind_by;        /* records */
	struct cluster_bugs bugs;
};
extern struct cluster cluster;

void cluster_begin(const struct cluster_bugs *bugs);
struct sim_topic *cluster_create_topic(const char *name, int32_t partition_count);
/* Deletes the topic. with_offsets: also its committed offsets. */
void cluster_delete_topic(struct sim_topic *topic, bool with_offsets);
/* Creates the deleted topic again: empty logs, another id. */
void cluster_recreate_topic(struct sim_topic *topic);
void cluster_add_partition(struct sim_topic *topic);
/* NULL: there is none. */
struct sim_topic *cluster_topic(const char *name);
struct partition_log *cluster_log(const char *topic, int32_t partition);
bool cluster_is_down(void);
bool log_is_away(const struct partition_log *log);

/* ---- requests that change something */

enum request_kind {
	REQUEST_PRODUCE = 0, /* numbers of Kafka's protocol */
	REQUEST_INIT_PRODUCER_ID = 22,
	REQUEST_ADD_PARTITIONS = 24,
	REQUEST_ADD_OFFSETS = 25,
	REQUEST_END_TXN = 26,
	REQUEST_TXN_OFFSET_COMMIT = 28,
};

struct sim_offset {
	char topic[64];
	int32_t partition;
	int64_t offset; /* -1: none */
	struct span metadata;
};

struct request {
	enum request_kind kind;
	uint32_t life; /* of the process that sends it */
	char transactional_id[64];
	int64_t pid;
	int16_t epoch;
	int64_t timeout_us; /* of the transaction */
	char topic[64];     /* PRODUCE, ADD_PARTITIONS */
	int32_t partition;
	struct batch batch; /* PRODUCE */
	char group[64];     /* ADD_OFFSETS, TXN_OFFSET_COMMIT */
	char member[64];
	int32_t generation;
	struct sim_offset offsets[SIM_OFFSETS_MAX];
	size_t offset_count;
	bool commit; /* END_TXN */
};

struct response {
	rd_kafka_resp_err_t code;
	int64_t pid;
	int16_t epoch;
	bool outlives; /* no answer; the request arrives after its call has timed out */
};

void cluster_handle(const struct request *request, struct response *response);
/* A deep copy in the world's memory. */
struct request *request_copy(const struct request *request);
const char *request_name(enum request_kind kind);
/* For the story: "EndTxn(commit) epoch 3". */
void request_describe(const struct request *request, char *out, size_t cap);

#endif
