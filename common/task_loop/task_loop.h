/* The transactional task loop: read a batch, fold it, produce the outputs, and commit outputs and
 * input offsets in one Kafka transaction (KIP-447). It has one read_committed consumer, one
 * transactional producer, and one task per assigned partition, which is restored by reading the
 * log again (stream/task.h).
 *
 * Nothing is visible before the commit. If the process is killed before it, the broker aborts the
 * transaction, and the next instance reads the same input again from the committed offset. The
 * loop acts on errors by their class: see err.h. */
#ifndef FUNNEL_TASK_LOOP_H
#define FUNNEL_TASK_LOOP_H

#include "base/err.h"
#include "kafka/kafka_conf.h"
#include "registry/registry.h"
#include "service/config.h"
#include "service/service.h"
#include "stream/fold.h"
#include "stream/outputs.h"
#include "wire/schemas.h"
#include "wire/topics.h"

struct task_loop_config {
	struct registry_config registry;
	int64_t commit_interval_us;
	int64_t batch_records;
	int64_t batch_bytes;
	int64_t idle_timeout_us;
	int64_t transaction_timeout_us;
};
/* A table of settings for the member of type struct task_loop_config in the program's config
 * struct. */
/* clang-format off */
#define TASK_LOOP_OPTIONS(config, member)                                                 \
	{                                                                                 \
		{                                                                         \
			.name = "COMMIT_INTERVAL",                                        \
			.type = CONFIG_DURATION,                                          \
			.offset = offsetof(config, member.commit_interval_us),            \
			.default_value = "100ms",                                         \
			.min = 1000,                                                      \
			.max = 60000000,                                                  \
			.help = "longest time from the first uncommitted record to "      \
				"the commit; sooner if the input is drained; 1 s, if "    \
				"that is longer, while many records wait; up to 1 s "      \
				"while commits are slow and more than 25,000 rows a "     \
				"second arrive",                                          \
		},                                                                        \
		{                                                                         \
			.name = "BATCH_RECORDS",                                          \
			.type = CONFIG_INTEGER,                                           \
			.offset = offsetof(config, member.batch_records),                 \
			.default_value = "100000",                                        \
			.min = 1,                                                         \
			.max = 1000000,                                                   \
			.help = "largest number of input records per transaction",        \
		},                                                                        \
		{                                                                         \
			.name = "BATCH_BYTES",                                            \
			.type = CONFIG_BYTES,                                             \
			.offset = offsetof(config, member.batch_bytes),                   \
			.default_value = "64m",                                           \
			.min = 65536,                                                     \
			.max = 1073741824,                                                \
			.help = "largest size of the outputs of a transaction",           \
		},                                                                        \
		{                                                                         \
			.name = "IDLE_TIMEOUT",                                           \
			.type = CONFIG_DURATION,                                          \
			.offset = offsetof(config, member.idle_timeout_us),               \
			.default_value = "30s",                                           \
			.min = 100000,                                                    \
			.max = 3600000000,                                                \
			.help = "a partition that is at its log end for this time is "    \
				"idle: windows become final without it; records that an " \
				"open transaction holds back for this time make "         \
				"/readyz 503",                                            \
		},                                                                        \
		{                                                                         \
			.name = "TRANSACTION_TIMEOUT",                                    \
			.type = CONFIG_DURATION,                                          \
			.offset = offsetof(config, member.transaction_timeout_us),        \
			.default_value = "10s",                                           \
			.min = 1000000,                                                   \
			.max = 900000000,                                                 \
			.help = "time after which the broker aborts an open "             \
				"transaction",                                            \
		},                                                                        \
		{0},                                                                      \
	}
/* clang-format on */

#define TASK_LOOP_INPUTS_MAX 2

struct task_loop_input {
	const char *topic_suffix;
	enum schema_kind kind; /* of framed values; SCHEMA_RAW: they may be plain JSON too */
	const struct fold_ops *ops;
	const void *fold_config;
	const char *fingerprint; /* settings that give the state its meaning; without spaces */
	/* If no offset was ever committed, but this topic has records, the service refuses to
	 * start. */
	enum topic_id main_output;
	bool rows; /* its records are rows: the loop emits cumulative counts */
	bool trim; /* internal topic: the loop deletes records that no restore can need */
	/* Required if ops has idle: the service that writes this topic, and the suffix of the
	 * topic that the writer reads. The writer maps each source partition to the same
	 * partition here. A partition is not idle before the writer has committed the log end of
	 * its source partition. */
	const char *writer, *source_suffix;
	/* Settings and version that decide which records are refused, as text; NULL: a restore does
	 * not depend on them. Requires TOPIC_DEAD_LETTER among the outputs. */
	const char *rules;
};

struct task_loop;

/* First half: connects, queries the numbers of partitions, registers schemas, and fills *context
 * for the folds' configs. writes: the output topics, a bit set of 1 << enum topic_id. All topics
 * must exist. On failure *loop may be set: close it. */
MUST_USE bool task_loop_open(struct task_loop **loop, const struct service_config *service,
                             const struct kafka_config *kafka,
                             const struct task_loop_config *config, const char *service_name,
                             unsigned writes, struct output_context *context, struct err *err);
MUST_USE bool task_loop_partition_count(struct task_loop *loop, const char *topic_suffix,
                                        int32_t *count, struct err *err);
/* Second half: subscribes. inputs, and everything that they point to, must outlive the loop. */
MUST_USE bool task_loop_start(struct task_loop *loop, const struct task_loop_input *inputs,
                              size_t input_count, struct err *err);
enum step task_loop_step(struct task_loop *loop, bool stopping, struct err *err);
void task_loop_close(struct task_loop *loop);

#endif
