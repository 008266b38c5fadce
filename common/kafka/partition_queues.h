/* The queues of a consumer, read so that no partition waits for another.
 *
 * librdkafka (2.15.1) puts the records of all partitions into one queue. While that is full, it
 * fetches nothing. When it has room again, the next request begins with the first partition, always
 * the same one. The broker fills the response in the order of the request. So if a response has no
 * room for records of all partitions, those at the end get nothing before those at the front are at
 * their log ends. Responses with room for all, and batches of any size, would take much memory.
 *
 * So while many records wait, each partition has its own queue with its own limit: a partition
 * whose queue is full is not in the request. These queues are polled in turn. While few records
 * come, all partitions share the queue of the client, because only one queue can be waited for. */
#ifndef FUNNEL_PARTITION_QUEUES_H
#define FUNNEL_PARTITION_QUEUES_H

#include <librdkafka/rdkafka.h>
#include <stddef.h>

struct partition_queues;

struct partition_queues *partition_queues_new(rd_kafka_t *client);
/* Before the client is closed. NULL is allowed. */
void partition_queues_free(struct partition_queues *queues);

/* Does rd_kafka_assign, and returns its result. Between two lists with partitions there must be one
 * without, or NULL: records that come before their queues are taken would be dropped. */
rd_kafka_resp_err_t partition_queues_assign(struct partition_queues *queues,
                                            const rd_kafka_topic_partition_list_t *list);

/* Takes up to `room` messages that have arrived, those of a partition in their order. If there are
 * none, waits up to wait_ms for the first. Returns their number; the caller destroys them. The
 * callbacks of the client run in this call. */
size_t partition_queues_poll(struct partition_queues *queues, int wait_ms,
                             rd_kafka_message_t **messages, size_t room);

#endif
