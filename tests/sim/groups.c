/* Transactional offsets are pending until the marker is in the log. The memory of the coordinator
 * and its log are two things: groups_forget makes the memory wrong until the next commit, as Kafka
 * does in some versions after the broker was killed. */
#include "sim/groups.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "sim/process.h"
#include "sim/story.h"
#include "wire/group_offsets.h"

#define GROUPS_MAX    8
#define MEMBERS_MAX   16
#define REBALANCE_US  INT64_C(60000000)
#define TICK_US       INT64_C(200000)
#define JOIN_DELAY_US INT64_C(100000)
#define PENDINGS_MAX  32

struct member {
	char id[64];
	int process;
	uint32_t life;
	int64_t seen_us;
	const char *topics[8];
	size_t topic_count;
	bool joined; /* waits for the next generation */
	bool silent; /* sends no heartbeats */
	struct member_assignment assigned;
	int32_t generation; /* of assigned */
};

struct stored_offset {
	struct sim_offset now, before; /* before: the one that now has replaced */
	bool is_wrong;                 /* the memory has `before` */
};

struct pending {
	int64_t pid; /* 0: free */
	struct sim_offset offsets[SIM_OFFSETS_MAX];
	size_t count;
};

struct group {
	char name[64];
	int32_t generation;
	bool rebalancing;
	bool incomplete; /* a topic was missing when the partitions were assigned */
	int64_t deadline_us, settle_us;
	struct member members[MEMBERS_MAX];
	size_t member_count;
	struct stored_offset *offsets;
	size_t offset_count, offset_capacity;
	struct pending pending[PENDINGS_MAX];
};

static struct {
	struct group at[GROUPS_MAX];
	size_t count;
	uint32_t members; /* that have ever joined */
} groups;

static void tick(void *context);

void groups_begin(void)
{
	memset(&groups, 0, sizeof(groups));
	timer_at(TICK_US, tick, NULL);
}

static struct group *group_of(const char *name)
{
	struct group *group;

	for (size_t i = 0; i < groups.count; i++)
		if (strcmp(groups.at[i].name, name) == 0)
			return &groups.at[i];
	group = &groups.at[groups.count++];
	snprintf(group->name, sizeof(group->name), "%s", name);
	return group;
}

static struct member *member_of(struct group *group, const char *id)
{
	for (size_t i = 0; i < group->member_count; i++)
		if (strcmp(group->members[i].id, id) == 0)
			return &group->members[i];
	return NULL;
}

/* ---- members */

static void begin_rebalance(struct group *group)
{
	if (!group->rebalancing) {
		for (size_t i = 0; i < group->member_count; i++)
			group->members[i].joined = false;
		group->deadline_us = sim_now_us() + REBALANCE_US;
	}
	group->rebalancing = true;
	group->settle_us = sim_now_us() + JOIN_DELAY_US;
}

void groups_rebalance(const char *name)
{
	for (size_t i = 0; i < groups.count; i++)
		if (groups.at[i].member_count && (!name || strcmp(groups.at[i].name, name) == 0))
			begin_rebalance(&groups.at[i]);
}

void groups_join(const char *name, const char *client_id, int process, uint32_t life,
                 const char *const *topics, size_t topic_count, char id[64])
{
	struct group *group = group_of(name);
	struct member *member;

	snprintf(id, 64, "%s-%u", client_id, ++groups.members);
	if (group->member_count == MEMBERS_MAX)
		return;
	begin_rebalance(group);
	member = &group->members[group->member_count++];
	*member = (struct member){.process = process,
	                          .life = life,
	                          .seen_us = sim_now_us(),
	                          .joined = true,
	                          .generation = -1};
	snprintf(member->id, sizeof(member->id), "%s", id);
	for (size_t i = 0; i < topic_count && i < 8; i++)
		member->topics[member->topic_count++] = strdup(topics[i]);
}

static void remove_member(struct group *group, struct member *member, const char *why)
{
	story("group %s: member %s leaves: %s", group->name, member->id, why);
	*member = group->members[--group->member_count];
	if (group->member_count)
		begin_rebalance(group);
}

void groups_leave(const char *name, const char *id)
{
	struct group *group = group_of(name);
	struct member *member = member_of(group, id);

	if (member)
		remove_member(group, member, "it has closed");
}

void groups_silence(const char *name, const char *id)
{
	struct member *member = member_of(group_of(name), id);

	if (member)
		member->silent = true;
}

void groups_rejoin(const char *name, const char *id)
{
	struct member *member = member_of(group_of(name), id);

	if (!member)
		return;
	member->joined = true;
	member->seen_us = sim_now_us();
}

static bool subscribes(const struct member *member, const char *topic)
{
	for (size_t i = 0; i < member->topic_count; i++)
		if (strcmp(member->topics[i], topic) == 0)
			return true;
	return false;
}

/* Strategy range: each member gets a run of partitions of each topic. */
static void assign_topic(struct group *group, const struct sim_topic *topic)
{
	size_t count = 0, turn = 0;

	for (size_t i = 0; i < group->member_count; i++)
		count += subscribes(&group->members[i], topic->name);
	for (size_t i = 0; i < group->member_count; i++) {
		struct member *member = &group->members[i];
		struct member_assignment *to = &member->assigned;
		size_t partitions = (size_t)topic->partition_count;

		if (!subscribes(member, topic->name))
			continue;
		for (size_t p = partitions * turn / count; p < partitions * (turn + 1) / count;
		     p++) {
			snprintf(to->at[to->count].topic, sizeof(to->at[0].topic), "%s",
			         topic->name);
			to->at[to->count++].partition = (int32_t)p;
		}
		turn++;
	}
}

static bool a_topic_is_missing(void)
{
	for (size_t t = 0; t < cluster.topic_count; t++)
		if (cluster.topics[t].missing)
			return true;
	return false;
}

static void next_generation(struct group *group)
{
	for (size_t i = group->member_count; i-- > 0;)
		if (!group->members[i].joined)
			remove_member(group, &group->members[i], "it has not joined again in time");
	group->rebalancing = false;
	group->generation++;
	for (size_t i = 0; i < group->member_count; i++)
		group->members[i].assigned.count = 0;
	group->incomplete = a_topic_is_missing();
	for (size_t t = 0; t < cluster.topic_count; t++)
		if (!cluster.topics[t].missing)
			assign_topic(group, &cluster.topics[t]);
	for (size_t i = 0; i < group->member_count; i++)
		group->members[i].generation = group->generation;
	story("group %s: generation %d with %zu members", group->name, group->generation,
	      group->member_count);
}

static bool all_joined(const struct group *group)
{
	for (size_t i = 0; i < group->member_count; i++)
		if (!group->members[i].joined)
			return false;
	return group->member_count > 0;
}

size_t groups_expel(int process, uint32_t life)
{
	size_t left = 0;

	for (size_t g = 0; g < groups.count; g++) {
		for (size_t i = groups.at[g].member_count; i-- > 0;)
			if (groups.at[g].members[i].process == process &&
			    groups.at[g].members[i].life == life)
				remove_member(&groups.at[g], &groups.at[g].members[i],
				              "its heartbeats are lost");
		left += groups.at[g].member_count;
	}
	return left;
}

static void expel(struct group *group)
{
	for (size_t i = group->member_count; i-- > 0;) {
		struct member *member = &group->members[i];
		const struct process *process = process_of(member->process);

		if (process->alive && process->life == member->life &&
		    !process_is_frozen(process) && !member->silent)
			member->seen_us = sim_now_us();
		else if (sim_now_us() - member->seen_us > GROUP_SESSION_US)
			remove_member(group, member, "its session has timed out");
	}
}

static void tick(void *context)
{
	(void)context;
	timer_at(sim_now_us() + TICK_US, tick, NULL);
	if (cluster_is_down() || sim_now_us() < cluster.loading_until_us)
		return;
	for (size_t i = 0; i < groups.count; i++) {
		struct group *group = &groups.at[i];

		expel(group);
		/* The members see the topic in new metadata. */
		if (group->incomplete && !group->rebalancing && !a_topic_is_missing())
			begin_rebalance(group);
		if (group->rebalancing &&
		    ((all_joined(group) && sim_now_us() >= group->settle_us) ||
		     sim_now_us() >= group->deadline_us))
			next_generation(group);
	}
}

enum member_event groups_poll(const char *name, const char *id, int32_t *generation,
                              struct member_assignment *assignment)
{
	struct group *group = group_of(name);
	struct member *member = member_of(group, id);

	if (!member)
		return MEMBER_EXPELLED;
	if (group->rebalancing && !member->joined)
		return MEMBER_REVOKE;
	if (group->rebalancing || member->generation == *generation)
		return MEMBER_NOTHING;
	*generation = member->generation;
	*assignment = member->assigned;
	return MEMBER_ASSIGN;
}

/* ---- committed offsets */

static struct stored_offset *stored(struct group *group, const char *topic, int32_t partition)
{
	for (size_t i = 0; i < group->offset_count; i++)
		if (strcmp(group->offsets[i].now.topic, topic) == 0 &&
		    group->offsets[i].now.partition == partition)
			return &group->offsets[i];
	return NULL;
}

static void store(struct group *group, const struct sim_offset *offset)
{
	struct stored_offset *at = stored(group, offset->topic, offset->partition);

	if (!at) {
		GROW(group->offsets, group->offset_count, group->offset_capacity);
		at = &group->offsets[group->offset_count++];
		*at = (struct stored_offset){.now = *offset};
		at->now.offset = -1;
	}
	at->before = at->now;
	at->now = *offset;
	at->is_wrong = false;
}

static struct pending *pending_of(struct group *group, int64_t pid)
{
	for (int i = 0; i < PENDINGS_MAX; i++)
		if (group->pending[i].pid == pid)
			return &group->pending[i];
	return NULL;
}

static void put_number(struct buffer *out, uint64_t number, size_t bytes)
{
	for (size_t i = bytes; i-- > 0;)
		buffer_append(out, &(char){(char)(number >> (i * 8))}, 1);
}

static void put_text(struct buffer *out, struct span text)
{
	put_number(out, text.len, 2);
	buffer_append(out, text.at ? text.at : "", text.len);
}

/* Versions 1 of the key and 3 of the value. */
static struct sim_record offset_record(const char *group, const struct sim_offset *offset)
{
	struct buffer key = {0}, value = {0};

	put_number(&key, 1, 2);
	put_text(&key, span_of(group));
	put_text(&key, span_of(offset->topic));
	put_number(&key, (uint32_t)offset->partition, 4);
	put_number(&value, 3, 2);
	put_number(&value, (uint64_t)offset->offset, 8);
	put_number(&value, 0xffffffff, 4);
	put_text(&value, offset->metadata);
	put_number(&value, (uint64_t)sim_wallclock_us() / 1000, 8);
	return (struct sim_record){.key = {key.at, key.len}, .value = {value.at, value.len}};
}

static struct partition_log *offsets_log(const char *group)
{
	struct sim_topic *topic = cluster_topic(GROUP_OFFSETS_TOPIC);

	return &topic->logs[group_offsets_partition(span_of(group), topic->partition_count)];
}

static void append_offsets(struct group *group, const struct request *request,
                           struct response *response)
{
	struct sim_record records[SIM_OFFSETS_MAX];
	struct batch batch = {.pid = request->pid,
	                      .epoch = request->epoch,
	                      .transactional = true,
	                      .first_sequence = -1,
	                      .records = records,
	                      .count = request->offset_count};

	for (size_t i = 0; i < request->offset_count; i++)
		records[i] = offset_record(group->name, &request->offsets[i]);
	response->code = log_append(offsets_log(group->name), &batch);
}

static void add_pending(struct group *group, const struct request *request)
{
	struct pending *pending = pending_of(group, request->pid);

	if (!pending) {
		pending = pending_of(group, 0);
		*pending = (struct pending){.pid = request->pid};
	}
	for (size_t i = 0; i < request->offset_count; i++) {
		const struct sim_offset *offset = &request->offsets[i];
		size_t at = 0;

		while (at < pending->count && (strcmp(pending->offsets[at].topic, offset->topic) ||
		                               pending->offsets[at].partition != offset->partition))
			at++;
		pending->offsets[at] = *offset;
		pending->count += at == pending->count;
	}
}

static rd_kafka_resp_err_t check_member(struct group *group, const struct request *request)
{
	const struct member *member = member_of(group, request->member);

	if (!member)
		return RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID;
	if (request->generation != group->generation)
		return RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION;
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void groups_handle(const struct request *request, struct response *response)
{
	struct group *group = group_of(request->group);
	struct partition_log *log = offsets_log(request->group);

	response->code = check_member(group, request);
	if (!response->code && log_is_away(log))
		response->code = RD_KAFKA_RESP_ERR_NOT_COORDINATOR;
	if (!response->code && !cluster.bugs.no_verification)
		response->code = transactions_verify(request->pid, request->epoch, log);
	if (!response->code)
		append_offsets(group, request, response);
	if (!response->code)
		add_pending(group, request);
}

rd_kafka_resp_err_t groups_offset(const char *name, const char *topic, int32_t partition,
                                  struct sim_offset *offset)
{
	struct group *group = group_of(name);
	const struct stored_offset *at = stored(group, topic, partition);

	*offset = (struct sim_offset){.partition = partition, .offset = -1};
	snprintf(offset->topic, sizeof(offset->topic), "%s", topic);
	for (int i = 0; i < PENDINGS_MAX; i++)
		for (size_t p = 0; group->pending[i].pid && p < group->pending[i].count; p++)
			if (strcmp(group->pending[i].offsets[p].topic, topic) == 0 &&
			    group->pending[i].offsets[p].partition == partition)
				return RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT;
	if (at)
		*offset = at->is_wrong ? at->before : at->now;
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

int64_t groups_logged_offset(const char *name, const char *topic, int32_t partition)
{
	const struct stored_offset *at = stored(group_of(name), topic, partition);

	return at ? at->now.offset : -1;
}

/* Another group has offsets of the same topics in the same log. */
static void append_foreign(const struct group *group, const struct sim_offset *ours)
{
	struct sim_offset foreign = *ours;
	struct sim_record record;
	struct batch batch = {.pid = -1, .first_sequence = -1, .records = &record, .count = 1};

	foreign.offset /= 2;
	record = offset_record("another", &foreign);
	(void)log_append(offsets_log(group->name), &batch);
}

void groups_marked(const struct txn *txn, bool commit)
{
	for (size_t i = 0; i < groups.count; i++) {
		struct pending *pending = pending_of(&groups.at[i], txn->pid);

		for (size_t p = 0; pending && commit && p < pending->count; p++) {
			store(&groups.at[i], &pending->offsets[p]);
			append_foreign(&groups.at[i], &pending->offsets[p]);
		}
		if (pending)
			*pending = (struct pending){0};
	}
}

size_t groups_pending(int64_t pid, const struct sim_offset **offsets, const char **name)
{
	for (size_t i = 0; i < groups.count; i++) {
		const struct pending *pending = pending_of(&groups.at[i], pid);

		if (!pending)
			continue;
		*offsets = pending->offsets;
		*name = groups.at[i].name;
		return pending->count;
	}
	return 0;
}

/* The last counted row, from the restore metadata; -1: none. */
static int64_t last_counted(const struct sim_offset *offset)
{
	const char *at = offset->metadata.at ? strstr(offset->metadata.at, " l=") : NULL;

	return at ? strtoll(at + 3, NULL, 10) : -1;
}

/* Not if the services cannot notice it: see README.md, "What it has found". */
void groups_forget(bool all)
{
	for (size_t g = 0; g < groups.count; g++)
		for (size_t i = 0; i < groups.at[g].offset_count; i++) {
			struct stored_offset *at = &groups.at[g].offsets[i];

			if (strstr(at->now.topic, "partials") ||
			    (!all && at->before.offset > last_counted(&at->now)))
				continue;
			at->is_wrong = true;
			if (all)
				at->before.offset = -1;
		}
}

static void append_tombstone(const struct group *group, const struct sim_offset *offset)
{
	struct sim_record record = offset_record(group->name, offset);
	struct batch batch = {.pid = -1, .first_sequence = -1, .records = &record, .count = 1};

	record.value = SPAN_NULL;
	(void)log_append(offsets_log(group->name), &batch);
}

void groups_drop_topic(const char *topic)
{
	for (size_t g = 0; g < groups.count; g++)
		for (size_t i = 0; i < groups.at[g].offset_count; i++) {
			struct stored_offset *at = &groups.at[g].offsets[i];

			if (strcmp(at->now.topic, topic) != 0 || at->now.offset < 0)
				continue;
			append_tombstone(&groups.at[g], &at->now);
			at->now.offset = at->before.offset = -1;
		}
}

static void append_offset(const struct group *group, const struct sim_offset *offset)
{
	struct sim_record record = offset_record(group->name, offset);
	struct batch batch = {.pid = -1, .first_sequence = -1, .records = &record, .count = 1};

	(void)log_append(offsets_log(group->name), &batch);
}

static void move_offset(const struct group *group, struct stored_offset *at, bool all)
{
	if (all && at->now.offset >= 0) {
		append_tombstone(group, &at->now);
		at->now.offset = at->before.offset = -1;
	} else if (!all && at->before.offset >= 0 && at->before.offset <= last_counted(&at->now)) {
		append_offset(group, &at->before);
		at->now = at->before;
		at->is_wrong = false;
	}
}

void groups_move_offsets(bool all)
{
	for (size_t g = 0; g < groups.count; g++)
		for (size_t i = 0; i < groups.at[g].offset_count; i++)
			move_offset(&groups.at[g], &groups.at[g].offsets[i], all);
}
