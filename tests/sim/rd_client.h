/* The simulated librdkafka: its types, shared by rd_*.c. Its functions have librdkafka's names and
 * contracts. An object belongs to the process that has made it. */
#ifndef SIM_RD_CLIENT_H
#define SIM_RD_CLIENT_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "sim/choice.h"
#include "sim/groups.h"
#include "stream/outbox.h"

struct rd_kafka_conf_s {
	char client_id[64], group[64], transactional_id[64];
	bool read_uncommitted;
	int64_t transaction_timeout_us, max_poll_us;
	void (*rebalance_cb)(rd_kafka_t *, rd_kafka_resp_err_t, rd_kafka_topic_partition_list_t *,
	                     void *);
	void *opaque;
	rd_kafka_interceptor_f_on_new_t *on_new;
	void *on_new_opaque;
};

struct rd_kafka_topic_s {
	char name[64];
	rd_kafka_t *client;
	size_t messages; /* that refer to it */
	struct rd_kafka_topic_s *next;
};

struct rd_kafka_headers_s {
	struct header *at;
	size_t count, capacity;
};

struct rd_kafka_error_s {
	rd_kafka_resp_err_t code;
	bool fatal, retriable, abortable;
	char text[160];
};

struct rd_kafka_consumer_group_metadata_s {
	char group[64], member[64];
	int32_t generation;
};

struct sim_message {
	rd_kafka_message_t message; /* first */
	rd_kafka_headers_t headers;
	int64_t time_ms;
	size_t bytes; /* of key and value, which follow */
	struct sim_message *next;
};

struct sim_messages {
	struct sim_message *first, *last;
};

/* One partition that a consumer reads. */
struct rd_reading {
	char topic[64];
	int32_t partition;
	int64_t position, begin, high;
	bool started, end_reported, stopped;
	bool separate;               /* its messages go into its own queue */
	struct sim_messages fetched; /* of its own queue */
};

/* A partition whose forwarding the application has set. */
struct rd_forwarded {
	char topic[64];
	int32_t partition;
};

/* One partition that a producer writes. */
struct rd_writing {
	char topic[64];
	int32_t partition;
	int32_t next_sequence; /* advances with an acknowledgement */
	size_t in_flight;      /* records of the batch that was sent and not acknowledged */
	bool added;            /* to the transaction */
};

struct rd_queued {
	size_t writing; /* index */
	struct span key, value;
	rd_kafka_headers_t *headers; /* owned; NULL: none */
	bool done;
	int64_t since_us;
};

enum rd_txn {
	RD_TXN_NOT_INITIALISED,
	RD_TXN_READY,
	RD_TXN_OPEN,
	RD_TXN_COMMITTING,
	RD_TXN_ABORTABLE, /* failed; must be aborted */
	RD_TXN_FATAL,
};

/* A client that does not connect any more: to its coordinator, or to any broker. */
enum rd_silence { RD_CONNECTED, RD_NO_COORDINATOR, RD_NO_BROKER };

struct rd_kafka_s {
	rd_kafka_type_t type;
	struct rd_kafka_conf_s conf;
	struct rd_kafka_topic_s *topics;
	rd_kafka_interceptor_f_on_response_received_t *on_response;
	void *on_response_opaque;
	enum rd_silence silence;
	int64_t silent_since_us;

	/* A consumer. */
	struct rd_reading readings[GROUP_ASSIGNED_MAX];
	size_t reading_count, next_reading;
	struct rd_forwarded forwarded[GROUP_ASSIGNED_MAX];
	size_t forwarded_count;
	struct sim_messages fetched; /* of all partitions that are not separate */
	bool subscribed, closed, assigned, lost, rebalance_open;
	const char *subscription[8];
	size_t subscription_count;
	char member[64];
	int32_t generation;
	struct member_assignment assignment;
	int64_t polled_us;
	bool expelled; /* it did not poll for max.poll.interval.ms */

	/* A producer. */
	enum rd_txn txn;
	int64_t pid;
	int16_t epoch;
	struct rd_writing writings[64];
	size_t writing_count;
	struct rd_queued *queue;
	size_t queue_count, queue_capacity;
	bool requested; /* the coordinator knows of this transaction */
	bool polling;   /* sends in the background, not in a call of the application */
	rd_kafka_resp_err_t failure;
	char failure_text[128];
};

struct rd_kafka_queue_s {
	rd_kafka_t *client;
	char topic[64]; /* empty: the queue of the client */
	int32_t partition;
	rd_kafka_event_t *event; /* of DeleteRecords */
};

/* The client's object of a topic. */
rd_kafka_topic_t *rd_topic(rd_kafka_t *client, const char *name);
/* Frees the objects to which no message refers. */
void rd_topics_free_unused(rd_kafka_t *client);
rd_kafka_error_t *rd_error(rd_kafka_resp_err_t code, bool retriable, bool abortable, bool fatal,
                           const char *text);
/* A choice: this local call fails. */
bool rd_local_fails(const char *call);
/* A choice: the answer to this request says that a right is missing. */
bool rd_right_is_missing(const char *request);
/* A choice of this kind: the client has become silent. */
bool rd_is_silent(rd_kafka_t *client, enum choice_kind kind);
/* A request that changes nothing; some hang first, and heartbeats go on. False: no answer. */
bool rd_ask(rd_kafka_t *client, const char *what);
void rd_consumer_destroy(rd_kafka_t *client);
void rd_producer_destroy(rd_kafka_t *client);

#endif
