/* What the parts of the redrive program share: redrive.c opens, sends and ends, redrive_read.c reads topics and learns the
 * partitions' clocks, redrive_plan.c counts what would be sent and shows it. Nothing else includes this. */
#ifndef FUNNEL_REDRIVE_INTERNAL_H
#define FUNNEL_REDRIVE_INTERNAL_H

#include "base/err.h"
#include "event/clock.h"
#include "event/event_json.h"
#include "event/reason.h"
#include "kafka/kafka.h"
#include "kafka/topic_reader.h"
#include "kafka/txn_doubt.h"
#include "redrive_rules.h"
#include "registry/frame_opener.h"
#include "registry/registry.h"
#include "service/service.h"
#include "stream/outbox.h"
#include "stream/record.h"
#include "wire/topics.h"

#define REDRIVE_CALL_MS 10000
#define REDRIVE_POLL_MS 100
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
	int64_t send_reasons[REASON_COUNT + 1], refused_reasons[REASON_COUNT]; /* by the letter's reason; by the reason of today */
	int64_t ahead, first_ms, last_ms, first_event_us, last_event_us;
	char examples[REDRIVE_EXAMPLES][512];
	int example_count;
};

struct redrive {
	const struct redrive_config *config;
	char raw[TOPIC_NAME_MAX + 1], bronze[TOPIC_NAME_MAX + 1], partials[TOPIC_NAME_MAX + 1], dead[TOPIC_NAME_MAX + 1];
	int32_t raw_partitions, dead_partitions;
	rd_kafka_t *looker, *producer; /* looker: ends of logs, and bronze-sink's offsets; joins nothing */
	struct txn_doubt *doubt; /* of the producer */
	struct registry *registry;
	struct frame_opener *opener;
	struct partition_clock *clocks;
	struct redrive_terms terms;
	struct redrive_ledger ledger;
	struct event_parser *parser;
	int64_t *from, *to; /* of the dead-letter topic, per partition */
	struct redrive_plan plan;
	struct outbox outbox;
	int64_t sent, began_us;
};

/* NULL, and why. `extra`: properties, name and value in turn, NULL behind the last. */
rd_kafka_t *redrive_client(struct redrive *redrive, enum kafka_role role, const char *const *extra, struct err *err);
void redrive_client_close(rd_kafka_t *client);

/* Hands every committed record between two offsets per partition to `take`, with redrive as its
 * context, until that fails. */
MUST_USE bool redrive_read(struct redrive *redrive, const char *topic, int32_t partitions,
                           const int64_t *from, const int64_t *to, topic_take_fn *take,
                           struct err *err);
/* Fills redrive->clocks, and the horizon in its terms. */
MUST_USE bool redrive_read_clocks(struct redrive *redrive, struct err *err);

void redrive_plan_begin(struct redrive_plan *plan);
/* A verdict on this record of the dead-letter topic. */
void redrive_plan_add(struct redrive *redrive, const struct redrive_decision *decision, const struct input_record *record);
void redrive_plan_print(const struct redrive *redrive);

#endif
