/* The seed decides the world: partitions, replicas, input, which kinds of faults there are and how
 * often. The choices decide when they happen. So a trace needs the seed too: for the same world. */
#include "sim/schedule.h"

#include <stdio.h>
#include <string.h>

#include "sim/arena.h"
#include "sim/groups.h"
#include "sim/input.h"
#include "sim/oracle.h"
#include "sim/pg_oracle.h"
#include "sim/pg_server.h"
#include "sim/pg_world.h"
#include "sim/process.h"
#include "sim/replicas.h"
#include "sim/services.h"
#include "sim/story.h"
#include "sim/substitutes.h"
#include "sim/transactions.h"
#include "wire/group_offsets.h"
#include "wire/topics.h"

#define SECOND_US     INT64_C(1000000)
#define EVENT_US      INT64_C(250000)
#define QUIET_US      (600 * SECOND_US) /* after the faults, everything is processed in this time */
#define LOSS_QUIET_US (40 * SECOND_US)
#define EVENT_VALUES  60000
#define FROZEN_US     INT64_C(3000000) /* shorter than a session */
#define LOSS_EVERY    8                /* schedules */
#define MISSING_US    INT64_C(900000)  /* longer than RECREATION_SILENCE_US */

/* What a schedule may lose, once. Then the services have to refuse, and nothing is complete. */
enum loss {
	LOSS_NONE,
	LOSS_RAW_TOPIC,             /* deleted and created again */
	LOSS_RAW_TOPIC_NOT_OFFSETS, /* the same, but the group's offsets stay */
	LOSS_RAW_RECORDS,           /* removed by retention */
	LOSS_BRONZE_RECORDS,
	LOSS_SCHEMAS, /* the registry gives other ids */
	LOSS_COUNT,
	LOSS_OF_LOADER /* see pg_world.c */
};

struct world {
	uint64_t seed;
	enum loss loss;
	int32_t partitions, dead_partitions;
	int sinks, aggregators, loaders;
	struct input_config input;
	int64_t faults_us; /* virtual time of faults */
	uint32_t rates[CHOICE_KIND_COUNT];
};

static struct {
	int64_t faults_us;
	bool healed;
} running;

/* ---- drawing the world */

struct rate {
	enum choice_kind kind;
	uint32_t rates[4]; /* one of them, in 1/65536 */
};
static const struct rate rates[] = {
	{CHOICE_LATENCY, {0, 4000, 20000, 40000}},
	{CHOICE_TURN, {0, 8000, 20000, 40000}},
	{CHOICE_FETCH_SIZE, {0, 4000, 20000, 60000}},
	{CHOICE_SEND_EARLY, {0, 1000, 8000, 30000}},
	{CHOICE_INPUT, {4000, 10000, 20000, 60000}},
	{CHOICE_REQUEST, {0, 100, 600, 3000}},
	{CHOICE_CRASH, {0, 0, 60, 400}},
	{CHOICE_CRASH_POINT, {0, 0, 60, 500}},
	{CHOICE_CRASH_MEMORY, {0, 0, 8000, 20000}},
	{CHOICE_ANSWER_ERROR, {0, 100, 1000, 4000}},
	{CHOICE_EVENT, {0, 1500, 4000, 10000}},
	{CHOICE_STALE, {0, 0, 3000, 20000}},
	{CHOICE_REGISTRY, {0, 0, 1000, 8000}},
	{CHOICE_CALL, {0, 0, 600, 6000}},
	{CHOICE_QUEUE_FULL, {0, 0, 60, 800}},
	{CHOICE_FREEZE, {0, 0, 30, 200}},
	{CHOICE_REBALANCE, {0, 0, 300, 2000}},
	{CHOICE_RESTART, {0, 10000, 30000, 60000}},
};

static void draw_rates(uint64_t seed, struct world *world)
{
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
		world->rates[rates[i].kind] = rates[i].rates[choice_hash(seed, 100 + i) % 4];
}

static void draw_world(uint64_t seed, struct world *world)
{
	*world = (struct world){
		.seed = seed,
		.partitions = 1 + (int32_t)(choice_hash(seed, 1) % 3),
		.dead_partitions = 1,
		.sinks = 1 + (int)(choice_hash(seed, 2) % 3),
		.aggregators = (int)(choice_hash(seed, 3) % 3),
		.faults_us = (8 + (int64_t)(choice_hash(seed, 4) % 20)) * SECOND_US,
	};
	world->dead_partitions = world->partitions;
	world->input =
		(struct input_config){.seed = choice_hash(seed, 5),
	                              .records = 40 + (uint32_t)(choice_hash(seed, 6) % 160),
	                              .step_us = (int64_t)(choice_hash(seed, 7) % 1800) * SECOND_US,
	                              .interval_us = world->faults_us / 100};
	if (seed % LOSS_EVERY == 0)
		world->loss = (enum loss)(1 + choice_hash(seed, 8) % (LOSS_COUNT - 1));
	draw_rates(seed, world);
}

static void draw_loader_world(uint64_t seed, struct world *world)
{
	world->loss = seed % LOSS_EVERY == 0 ? LOSS_OF_LOADER : LOSS_NONE;
	world->sinks = world->aggregators = 0;
	world->loaders = pg_world_draw(seed, world->rates);
}

static void create_topics(const struct world *world)
{
	char name[64];

	for (enum topic_id id = 0; id < TOPIC_COUNT; id++) {
		snprintf(name, sizeof(name), SIM_PREFIX "%s", topic_of(id)->suffix);
		cluster_create_topic(name, topic_partitions(id, world->partitions));
	}
	cluster_create_topic(GROUP_OFFSETS_TOPIC, 2);
}

static void marked(const struct txn *txn, const struct partition_log *log, bool commit)
{
	if (strcmp(log->topic, GROUP_OFFSETS_TOPIC) == 0)
		groups_marked(txn, commit);
}

/* ---- events of the world */

static struct partition_log *some_log(uint64_t param)
{
	struct sim_topic *topic = &cluster.topics[param % cluster.topic_count];

	return &topic->logs[(param / 16) % (uint64_t)topic->partition_count];
}

static void broker_down(uint64_t param)
{
	int64_t us = (int64_t)(50 + param % 40 * 75) * 1000;

	story("the broker is down for %d ms", (int)(us / 1000));
	cluster.down_until_us = sim_now_us() + us;
	cluster.loading_until_us = cluster.down_until_us + (int64_t)(param / 40 % 8) * 100000;
}

static void leader_away(uint64_t param)
{
	struct partition_log *log = some_log(param);
	int64_t us = (int64_t)(10 + param / 64 % 30 * 80) * 1000;

	story("%s/%d has no leader for %d ms", log->topic, log->partition, (int)(us / 1000));
	log->away_until_us = sim_now_us() + us;
	log->leader_epoch++;
}

static void forget(bool all)
{
	story("the group coordinator has %s", all ? "no offsets"
	                                          : "the offsets before the last "
	                                            "commit");
	groups_forget(all);
}

static void jump(uint64_t param)
{
	int64_t us = ((int64_t)(param % 7) - 3) * 1800 * SECOND_US;

	story("the wall clock jumps by %d s", (int)(us / SECOND_US));
	sim_clock_jump(us);
}

enum world_event {
	EVENT_DOWN,
	EVENT_DOWN_AND_FORGET,
	EVENT_AWAY,
	EVENT_FREEZE,
	EVENT_KILL,
	EVENT_KILL_ALL,
	EVENT_STOP,
	EVENT_TWIN,
	EVENT_REBALANCE,
	EVENT_FORGET,
	EVENT_FORGET_ALL,
	EVENT_EXPIRE,
	EVENT_JUMP,
	EVENT_COUNT
};

static void carry_out(enum world_event event, uint64_t param)
{
	int replica = (int)(param % (uint64_t)replicas_count());
	int64_t us = (int64_t)(1 + param / 8 % 30) * SECOND_US;

	switch (event) {
	case EVENT_DOWN: broker_down(param); break;
	case EVENT_DOWN_AND_FORGET:
		broker_down(param);
		forget(false);
		break;
	case EVENT_AWAY: leader_away(param); break;
	case EVENT_FREEZE: replica_freeze(replica, us); break;
	case EVENT_KILL: replica_kill(replica); break;
	case EVENT_KILL_ALL:
		for (int i = 0; i < replicas_count(); i++)
			replica_kill(i);
		break;
	case EVENT_STOP: replica_stop(replica, us); break;
	case EVENT_TWIN: replica_twin(replica); break;
	case EVENT_REBALANCE:
		story("all groups rebalance");
		groups_rebalance(NULL);
		break;
	case EVENT_FORGET: forget(false); break;
	case EVENT_FORGET_ALL: forget(true); break;
	case EVENT_EXPIRE: transactions_expire(); break;
	case EVENT_JUMP: jump(param); break;
	case EVENT_COUNT: break;
	}
}

static void event_tick(void *context)
{
	uint32_t value = choose(CHOICE_EVENT, 0, EVENT_VALUES);

	(void)context;
	if (value)
		carry_out((enum world_event)((value - 1) % EVENT_COUNT), (value - 1) / EVENT_COUNT);
	if (sim_now_us() < running.faults_us)
		timer_at(sim_now_us() + EVENT_US, event_tick, NULL);
}

/* ---- losses */

static void recreate(void *context)
{
	struct sim_topic *topic = context;

	story("the topic %s is created again", topic->name);
	cluster_recreate_topic(topic);
	input_again();
}

static void delete_raw(bool with_offsets)
{
	struct sim_topic *topic = cluster_topic(SIM_PREFIX "raw_events");

	if (!oracle_has_commits(topic->name))
		return;
	oracle_keep_logs(topic->name);
	story("the topic %s is deleted", topic->name);
	replicas_may_refuse(true);
	cluster_delete_topic(topic, with_offsets);
	for (int i = 0; !with_offsets && i < replicas_count(); i++)
		replica_freeze(i, FROZEN_US);
	timer_at(sim_now_us() + MISSING_US, recreate, topic);
}

static void trim(const char *name)
{
	struct sim_topic *topic = cluster_topic(name);

	if (!oracle_has_commits(name)) /* a first start reads what there is */
		return;
	replicas_may_refuse(true);
	for (int32_t p = 0; p < topic->partition_count; p++) {
		struct partition_log *log = &topic->logs[p];

		log_trim(log, log_lso(log));
		story("retention removes %s/%d before offset %d", name, p, (int)log->start);
	}
}

static bool has_counts(void)
{
	const struct partition_log *log = cluster_log(SIM_PREFIX "counts", 0);

	for (size_t i = 0; i < log->end; i++)
		if (log->records[i].fate == FATE_COMMITTED)
			return true;
	return false;
}

static void lose_schemas(void)
{
	if (!oracle_has_commits(SIM_PREFIX "raw_events") || !has_counts())
		return;
	/* A process that runs keeps the ids that it knows; one that has not read an id yet writes
	 * dead letters. So all start again. */
	story("the registry has lost its data and gives other ids");
	replicas_may_refuse(true);
	for (int i = 0; i < PROCESS_MAX; i++)
		if (process_of(i)->alive)
			process_kill(process_of(i), "kill -9");
	sim_registry_begin(100);
}

static void lose(void *context)
{
	const struct world *world = context;

	switch (world->loss) {
	case LOSS_RAW_TOPIC: delete_raw(true); break;
	case LOSS_RAW_TOPIC_NOT_OFFSETS: delete_raw(false); break;
	case LOSS_RAW_RECORDS: trim(SIM_PREFIX "raw_events"); break;
	case LOSS_BRONZE_RECORDS: trim(SIM_PREFIX "bronze_events"); break;
	case LOSS_SCHEMAS: lose_schemas(); break;
	case LOSS_OF_LOADER: pg_world_lose(world->seed); break;
	case LOSS_NONE:
	case LOSS_COUNT: break;
	}
}

/* ---- running */

static void begin(const struct schedule_options *options, struct world *world,
                  struct trace *recorded)
{
	process_world_begin();
	arena_enter(ARENA_WORLD);
	if (options->replayed)
		choice_replay(options->replayed, recorded);
	else
		choice_begin(options->seed, world->rates, recorded);
	cluster_begin(&options->bugs);
	create_topics(world);
	transactions_begin(oracle_decided, marked);
	groups_begin();
	sim_registry_begin(1);
	oracle_begin();
	replicas_begin();
	for (int i = 0; i < world->sinks; i++)
		replicas_add(SIM_BRONZE_SINK, i);
	for (int i = 0; i < world->aggregators; i++)
		replicas_add(SIM_AGGREGATOR, i);
	if (world->loaders)
		pg_world_begin(options->seed, world->loaders, world->faults_us);
	else
		input_begin(&world->input, SIM_PREFIX "raw_events");
	timer_at(EVENT_US, event_tick, NULL);
	if (world->loss)
		timer_at(world->faults_us / 2, lose, world);
}

static bool is_complete(const struct world *world, char *why, size_t cap)
{
	if (world->loaders)
		return pg_world_is_complete(why, cap);
	if (!input_is_complete()) {
		snprintf(why, cap, "the input is not complete");
		return false;
	}
	return oracle_is_complete(world->aggregators > 0, why, cap);
}

static void run(const struct world *world)
{
	char why[256] = "";

	running.faults_us = world->faults_us;
	sim_run(world->faults_us);
	choice_heal();
	story("no more faults");
	if (world->loss) {
		sim_run(sim_now_us() + (world->loaders ? QUIET_US / 4 : LOSS_QUIET_US));
		oracle_end();
		if (world->loaders)
			pg_world_end();
		return;
	}
	for (int64_t until = sim_now_us() + QUIET_US; !oracle_failure() && sim_now_us() < until;) {
		if (is_complete(world, why, sizeof(why)))
			break;
		sim_run(sim_now_us() + SECOND_US);
	}
	if (!is_complete(world, why, sizeof(why)))
		oracle_fail("not complete 10 minutes after the last fault: %s", why);
	oracle_end();
	if (world->loaders)
		pg_world_end();
}

void schedule_run(const struct schedule_options *options, struct schedule_result *result)
{
	struct world world;

	*result = (struct schedule_result){0};
	draw_world(options->seed, &world);
	if (options->loader)
		draw_loader_world(options->seed, &world);
	begin(options, &world, &result->trace);
	run(&world);
	result->failed = oracle_failure() != NULL;
	snprintf(result->failure, sizeof(result->failure), "%s",
	         result->failed ? oracle_failure() : "");
	result->faults = choice_fault_count();
	result->starts = replicas_starts();
	result->transactions = world.loaders ? pg_commits() : oracle_transactions();
	result->records = world.loaders ? pg_oracle_records() : oracle_records();
	result->virtual_us = sim_now_us();
	arena_enter(ARENA_NONE);
}
