/* The intake: a consumer's life in its group. It joins, partitions come and go, and records are
 * handed out one by one. The task loop and pg-loader use it; the bounded reader of a topic, which
 * joins no group, is topic_reader.h.
 *
 *   intake_new, intake_set_topics, intake_subscribe. Then, again and again:
 *     intake_poll, and intake_peek and intake_next until nothing is left; then by intake_change:
 *       INTAKE_ASSIGNED  intake_accept. The partitions are held: read where to start,
 *                        intake_bounds, set position and last, intake_start.
 *       INTAKE_REVOKED   commit, intake_release.
 *
 * The rules:
 *   - The callback of a rebalance only notes it. The user carries it out between polls. Records
 *     that were polled before, and not taken, are forgotten then.
 *   - Accepted partitions are held first: an empty assignment keeps the membership in the group,
 *     however long the user needs to find out where to start.
 *   - A position only moves forward. A record below it is discarded and counted.
 *   - The number of partitions of a topic never changes, since keys would move.
 *   - After a doubt nothing may be committed before intake_recognises (stream/recreation_check.h).
 *
 * Offsets, transactions and commits are the user's. One thread uses an intake. */
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
	const char *const
		*properties;  /* name and value in turn, NULL after the last; may be NULL */
	struct metric *stale; /* counts the records that were discarded */
};

struct intake_topic {
	/* The user sets these. */
	const char *suffix;
	enum schema_kind slot;
	bool framed;    /* values have a schema id; those of SCHEMA_RAW may be plain text too */
	bool compacted; /* a record that is missing proves nothing */
	/* The intake sets these. */
	char name[TOPIC_NAME_MAX + 1];
	int32_t partition_count;
	struct frame_decoder *opener; /* NULL where values are not framed */
	const rd_kafka_topic_t *seen; /* the client's object, of the last message */
};

struct assigned_partition {
	const struct intake_topic *topic;
	size_t input; /* number of the topic */
	int32_t partition;
	int64_t low, high; /* of intake_bounds; intake_watch renews high, -1: not known */
	int64_t position;  /* the next offset to hand out; the user sets the first */
	/* The newest record that the user has taken; the user sets this before intake_start, and keeps
	 * what it points to up to date. */
	const struct record_mark *last;
	struct partition_watch watch;
	struct recreation_check log;
};

struct intake;

/* ---- life */

/* NULL, and why. */
struct intake *intake_new(const struct intake_config *config, struct err *err);
/* Learns names and numbers of partitions. May be called again after ERR_RETRY. */
MUST_USE bool intake_set_topics(struct intake *intake, struct registry *registry,
                                const struct intake_topic *topics, size_t count, struct err *err);
const struct intake_topic *intake_topic(const struct intake *intake, size_t number);
MUST_USE bool intake_subscribe(struct intake *intake, struct err *err);
/* Leaves the group. NULL is allowed. A client that does not end keeps the intake's memory. */
void intake_close(struct intake *intake);
/* For questions to the brokers, and commits; the intake owns it. */
rd_kafka_t *intake_client(const struct intake *intake);

/* ---- records */

/* Takes what has come, `max` messages at most. If nothing has, waits up to wait_ms for the first
 * and takes what came with it. Returns how many; 0, and does nothing, while some of the last poll
 * are left. */
size_t intake_poll(struct intake *intake, int wait_ms, int64_t max);

enum intake_kind {
	INTAKE_NOTHING, /* poll again */
	INTAKE_RECORD,
	INTAKE_END, /* the end of a partition, at `offset` */
};
struct intake_item {
	enum intake_kind kind;
	struct assigned_partition *from;
	size_t number; /* of the partition */
	int64_t offset;
	struct input_record record; /* borrowed until the next call */
};
/* What comes next; the same again until intake_next. ERR_RETRY: the registry or a broker does not
 * answer, call again. ERR_OPERATOR: the position is not in the log, or a right is missing. Others:
 * intake_error_class. */
MUST_USE bool intake_peek(struct intake *intake, struct intake_item *item, struct err *err);
/* The item is dealt with. */
void intake_next(struct intake *intake);
/* The same, and the caller gets the record's message, from which the record borrows. */
rd_kafka_message_t *intake_keep(struct intake *intake);
/* Forgets what was polled and not taken. */
void intake_forget(struct intake *intake);

/* What a consumer's error says to do. ERR_RETRY: log it, since librdkafka tries again. Pure. */
enum err_class intake_error_class(rd_kafka_resp_err_t code);

/* ---- partitions */

enum intake_change {
	INTAKE_SAME,
	INTAKE_ASSIGNED, /* intake_accept is due */
	INTAKE_REVOKED,  /* intake_release is due */
};
enum intake_change intake_change(const struct intake *intake);
/* Takes the partitions, and holds them. ERR_OPERATOR: a topic has more partitions than before. */
MUST_USE bool intake_accept(struct intake *intake, struct err *err);
/* Gives all partitions back. */
void intake_release(struct intake *intake);

size_t intake_partition_count(const struct intake *intake);
struct assigned_partition *intake_partition(const struct intake *intake, size_t number);
/* The partitions, as librdkafka wants them. The caller destroys the list. */
rd_kafka_topic_partition_list_t *intake_list(const struct intake *intake);

/* Asks for low and high of each partition. Read first where to start: a position that another
 * member has committed in between would seem to be past the end. ERR_RETRY: call again. */
MUST_USE bool intake_bounds(struct intake *intake, struct err *err);
/* Recognises the logs, and reads on from each partition's position. */
MUST_USE bool intake_start(struct intake *intake, struct err *err);
bool intake_is_reading(const struct intake *intake);
/* Stops reading, and forgets what was polled. The partitions and the membership stay. */
void intake_hold(struct intake *intake);

/* Called before each commit: looks for the marked records of the logs that are in doubt.
 * ERR_OPERATOR: a topic was deleted and created again. ERR_RETRY: the broker has not answered, and
 * nothing may be committed yet. */
MUST_USE bool intake_recognises(struct intake *intake, struct err *err);

/* Several times a second: asks no broker. limit_us: see partition_watch.h. */
void intake_watch(struct intake *intake, int64_t limit_us);
/* Appends what is held back, as partition_watch_text does. */
size_t intake_watch_text(const struct intake *intake, char *text, size_t len, size_t cap);

#endif
