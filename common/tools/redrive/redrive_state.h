/* The state of the redrive program. redrive.c opens, sends and ends. redrive_read.c reads topics
 * and the clocks of the partitions. redrive_plan.c counts and prints what would be sent. */
#ifndef FUNNEL_REDRIVE_STATE_H
#define FUNNEL_REDRIVE_STATE_H

#include "event/clock.h"
#include "event/event_json_library.h"
#include "event/event_rules.h"
#include "event/reason.h"
#include "kafka/kafka_conf.h"
#include "kafka/txn_doubt.h"
#include "redrive_rules.h"
#include "registry/frame_decoder.h"
#include "registry/registry.h"
#include "service/service.h"
#include "stream/outbox.h"
#include "wire/topics.h"

#define REDRIVE_CALL_MS  10000
#define REDRIVE_POLL_MS  100
#define REDRIVE_EXAMPLES 5

struct redrive_config {
	struct service_config service;
	struct kafka_config kafka;
	struct registry_config registry;
	bool dry_run, yes, send_refused;
	const char *reasons, *since, *until, *source, *dead_letters;
	int64_t batch_records, rate;
	struct event_rules_config rules; /* those of bronze-sink */
};

/* Numbers of the plan. */
struct redrive_plan {
	int64_t results[REDRIVE_RESULT_COUNT];
	int64_t send_reasons[REASON_COUNT + 1]; /* to be sent, by the reason of the dead letter */
	int64_t refused_reasons[REASON_COUNT];  /* refused again, by the reason of this version */
	int64_t ahead, first_ms, last_ms, first_event_us, last_event_us;
	char examples[REDRIVE_EXAMPLES][512];
	int example_count;
};

struct redrive {
	const struct redrive_config *config;
	char raw[TOPIC_NAME_MAX + 1], bronze[TOPIC_NAME_MAX + 1], partials[TOPIC_NAME_MAX + 1],
		dead[TOPIC_NAME_MAX + 1];
	int32_t raw_partitions, dead_partitions;
	/* Reads log ends and the committed offsets of bronze-sink; joins no group. */
	rd_kafka_t *metadata_client;
	rd_kafka_t *producer;
	struct txn_doubt *doubt; /* of the producer */
	struct registry *registry;
	struct frame_decoder *decoder;
	struct partition_clock *clocks;
	struct redrive_params params;
	struct redrive_ledger ledger;
	struct event_parser *parser;
	int64_t *from, *to; /* offsets of the dead-letter topic, per partition */
	struct redrive_plan plan;
	struct outbox outbox;
	int64_t sent, began_us;
};

#endif
