/* The intake: a consumer in a group. It joins the group, handles assigned and revoked partitions,
 * and delivers records one by one. The task loop and pg-loader use it. topic_reader.h reads a
 * part of a topic without a group.
 *
 *   intake_new, intake_set_topics, intake_subscribe. Then in a loop:
 *     intake_poll; intake_peek and intake_next until nothing is left; then, by intake_change:
 *       INTAKE_ASSIGNED  intake_accept: the partitions are held. intake_log_starts; read where
 *                        to start; intake_log_ends; set position and last of each,
 *                        intake_start.
 *       INTAKE_REVOKED   commit, intake_release.
 *
 * The rules:
 *   - The rebalance callback only stores the rebalance. The user carries it out between polls. This
 *     discards records that were polled before, but not taken.
 *   - Accepted partitions are held first: librdkafka has an empty assignment, which keeps the
 *     membership in the group for as long as the user needs to find the start.
 *   - A position only moves forward. A record before it is discarded and counted.
 *   - The number of partitions of a topic never changes, because keys would move.
 *   - While a log is in doubt (stream/recreation_check.h), call intake_recognises before each
 *     commit.
 *
 * The user stores offsets and commits them. Use an intake in one thread only. */
#ifndef FUNNEL_INTAKE_H
#define FUNNEL_INTAKE_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "kafka/kafka_conf.h"
#include "kafka/partition_watch.h"
#include "registry/frame_decoder.h"
#include "registry/registry.h"
#include "service/metrics.h"
#include "stream/record.h"
#include "stream/record_mark.h"
#include "stream/recreation_check.h"
#include "wire/schemas.h"
#include "wire/topics.h"

#define INTAKE_TOPICS_MAX 8

struct intake_config {
	const struct kafka_config *kafka; /* must outlive the intake */
	const char *group;                /* without the prefix */
	const char *client_id;
	const char *const *properties; /* pairs of name and value, then NULL; may be NULL */
	struct metric *stale;          /* counts discarded records before the position */
};

struct intake_topic {
	/* The user sets these. */
	const char *suffix;
	enum schema_kind kind;
	bool framed;    /* values have a schema id; those of SCHEMA_RAW may be plain text too */
	bool compacted; /* a record that is missing proves nothing */
	/* The intake sets these. */
	char name[TOPIC_NAME_MAX + 1];
	int32_t partition_count;
	struct frame_decoder *decoder; /* NULL: values are not framed */
	const rd_kafka_topic_t *seen;  /* the client's object in its last message */
};

struct assigned_partition {
	const struct intake_topic *topic;
	size_t input; /* number of the topic */
	int32_t partition;
	/* Log start and end, of the functions below. intake_watch updates high; -1: not known. */
	int64_t low, high;
	int64_t position; /* the next offset to deliver; the user sets the first */
	/* The newest record that the user has taken. The user sets this before intake_start, and
	 * keeps the mark up to date. */
	const struct record_mark *last;
	struct partition_watch watch;
	struct recreation_check log;
};

struct intake;

/* ---- life */

/* NULL: err is set. */
struct intake *intake_new(const struct intake_config *config, struct err *err);
/* Copies the topics and queries their numbers of partitions. After ERR_RETRY: call again. */
MUST_USE bool intake_set_topics(struct intake *intake, struct registry *registry,
                                const struct intake_topic *topics, size_t count, struct err *err);
const struct intake_topic *intake_topic(const struct intake *intake, size_t number);
MUST_USE bool intake_subscribe(struct intake *intake, struct err *err);
/* Leaves the group and frees the intake. NULL is allowed. If the client does not end, its memory
 * stays. */
void intake_close(struct intake *intake);
/* For requests and commits. The intake owns it. */
rd_kafka_t *intake_client(const struct intake *intake);

/* ---- records */

/* Fetches up to `max` messages that have arrived. If there are none, waits up to wait_ms for the
 * first. Returns their number. Returns 0 and does nothing while messages of the last poll are
 * left. */
size_t intake_poll(struct intake *intake, int wait_ms, int64_t max);

enum intake_kind {
	INTAKE_NOTHING, /* poll again */
	INTAKE_RECORD,
	INTAKE_END, /* the end of the partition, at `offset` */
};
struct intake_item {
	enum intake_kind kind;
	struct assigned_partition *from;
	size_t number; /* of the partition, for intake_partition */
	int64_t offset;
	struct input_record record; /* borrowed until the next call */
};
/* The next item; the same again until intake_next. ERR_RETRY: the registry or a broker does not
 * answer, call again. ERR_FENCED: the log begins after the position. ERR_OPERATOR: the position is
 * past the log, or a right is missing. Other classes: intake_error_class. */
MUST_USE bool intake_peek(struct intake *intake, struct intake_item *item, struct err *err);
/* Removes the item and moves the position past it. */
void intake_next(struct intake *intake);
/* The same; the caller gets the message that the record borrows from, and destroys it. */
rd_kafka_message_t *intake_keep(struct intake *intake);
/* Discards the messages that were polled and not taken. */
void intake_forget(struct intake *intake);

/* The class of a consumer's error. ERR_RETRY: only log it, because librdkafka retries. Pure. */
enum err_class intake_error_class(rd_kafka_resp_err_t code);

/* ---- partitions */

enum intake_change {
	INTAKE_SAME,
	INTAKE_ASSIGNED, /* call intake_accept */
	INTAKE_REVOKED,  /* call intake_release */
};
enum intake_change intake_change(const struct intake *intake);
/* Takes the assigned partitions and holds them. ERR_OPERATOR: a topic has more partitions than
 * before. */
MUST_USE bool intake_accept(struct intake *intake, struct err *err);
/* Gives up all partitions. */
void intake_release(struct intake *intake);

size_t intake_partition_count(const struct intake *intake);
struct assigned_partition *intake_partition(const struct intake *intake, size_t number);
/* The partitions as a new list, without offsets. The caller destroys it. */
rd_kafka_topic_partition_list_t *intake_list(const struct intake *intake);

/* Query low and high of each partition. Call intake_log_starts before you read the start positions,
 * and intake_log_ends after that. Between the two, another member may commit a position and delete
 * the records before it. In the other order, an old position would seem to be before the log start,
 * or a new one past the log end. Classes of errors: as kafka_offset_range. */
MUST_USE bool intake_log_starts(struct intake *intake, struct err *err);
MUST_USE bool intake_log_ends(struct intake *intake, struct err *err);
/* Checks the logs as intake_recognises does, and starts reading at each partition's position. */
MUST_USE bool intake_start(struct intake *intake, struct err *err);
bool intake_is_reading(const struct intake *intake);
/* Stops reading and discards polled messages. Keeps the partitions and the membership. */
void intake_hold(struct intake *intake);

/* Call it before each commit. Checks for the marked record in each log that is in doubt
 * (same_log.h). ERR_OPERATOR: a topic was deleted and created again. ERR_RETRY: a broker has not
 * answered; do not commit yet. */
MUST_USE bool intake_recognises(struct intake *intake, struct err *err);

/* Call several times a second. Without partitions for 30 s, and every 30 s after that, it checks
 * whether the client still connects (lost_client.h), which may take 15 s. ERR_FENCED: it does not,
 * or it has had no partitions for 2 minutes although the brokers answer a new client. The process
 * has to be replaced. A member that the group has given no partitions counts as one with
 * partitions. */
MUST_USE bool intake_verify_client(struct intake *intake, int64_t now_us, struct err *err);
/* Call several times a second; makes no request. limit_us: see partition_watch.h. */
void intake_watch(struct intake *intake, int64_t limit_us);
/* Records from the position up to the high watermark that intake_watch saw last. 0: none, not
 * known, or at the end of the partition. Then there is nothing to read, although an open
 * transaction may hold back records before the high watermark. */
int64_t intake_readable(const struct assigned_partition *partition);
/* Appends lines about held records, as partition_watch_text does. */
size_t intake_watch_text(const struct intake *intake, char *text, size_t len, size_t cap);

#endif
