/* The state of the redrive program: redrive.c opens, sends and ends; redrive_read.c reads topics and the partitions'
 * clocks; redrive_plan.c counts what would be sent and shows it. */
#ifndef FUNNEL_REDRIVE_STATE_H
#define FUNNEL_REDRIVE_STATE_H

#include "event/clock.h"
#include "event/event_json_library.h"
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
	const char *registry_urls;
	bool dry_run, yes, send_refused;
	const char *reasons, *since, *until, *source, *letters;
	int64_t batch_records, rate;
};

/* What the plan says. */
struct redrive_plan {
	int64_t verdicts[REDRIVE_VERDICT_COUNT];
	int64_t send_reasons[REASON_COUNT + 1],
		refused_reasons[REASON_COUNT]; /* by the letter's reason; by the reason of today */
	int64_t ahead, first_ms, last_ms, first_event_us, last_event_us;
	char examples[REDRIVE_EXAMPLES][512];
	int example_count;
};

struct redrive {
	const struct redrive_config *config;
	char raw[TOPIC_NAME_MAX + 1], bronze[TOPIC_NAME_MAX + 1], partials[TOPIC_NAME_MAX + 1],
		dead[TOPIC_NAME_MAX + 1];
	int32_t raw_partitions, dead_partitions;
	rd_kafka_t *looker,
		*producer; /* looker: ends of logs, and bronze-sink's offsets; joins nothing */
	struct txn_doubt *doubt; /* of the producer */
	struct registry *registry;
	struct frame_decoder *opener;
	struct partition_clock *clocks;
	struct redrive_params terms;
	struct redrive_ledger ledger;
	struct event_parser *parser;
	int64_t *from, *to; /* of the dead-letter topic, per partition */
	struct redrive_plan plan;
	struct outbox outbox;
	int64_t sent, began_us;
};

#endif
