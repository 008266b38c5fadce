#include "sim/pg_world.h"

#include <stdio.h>
#include <string.h>

#include "sim/cluster.h"
#include "sim/groups.h"
#include "sim/oracle.h"
#include "sim/pg_input.h"
#include "sim/pg_libpq.h"
#include "sim/pg_oracle.h"
#include "sim/pg_server.h"
#include "sim/process.h"
#include "sim/replicas.h"
#include "sim/story.h"
#include "sim/substitutes.h"

#define EVENT_US      INT64_C(200000)
#define EVENT_VALUES  6000
#define DROP_US       1500
#define DROP_EVERY_US INT64_C(1000000)
#define BEHIND_US     INT64_C(9000000) /* less than PAST_END_LIMIT_US */
#define MISSING_US    INT64_C(900000)  /* longer than RECREATION_SILENCE_US */
#define FROZEN_US     INT64_C(3000000) /* shorter than a session */
#define AGAIN_RECORDS 120
#define METADATA_US   INT64_C(20000000)
#define POLLED_US     INT64_C(5000000)
#define DELETED_MAX   2
#define ADVICE_US     INT64_C(10000000) /* until an operator follows the advice */

/* What a schedule may lose, once. */
enum pg_loss {
	PG_LOSS_TOPIC,   /* deleted and created again */
	PG_LOSS_UNSEEN,  /* the same, and the loaders do not see that it was missing */
	PG_LOSS_RECORDS, /* removed by retention */
	PG_LOSS_SKIPPED, /* the same, and an operator skips them */
	PG_LOSS_SCHEMAS, /* the registry gives other ids */
	PG_LOSS_COUNT
};

static struct {
	int64_t until_us;
	bool retention; /* drops days; else an operator sets offsets back */
	uint64_t day;
	int64_t next_drop_us;
	uint32_t
		refusals_obeyed; /* number of refusals when the operator followed the last advice */
	bool was_behind;
	uint64_t set_back;
	int deleted; /* rows of offsets, while a loader read them */
	enum pg_loss loss;
	struct sim_topic *topic; /* that the loss concerns */
	uint64_t topic_number;
	bool heals; /* no other faults after the loss */
	bool lost;
} world;

static const struct {
	enum choice_kind kind;
	uint32_t rates[4]; /* one of them, in 1/65536 */
} rates[] = {
	{CHOICE_PG, {0, 300, 1500, 5000}},         {CHOICE_PG_ERROR, {0, 0, 600, 3000}},
	{CHOICE_PG_CONNECT, {0, 0, 4000, 20000}},  {CHOICE_PG_EVENT, {0, 1000, 4000, 10000}},
	{CHOICE_PG_DELETE, {0, 0, 0, 8000}},       {CHOICE_PG_COMMIT, {0, 1000, 4000, 12000}},
	{CHOICE_PG_STEAL, {0, 2000, 5000, 10000}}, {CHOICE_REGISTRY, {0, 1000, 6000, 16000}},
	{CHOICE_STOP, {0, 0, 100, 800}},           {CHOICE_LOG, {0, 300, 1500, 6000}},
};

int pg_world_draw(uint64_t seed, uint32_t into[CHOICE_KIND_COUNT])
{
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
		into[rates[i].kind] = rates[i].rates[choice_hash(seed, 200 + i) % 4];
	return choice_hash(seed, 210) % 4 ? 1 + (int)(choice_hash(seed, 210) / 4 % 3) : 2;
}

enum pg_event {
	PG_EVENT_RESTART,
	PG_EVENT_CRASH,
	PG_EVENT_READ_ONLY,
	PG_EVENT_FULL,
	PG_EVENT_BEHIND,
	PG_EVENT_DELETE, /* retention drops a day, or an operator sets an offset back */
	PG_EVENT_DELETE_2,
	PG_EVENT_DELETE_3,
	PG_EVENT_DELETE_4, /* as often as the others together */
	PG_EVENT_COUNT
};

/* Waits until no transaction is open, as the lock of the partition does. */
static void drop_day(void *context)
{
	(void)context;
	if (sim_now_us() >= world.next_drop_us && pg_drop_day(world.day, pg_oracle_dropped))
		world.next_drop_us = sim_now_us() + DROP_EVERY_US;
	else if (sim_now_us() < world.until_us)
		timer_at(sim_now_us() + DROP_US, drop_day, NULL);
}

/* The operator restarts the loaders: one that has nothing to commit does not read its offset. */
static void stop_all(void *context)
{
	(void)context;
	for (int i = 0; i < replicas_count(); i++)
		replica_stop(i, DROP_US);
}

/* Waits until no transaction holds the row. */
static void set_back(void *context)
{
	const struct sim_topic *topic =
		pg_oracle_topic(world.set_back % 2 ? PG_ORACLE_BRONZE : world.set_back / 2);
	int32_t partition = (int32_t)(world.set_back / 8 % (uint64_t)topic->partition_count);
	int64_t now = pg_offset_of(topic->name, partition);
	int64_t to = now < 0 ? now : (int64_t)(world.set_back / 256 % ((uint64_t)now + 1));

	(void)context;
	if (world.set_back / 64 % 4 == 0)
		to = PG_OFFSET_DELETED;
	if (pg_set_offset(topic->name, partition, to)) {
		pg_oracle_set_back();
		timer_at(sim_now_us() + (int64_t)(world.set_back / 8 % 30) * EVENT_US, stop_all,
		         NULL);
	} else if (sim_now_us() < world.until_us) {
		timer_at(sim_now_us() + DROP_US, set_back, NULL);
	}
}

void pg_world_delete_offset(uint64_t param)
{
	if (world.retention || world.topic || world.deleted == DELETED_MAX)
		return;
	world.deleted++;
	world.set_back = choice_hash(param, 2) & ~UINT64_C(0xc0); /* see set_back: it deletes */
	set_back(NULL);
}

/* A broker that has just started shows too little. */
static void fall_behind(int64_t us, uint64_t param)
{
	if (world.was_behind || world.topic) /* it would hide that the counts cannot be read */
		return;
	world.was_behind = true;
	cluster.behind_by = 1 + (int64_t)(param % 20);
	cluster.behind_until_us = sim_now_us() + (us < BEHIND_US ? us : BEHIND_US);
	story("the broker shows ends that are %d too low", (int)cluster.behind_by);
}

static void carry_out(enum pg_event event, uint64_t param)
{
	int64_t us = (int64_t)(1 + param % 40) * 100000;

	switch (event) {
	case PG_EVENT_RESTART: pg_restart(us, false); break;
	case PG_EVENT_CRASH: pg_restart(us, true); break;
	case PG_EVENT_READ_ONLY: pg_read_only(us); break;
	case PG_EVENT_FULL: pg_full(us); break;
	case PG_EVENT_BEHIND: fall_behind(us * 3, param); break;
	case PG_EVENT_DELETE:
	case PG_EVENT_DELETE_2:
	case PG_EVENT_DELETE_3:
	case PG_EVENT_DELETE_4:
		world.day = param;
		world.set_back = choice_hash(param, 1);
		if (world.retention)
			drop_day(NULL);
		else if (!world.topic)
			set_back(NULL);
		break;
	case PG_EVENT_COUNT: break;
	}
}

static void tick(void *context)
{
	uint32_t value = choose(CHOICE_PG_EVENT, 0, EVENT_VALUES);

	(void)context;
	if (value)
		carry_out((enum pg_event)((value - 1) % PG_EVENT_COUNT),
		          (value - 1) / PG_EVENT_COUNT);
	if (pg_unknown())
		oracle_fail("the simulated PostgreSQL does not know this statement: %s",
		            pg_unknown());
	timer_at(sim_now_us() + EVENT_US, tick, NULL);
}

/* ---- losses */

/* Members look for new topics from time to time. */
static void rebalance(void *context)
{
	(void)context;
	groups_rebalance(NULL);
}

static void recreate(void *context)
{
	(void)context;
	timer_at(sim_now_us() + METADATA_US, rebalance, NULL);
	story("the topic %s is created again", world.topic->name);
	cluster_recreate_topic(world.topic);
	pg_input_again(AGAIN_RECORDS, world.topic);
}

static bool delete_topic(void)
{
	uint64_t number = world.topic_number;

	do
		world.topic = pg_oracle_kept_topic(number);
	while (!pg_oracle_keep_logs(world.topic) && ++number < world.topic_number + 6);
	if (number == world.topic_number + 6)
		return false;
	story("the topic %s is deleted", world.topic->name);
	cluster_delete_topic(world.topic, true);
	for (int i = 0; world.loss == PG_LOSS_UNSEEN && i < replicas_count(); i++)
		replica_freeze(i, FROZEN_US);
	timer_at(sim_now_us() + MISSING_US, recreate, NULL);
	return true;
}

/* False: the partition has no row, its offset is not lost, or a transaction holds the row. */
static bool skip_partition(int32_t partition)
{
	int64_t now = pg_offset_of(world.topic->name, partition),
		start = world.topic->logs[partition].start;

	return now >= 0 && now < start && pg_set_offset(world.topic->name, partition, start);
}

/* The operator follows the advice each time a loader has given it, not before: a loader may insert
 * the row of a partition, with an offset that it read before the loss, at any time later. */
static void skip_lost(void *context)
{
	bool advised = replicas_refusals() > world.refusals_obeyed &&
	               strstr(replicas_refusal(), world.topic->name) &&
	               strstr(replicas_refusal(), "set next_offset of this row");
	bool skipped = false;

	(void)context;
	for (int32_t p = 0; advised && p < world.topic->partition_count; p++)
		skipped |= skip_partition(p);
	if (skipped) {
		world.refusals_obeyed = replicas_refusals();
		pg_oracle_set_back();
	}
	timer_at(sim_now_us() + EVENT_US, skip_lost, NULL);
}

static bool trim(void)
{
	for (int32_t p = 0; p < world.topic->partition_count; p++) {
		struct partition_log *log = &world.topic->logs[p];

		log_trim(log, log_lso(log));
		story("retention removes %s/%d before offset %d", world.topic->name, p,
		      (int)log->start);
	}
	if (world.loss == PG_LOSS_SKIPPED)
		timer_at(world.until_us + ADVICE_US, skip_lost, NULL);
	return true;
}

/* All loaders start again: one that runs keeps the ids that it knows. The services refuse too, so
 * nothing more is written. */
static bool lose_schemas(void)
{
	const struct partition_log *counts = &pg_oracle_topic(PG_ORACLE_COUNTS)->logs[0];
	bool any = false;

	for (int64_t i = 0; i < log_lso(counts); i++)
		any |= counts->records[i].fate == FATE_COMMITTED && counts->records[i].value.at;
	if (!any)
		return false;
	story("the registry has lost its data and gives other ids");
	cluster.behind_until_us = 0;
	pg_input_stop();
	for (int i = 0; i < PROCESS_MAX; i++)
		if (process_of(i)->alive)
			process_kill(process_of(i), "kill -9");
	sim_registry_begin(100);
	return true;
}

static void try_to_lose(void *context)
{
	(void)context;
	switch (world.loss) {
	case PG_LOSS_TOPIC:
	case PG_LOSS_UNSEEN: world.lost = delete_topic(); break;
	case PG_LOSS_RECORDS:
	case PG_LOSS_SKIPPED: world.lost = trim(); break;
	case PG_LOSS_SCHEMAS: world.lost = lose_schemas(); break;
	case PG_LOSS_COUNT: break;
	}
	if (!world.lost && sim_now_us() < world.until_us)
		timer_at(sim_now_us() + EVENT_US, try_to_lose, NULL);
	if (!world.lost)
		return;
	replicas_may_refuse(true);
	if (world.heals)
		choice_heal();
}

void pg_world_lose(uint64_t seed)
{
	world.loss = (enum pg_loss)(choice_hash(seed, 215) % PG_LOSS_COUNT);
	world.topic_number = choice_hash(seed, 216) % 64;
	world.topic = pg_oracle_topic(world.topic_number);
	world.heals = choice_hash(seed, 219) % 2;
	try_to_lose(NULL);
}

/* ---- running */

void pg_world_begin(uint64_t seed, int loaders, int64_t until_us)
{
	uint32_t records = 40 + (uint32_t)(choice_hash(seed, 211) % 200);

	memset(&world, 0, sizeof(world));
	world.until_us = until_us;
	world.retention = choice_hash(seed, 212) % 2;
	pg_libpq_begin();
	pg_begin(pg_oracle_committed);
	if (choice_hash(seed, 217) % 4 == 0)
		pg_limit_rows(2 + choice_hash(seed, 218) % 20);
	pg_oracle_begin();
	for (int i = 0; i < loaders; i++)
		replicas_add(SIM_LOADER, i);
	pg_input_begin(choice_hash(seed, 213), records, until_us / 100, choice_hash(seed, 214) % 2);
	timer_at(EVENT_US, tick, NULL);
}

/* A loader that does not poll keeps its partitions from others, or does nothing. */
static bool all_poll(char *why, size_t cap)
{
	for (int i = 0; i < PROCESS_MAX; i++) {
		const struct process *process = process_of(i);

		if (!process->alive || sim_now_us() - process->polled_us < POLLED_US)
			continue;
		snprintf(why, cap, "%s does not poll", process->name);
		return false;
	}
	return true;
}

bool pg_world_is_complete(char *why, size_t cap)
{
	if (!pg_input_is_complete()) {
		snprintf(why, cap, "the input is not complete");
		return false;
	}
	return pg_oracle_is_complete(why, cap) && all_poll(why, cap);
}

static void check_refusal(void)
{
	const char *names = world.loss == PG_LOSS_SCHEMAS ? "schema" : world.topic->name;
	char why[256];

	if (pg_oracle_is_complete(why, sizeof(why)))
		return;
	if (!world.lost || world.loss == PG_LOSS_SKIPPED)
		oracle_fail("not complete: %s", why);
	else if (!strstr(replicas_refusal(), names))
		oracle_fail("not complete, and no loader has said why: %s; '%.200s'", why,
		            replicas_refusal());
}

void pg_world_end(void)
{
	if (!oracle_failure())
		check_refusal();
	pg_oracle_end();
}
