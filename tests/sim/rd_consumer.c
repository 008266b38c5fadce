/* The consumer: group membership, fetches, and the end of a partition. A fetch puts records into
 * the client's queue, or into that of the partition if it is not forwarded, and a poll delivers
 * them. A new assignment drops the queues. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "sim/choice.h"
#include "sim/flushes.h"
#include "sim/network.h"
#include "sim/process.h"
#include "sim/rd_client.h"
#include "sim/replicas.h"
#include "sim/story.h"

#define FETCH_RECORDS 200
#define STALE_RECORDS 3
#define POLL_RECORDS  32 /* so that records stay in the queue of the client */

/* ---- the queue */

/* reading NULL: the message is about the client. */
static struct sim_message *message_new(rd_kafka_t *client, struct rd_reading *reading, size_t bytes)
{
	struct sim_messages *list =
		reading && reading->separate ? &reading->fetched : &client->fetched;
	struct sim_message *m = xzalloc(1, sizeof(*m) + bytes);

	m->bytes = bytes;
	m->message.rkt = reading ? rd_topic(client, reading->topic) : NULL;
	m->message.partition = reading ? reading->partition : RD_KAFKA_PARTITION_UA;
	if (reading)
		m->message.rkt->messages++;
	if (list->last)
		list->last->next = m;
	else
		list->first = m;
	list->last = m;
	return m;
}

static void push_error(rd_kafka_t *client, struct rd_reading *reading, rd_kafka_resp_err_t code,
                       int64_t offset)
{
	struct sim_message *m = message_new(client, reading, 0);

	m->message.err = code;
	m->message.offset = offset;
}

static void push_record(rd_kafka_t *client, struct rd_reading *reading, int64_t offset)
{
	const struct sim_record *record =
		&cluster_log(reading->topic, reading->partition)->records[offset];
	struct sim_message *m =
		message_new(client, reading, record->key.len + record->value.len + 2);
	char *bytes = (char *)(m + 1);

	m->message.offset = offset;
	m->time_ms = record->time_ms;
	if (record->key.at) {
		m->message.key = memcpy(bytes, record->key.at, record->key.len);
		m->message.key_len = record->key.len;
	}
	bytes += record->key.len + 1;
	if (record->value.at) {
		m->message.payload = memcpy(bytes, record->value.at, record->value.len);
		m->message.len = record->value.len;
	}
	m->headers = (rd_kafka_headers_t){(struct header *)(uintptr_t)record->headers,
	                                  record->header_count, 0};
}

static struct sim_message *pop(struct sim_messages *list)
{
	struct sim_message *m = list->first;

	if (!m)
		return NULL;
	list->first = m->next;
	if (!list->first)
		list->last = NULL;
	return m;
}

static void drop(struct sim_messages *list)
{
	struct sim_message *m;

	while ((m = pop(list)))
		rd_kafka_message_destroy(&m->message);
}

static void drop_queues(rd_kafka_t *client)
{
	drop(&client->fetched);
	for (size_t i = 0; i < client->reading_count; i++)
		drop(&client->readings[i].fetched);
}

void rd_consumer_destroy(rd_kafka_t *client)
{
	drop_queues(client);
	for (size_t i = 0; i < client->subscription_count; i++)
		free((void *)(uintptr_t)client->subscription[i]);
}

/* ---- fetching */

static int64_t readable_end(const rd_kafka_t *client, const struct partition_log *log)
{
	return client->conf.read_uncommitted ? (int64_t)log->end : log_lso(log);
}

static bool has_news(const rd_kafka_t *client, struct rd_reading *reading)
{
	const struct partition_log *log = cluster_log(reading->topic, reading->partition);

	if (reading->stopped)
		return false;
	if (!log)
		return true;
	if (log_is_away(log))
		return false;
	reading->high = (int64_t)log->end;
	return reading->position != readable_end(client, log) || !reading->end_reported;
}

static bool is_delivered(const rd_kafka_t *client, const struct sim_record *record)
{
	return record->fate == FATE_PLAIN || record->fate == FATE_COMMITTED ||
	       (record->fate != FATE_MARKER && client->conf.read_uncommitted);
}

static void push_stale(rd_kafka_t *client, struct rd_reading *reading,
                       const struct partition_log *log)
{
	uint32_t count = client->subscribed
	                         ? choose(CHOICE_STALE, process_current()->actor, STALE_RECORDS + 1)
	                         : 0;
	int64_t offset = reading->begin - (int64_t)count;

	if (count)
		story("%s/%d: old records are delivered again, before offset %d", log->topic,
		      log->partition, (int)reading->begin);
	for (; count && offset < reading->begin; offset++)
		if (offset >= log->start && is_delivered(client, &log->records[offset]))
			push_record(client, reading, offset);
}

static bool is_forwarded(const rd_kafka_t *client, const char *topic, int32_t partition)
{
	for (size_t i = 0; i < client->forwarded_count; i++)
		if (client->forwarded[i].partition == partition &&
		    strcmp(client->forwarded[i].topic, topic) == 0)
			return true;
	return false;
}

/* The end of an earlier assignment has taken the forwarding away. It comes back only if the
 * application has never set it. */
static void start_reading(const rd_kafka_t *client, struct rd_reading *reading)
{
	if (!reading->started && is_forwarded(client, reading->topic, reading->partition))
		reading->separate = true;
	reading->started = true;
}

static void fetch_partition(rd_kafka_t *client, struct rd_reading *reading)
{
	const struct partition_log *log = cluster_log(reading->topic, reading->partition);
	int64_t end, room = 1 + FETCH_RECORDS;

	if (!log) {
		push_error(client, reading, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, 0);
		return;
	}
	if (rd_right_is_missing("Fetch")) {
		push_error(client, reading, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 0);
		return;
	}
	if (reading->position < log->start || reading->position > (int64_t)log->end) {
		push_error(client, reading, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET,
		           reading->position);
		reading->stopped = true;
		return;
	}
	room = choose(CHOICE_FETCH_SIZE, process_current()->actor, 16);
	room = room ? room : FETCH_RECORDS;
	end = readable_end(client, log);
	if (!reading->end_reported)
		push_stale(client, reading, log);
	for (; reading->position < end && room > 0; reading->position++) {
		reading->end_reported = false;
		if (!is_delivered(client, &log->records[reading->position]))
			continue;
		push_record(client, reading, reading->position);
		room--;
	}
	if (reading->position == end && !reading->end_reported) {
		push_error(client, reading, RD_KAFKA_RESP_ERR__PARTITION_EOF, end);
		reading->end_reported = true;
	}
}

/* The queue of a partition is empty, or else the client does not fetch it. */
static bool has_room(const struct rd_reading *reading, bool shared)
{
	return reading->separate ? reading->fetched.first == NULL : shared;
}

static void fetch(rd_kafka_t *client)
{
	bool shared = client->fetched.first == NULL, news = false;

	if (client->rebalance_open || cluster_is_down() || client->silence == RD_NO_BROKER)
		return;
	for (size_t i = 0; i < client->reading_count; i++)
		news |= has_room(&client->readings[i], shared) &&
		        has_news(client, &client->readings[i]);
	if (!news || !rd_ask(client, "Fetch"))
		return;
	for (size_t n = 0; n < client->reading_count; n++) {
		struct rd_reading *reading =
			&client->readings[(client->next_reading + n) % client->reading_count];

		if (!has_room(reading, shared) || !has_news(client, reading))
			continue;
		start_reading(client, reading);
		fetch_partition(client, reading);
	}
	client->next_reading++;
}

/* ---- the group */

static void join(rd_kafka_t *client)
{
	const struct process *process = process_current();
	int before = sim_enter();

	groups_join(client->conf.group, client->conf.client_id, process->number, process->life,
	            client->subscription, client->subscription_count, client->member);
	sim_leave(before);
	client->generation = -1;
	client->lost = client->expelled = false;
	client->polled_us = sim_now_us();
}

/* librdkafka pauses all partitions before the callback, which drops the fetched records. */
static void call_back(rd_kafka_t *client, rd_kafka_resp_err_t kind)
{
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new((int)client->assignment.count);

	for (size_t i = 0; i < client->assignment.count; i++)
		rd_kafka_topic_partition_list_add(list, client->assignment.at[i].topic,
		                                  client->assignment.at[i].partition);
	story("rebalance: %zu partitions %s%s", client->assignment.count,
	      kind == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS ? "assigned" : "revoked",
	      client->lost ? " (lost)" : "");
	client->rebalance_open = true;
	drop_queues(client);
	client->conf.rebalance_cb(client, kind, list, client->conf.opaque);
	rd_kafka_topic_partition_list_destroy(list);
}

static void revoked(rd_kafka_t *client, bool lost)
{
	client->lost = lost;
	if (client->assigned)
		call_back(client, RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS);
	else if (lost)
		join(client);
	else
		groups_rejoin(client->conf.group, client->member);
}

static void leave(rd_kafka_t *client)
{
	int before = sim_enter();

	groups_leave(client->conf.group, client->member);
	sim_leave(before);
}

/* The client has not polled for max.poll.interval.ms: it leaves the group, and the next polls
 * return an error and the loss of the partitions. */
static bool is_expelled(rd_kafka_t *client)
{
	if (!client->expelled && client->conf.max_poll_us &&
	    sim_now_us() - client->polled_us > client->conf.max_poll_us) {
		story("the consumer has not polled for %d s",
		      (int)((sim_now_us() - client->polled_us) / 1000000));
		client->expelled = true;
		leave(client);
		push_error(client, NULL, RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED, 0);
		client->polled_us = sim_now_us();
		return true;
	}
	client->polled_us = sim_now_us();
	return false;
}

/* A member that does not reach its coordinator keeps its partitions for a session. */
static void serve_silence(rd_kafka_t *client)
{
	groups_silence(client->conf.group, client->member);
	if (!client->assigned || sim_now_us() - client->silent_since_us < GROUP_SESSION_US)
		return;
	client->lost = true;
	call_back(client, RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS);
}

/* Returns whether a callback was called. */
static bool serve_group(rd_kafka_t *client)
{
	if (!client->subscribed || client->closed || client->rebalance_open || is_expelled(client))
		return false;
	if (rd_is_silent(client, CHOICE_LOST)) {
		serve_silence(client);
		return client->rebalance_open;
	}
	if (cluster_is_down())
		return false;
	if (rd_right_is_missing("Heartbeat"))
		push_error(client, NULL, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, 0);
	if (choose(CHOICE_REBALANCE, process_current()->actor, 2))
		groups_rebalance(client->conf.group);
	switch (groups_poll(client->conf.group, client->member, &client->generation,
	                    &client->assignment)) {
	case MEMBER_NOTHING: return false;
	case MEMBER_REVOKE: revoked(client, false); break;
	case MEMBER_EXPELLED: revoked(client, true); break;
	case MEMBER_ASSIGN:
		client->assigned = true;
		call_back(client, RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS);
		break;
	}
	return client->rebalance_open;
}

rd_kafka_resp_err_t rd_kafka_subscribe(rd_kafka_t *client,
                                       const rd_kafka_topic_partition_list_t *topics)
{
	for (int i = 0; i < topics->cnt && i < 8; i++)
		client->subscription[client->subscription_count++] = strdup(topics->elems[i].topic);
	if (rd_local_fails("rd_kafka_subscribe"))
		return RD_KAFKA_RESP_ERR__INVALID_ARG;
	client->subscribed = true;
	join(client);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void set_readings(rd_kafka_t *client, const rd_kafka_topic_partition_list_t *list)
{
	client->reading_count = 0;
	for (int i = 0; list && i < list->cnt && i < GROUP_ASSIGNED_MAX; i++) {
		struct rd_reading *reading = &client->readings[client->reading_count++];

		*reading = (struct rd_reading){.partition = list->elems[i].partition,
		                               .position = list->elems[i].offset,
		                               .begin = list->elems[i].offset,
		                               .high = -1};
		snprintf(reading->topic, sizeof(reading->topic), "%s", list->elems[i].topic);
	}
}

rd_kafka_resp_err_t rd_kafka_assign(rd_kafka_t *client, const rd_kafka_topic_partition_list_t *list)
{
	if (list && list->cnt && rd_local_fails("rd_kafka_assign"))
		return RD_KAFKA_RESP_ERR__INVALID_ARG;
	drop_queues(client);
	rd_topics_free_unused(client);
	set_readings(client, list);
	client->rebalance_open = false;
	if (!client->subscribed || list || client->closed)
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	client->assigned = false;
	if (client->silence)
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	if (client->lost)
		join(client);
	else
		groups_rejoin(client->conf.group, client->member);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

int rd_kafka_assignment_lost(rd_kafka_t *client)
{
	return client->lost;
}

rd_kafka_resp_err_t rd_kafka_pause_partitions(rd_kafka_t *client,
                                              rd_kafka_topic_partition_list_t *list)
{
	for (size_t i = 0; i < client->reading_count; i++)
		if (rd_kafka_topic_partition_list_find(list, client->readings[i].topic,
		                                       client->readings[i].partition))
			client->readings[i].stopped = true;
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t rd_kafka_consumer_close(rd_kafka_t *client)
{
	if (client->subscribed && client->assigned && !client->rebalance_open)
		call_back(client, RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS);
	client->closed = true;
	if (client->subscribed && !client->silence && network_read("LeaveGroup"))
		leave(client);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_consumer_group_metadata_t *rd_kafka_consumer_group_metadata(rd_kafka_t *client)
{
	rd_kafka_consumer_group_metadata_t *group = xzalloc(1, sizeof(*group));

	snprintf(group->group, sizeof(group->group), "%s", client->conf.group);
	snprintf(group->member, sizeof(group->member), "%s", client->member);
	group->generation = client->generation;
	return group;
}

void rd_kafka_consumer_group_metadata_destroy(rd_kafka_consumer_group_metadata_t *group)
{
	free(group);
}

/* ---- polling */

static bool wait_for_message(rd_kafka_t *client, int timeout_ms)
{
	if (serve_group(client))
		return false;
	fetch(client);
	if (client->fetched.first || timeout_ms <= 0)
		return client->fetched.first != NULL;
	process_sleep((int64_t)timeout_ms * 1000);
	if (serve_group(client))
		return false;
	fetch(client);
	return client->fetched.first != NULL;
}

rd_kafka_queue_t *rd_kafka_queue_get_consumer(rd_kafka_t *client)
{
	rd_kafka_queue_t *queue = xzalloc(1, sizeof(*queue));

	queue->client = client;
	return queue;
}

rd_kafka_queue_t *rd_kafka_queue_get_partition(rd_kafka_t *client, const char *topic,
                                               int32_t partition)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(client);

	snprintf(queue->topic, sizeof(queue->topic), "%s", topic);
	queue->partition = partition;
	return queue;
}

static struct rd_reading *reading_of(const rd_kafka_queue_t *queue)
{
	for (size_t i = 0; i < queue->client->reading_count; i++) {
		struct rd_reading *reading = &queue->client->readings[i];

		if (reading->partition == queue->partition &&
		    strcmp(reading->topic, queue->topic) == 0)
			return reading;
	}
	return NULL;
}

static void note_forwarded(rd_kafka_t *client, const char *topic, int32_t partition)
{
	struct rd_forwarded *forwarded = &client->forwarded[client->forwarded_count];

	if (is_forwarded(client, topic, partition) || client->forwarded_count == GROUP_ASSIGNED_MAX)
		return;
	snprintf(forwarded->topic, sizeof(forwarded->topic), "%s", topic);
	forwarded->partition = partition;
	client->forwarded_count++;
}

void rd_kafka_queue_forward(rd_kafka_queue_t *queue, rd_kafka_queue_t *target)
{
	struct sim_messages *shared = &queue->client->fetched;
	struct rd_reading *reading = reading_of(queue);

	note_forwarded(queue->client, queue->topic, queue->partition);
	if (!reading)
		return;
	reading->separate = target == NULL;
	if (!target || !reading->fetched.first)
		return;
	if (shared->last)
		shared->last->next = reading->fetched.first;
	else
		shared->first = reading->fetched.first;
	shared->last = reading->fetched.last;
	reading->fetched = (struct sim_messages){0};
}

size_t rd_kafka_queue_length(rd_kafka_queue_t *queue)
{
	size_t length = 0;

	for (const struct sim_message *m = queue->client->fetched.first; m; m = m->next)
		length++;
	return length;
}

/* A stop that finds a batch which is not complete. */
static void stop_now(void)
{
	int actor = process_current()->actor, before;

	if (!choose(CHOICE_STOP, actor, 2))
		return;
	before = sim_enter();
	replica_stop(actor - 1, 0);
	sim_leave(before);
}

static ssize_t take(struct sim_messages *list, rd_kafka_message_t **messages, size_t size)
{
	size_t count = 0;

	for (; count < size && count < POLL_RECORDS && list->first; count++)
		messages[count] = &pop(list)->message;
	return (ssize_t)count;
}

/* The queue of a partition is filled by the polls of the client's queue. */
ssize_t rd_kafka_consume_batch_queue(rd_kafka_queue_t *queue, int timeout_ms,
                                     rd_kafka_message_t **messages, size_t size)
{
	struct rd_reading *reading = *queue->topic ? reading_of(queue) : NULL;
	ssize_t count;

	if (*queue->topic)
		return reading ? take(&reading->fetched, messages, size) : 0;
	process_current()->polled_us = sim_now_us();
	if (queue->client->subscribed && queue->client->reading_count)
		flushes_check_tasks(queue->client->reading_count);
	if (!wait_for_message(queue->client, timeout_ms))
		return 0;
	count = take(&queue->client->fetched, messages, size);
	stop_now();
	return count;
}

rd_kafka_message_t *rd_kafka_consumer_poll(rd_kafka_t *client, int timeout_ms)
{
	return wait_for_message(client, timeout_ms) ? &pop(&client->fetched)->message : NULL;
}

rd_kafka_resp_err_t rd_kafka_get_watermark_offsets(rd_kafka_t *client, const char *topic,
                                                   int32_t partition, int64_t *low, int64_t *high)
{
	*low = *high = -1;
	for (size_t i = 0; i < client->reading_count; i++)
		if (client->readings[i].partition == partition &&
		    strcmp(client->readings[i].topic, topic) == 0)
			*high = client->readings[i].high;
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}
