/* The transactional task loop: read a batch, fold it, produce, and commit outputs and input
 * offsets in one Kafka transaction (KIP-447). One read_committed consumer, one
 * transactional producer and one task per assigned partition; rebuild by replay (core/task.h).
 *
 * What survives what: nothing is shown before the commit; a process killed anywhere before
 * it leaves an aborted transaction, and its successor reads the same input again from the committed
 * offset. Errors are acted on here by class: see err.h. */
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
	const char *registry_urls;
	int64_t commit_interval_us;
	int64_t batch_records;
	int64_t batch_bytes;
	int64_t idle_timeout_us;
	int64_t transaction_timeout_us;
};
#define TASK_LOOP_OPTIONS(type, member)                                                                                         \
	{                                                                                                                       \
		{"SCHEMA_REGISTRY_URL",                                                                                         \
		 CONFIG_URLS,                                                                                                   \
		 offsetof(type, member.registry_urls),                                                                          \
		 "http://127.0.0.1:18081/apis/ccompat/v7",                                                                      \
		 0,                                                                                                             \
		 0,                                                                                                             \
		 "schema registry, one or more base URLs, comma-separated",                                                     \
		 NULL,                                                                                                          \
		 registry_urls_check},                                                                                          \
			{"COMMIT_INTERVAL",                                                                                     \
		         CONFIG_DURATION,                                                                                       \
		         offsetof(type, member.commit_interval_us),                                                             \
		         "100ms",                                                                                               \
		         1000,                                                                                                  \
		         60000000,                                                                                              \
		         "commit at the latest this long after the first uncommitted record; sooner when the input is drained", \
		         NULL,                                                                                                  \
		         NULL},                                                                                                 \
			{"BATCH_RECORDS",                                                                                       \
		         CONFIG_INTEGER,                                                                                        \
		         offsetof(type, member.batch_records),                                                                  \
		         "100000",                                                                                              \
		         1,                                                                                                     \
		         1000000,                                                                                               \
		         "records in one transaction at most",                                                                  \
		         NULL,                                                                                                  \
		         NULL},                                                                                                 \
			{"BATCH_BYTES",                                                                                         \
		         CONFIG_BYTES,                                                                                          \
		         offsetof(type, member.batch_bytes),                                                                    \
		         "64m",                                                                                                 \
		         65536,                                                                                                 \
		         1073741824,                                                                                            \
		         "bytes of output in one transaction at most",                                                          \
		         NULL,                                                                                                  \
		         NULL},                                                                                                 \
			{"IDLE_TIMEOUT",                                                                                        \
		         CONFIG_DURATION,                                                                                       \
		         offsetof(type, member.idle_timeout_us),                                                                \
		         "30s",                                                                                                 \
		         100000,                                                                                                \
		         3600000000,                                                                                            \
		         "a partition that has stood at its end this long no longer holds back final marks; "                   \
		         "one that an open transaction has held back this long is reported, and /readyz is 503",                \
		         NULL,                                                                                                  \
		         NULL},                                                                                                 \
			{"TRANSACTION_TIMEOUT",                                                                                 \
		         CONFIG_DURATION,                                                                                       \
		         offsetof(type, member.transaction_timeout_us),                                                         \
		         "10s",                                                                                                 \
		         1000000,                                                                                               \
		         900000000,                                                                                             \
		         "the broker aborts a transaction left open this long",                                                 \
		         NULL,                                                                                                  \
		         NULL},                                                                                                 \
		{                                                                                                               \
			0                                                                                                       \
		}                                                                                                               \
	}

#define TASK_LOOP_INPUTS_MAX 2

struct task_loop_input {
	const char *topic_suffix;
	enum schema_kind slot; /* how values are framed; SCHEMA_RAW takes plain JSON too */
	const struct fold_ops *ops;
	const void *fold_config;
	const char *fingerprint; /* settings that give the state its meaning, no spaces */
	enum topic_id
		main_output; /* not empty although nothing was ever committed: refuse to start */
	bool rows;           /* its records are rows: cumulative counts are kept and emitted */
	bool trim;           /* internal topic: what no rebuild can need is deleted */
	/* Needed if ops has idle: the service that writes this topic, and the suffix of its source
	 * topic, which it reads partition by partition. A partition is not idle before the writer has
	 * committed the log end of the same source partition. */
	const char *writer, *source_suffix;
};

struct task_loop;

/* First half: connects, learns partition counts and registers schemas, and fills terms for the folds' configs.
 * writes: bit set of 1 << enum topic_id. Input topics must exist. */
MUST_USE bool task_loop_open(struct task_loop **loop, const struct service_config *service,
                             const struct kafka_config *kafka,
                             const struct task_loop_config *config, const char *service_name,
                             unsigned writes, struct output_context *terms, struct err *err);
MUST_USE bool task_loop_partition_count(struct task_loop *loop, const char *topic_suffix,
                                        int32_t *count, struct err *err);
/* Second half: subscribes. inputs and what they point to must outlive the loop. */
MUST_USE bool task_loop_start(struct task_loop *loop, const struct task_loop_input *inputs,
                              size_t input_count, struct err *err);
enum step task_loop_step(struct task_loop *loop, bool stopping, struct err *err);
void task_loop_close(struct task_loop *loop);

#endif
