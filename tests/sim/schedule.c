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

#define SECOND_US            INT64_C(1000000)
#define EVENT_US             INT64_C(250000)
#define QUIET_US             (600 * SECOND_US) /* after the faults, to process everything */
#define LOSS_QUIET_US        (40 * SECOND_US)
#define LOADER_LOSS_QUIET_US (150 * SECOND_US)
#define EVENT_VALUES         60000
#define FROZEN_US            INT64_C(3000000) /* shorter than a session */
#define BUG_REQUEST_RATE     3000
#define LOSS_EVERY           8 /* schedules */
#define TRIMMED_EVERY        8
#define MISSING_US           INT64_C(900000) /* longer than RECREATION_SILENCE_US */

/* What a schedule may lose, once. Then the services have to refuse, and nothing is complete. */
enum loss {
	LOSS_NONE,
	LOSS_RAW_TOPIC,             /* deleted and created again */
	LOSS_RAW_TOPIC_NOT_OFFSETS, /* the same, but the group's offsets stay */
	LOSS_RAW_RECORDS,           /* removed by retention */
	LOSS_BRONZE_RECORDS,
	LOSS_SCHEMAS,     /* the registry gives other ids */
	LOSS_LETTERS,     /* dead letters are removed by retention */
	LOSS_PARTITIONS,  /* the raw topic gets more partitions */
	LOSS_OFFSETS,     /* an operator moves the groups' offsets back */
	LOSS_ALL_OFFSETS, /* or deletes them */
	LOSS_COUNT,
	LOSS_OF_LOADER /* see pg_world.c */
};

struct world {
	uint64_t seed;
	enum loss loss;
	struct set_partitions partitions;
	int tuning; /* of the services */
	int sinks, aggregators, loaders;
	const char *grown; /* the topic that gets more partitions */
	int trimmed;       /* records that the raw topic has lost before */
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
	/* The rare faults: not in every second schedule. */
	{CHOICE_LOCAL, {0, 0, 10, 100}},
	{CHOICE_THREAD, {0, 500, 3000, 6000}},
	{CHOICE_LOST, {0, 0, 100, 1000}},
	{CHOICE_HANG, {0, 0, 10, 60}},
	{CHOICE_RIGHT, {0, 0, 0, 20}},
	{CHOICE_SETTINGS, {0, 0, 8000, 40000}},
	{CHOICE_TROUBLE, {0, 0, 800, 3000}},
	{CHOICE_LOST_INIT, {0, 0, 2000, 12000}},
};

static void no_rare_faults(struct world *world)
{
	for (int kind = CHOICE_LOCAL; kind < CHOICE_KIND_COUNT; kind++)
		world->rates[kind] = 0;
}

static void draw_rates(uint64_t seed, struct world *world)
{
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
		world->rates[rates[i].kind] = rates[i].rates[choice_hash(seed, 100 + i) % 4];
	if (choice_hash(seed, 10) % 2)
		no_rare_faults(world);
}

/* With 5, the topics of funnel-aggregator have 2 in a new set. */
static int32_t draw_partitions(uint64_t seed)
{
	static const int32_t counts[] = {1, 2, 3, 5};

	return counts[choice_hash(seed, 1) % 4];
}

static void draw_world(uint64_t seed, struct world *world)
{
	*world = (struct world){
		.seed = seed,
		.partitions = set_partitions_new(draw_partitions(seed)),
		.sinks = 1 + (int)(choice_hash(seed, 2) % 3),
		.aggregators = (int)(choice_hash(seed, 3) % 3),
		.faults_us = (8 + (int64_t)(choice_hash(seed, 4) % 20)) * SECOND_US,
	};
	if (choice_hash(seed, 14) % 2) /* an older set */
		world->partitions.quarter = world->partitions.all;
	world->tuning = choice_hash(seed, 12) % 2 ? (int)(choice_hash(seed, 13) % SIM_TUNINGS) : 0;
	world->grown =
		choice_hash(seed, 11) % 2 ? SIM_PREFIX "raw_events" : SIM_PREFIX "bronze_events";
	world->trimmed = seed % TRIMMED_EVERY == 3 ? 1 + (int)(choice_hash(seed, 9) % 9) : 0;
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
	no_rare_faults(world);
	world->loss = seed % LOSS_EVERY == 0 ? LOSS_OF_LOADER : LOSS_NONE;
	world->sinks = world->aggregators = world->trimmed = world->tuning = 0;
	world->loaders = pg_world_draw(seed, world->rates);
}

/* Records from before the set, which retention has removed. */
static void append_earlier(struct sim_topic *topic, int count)
{
	for (int32_t p = 0; p < topic->partition_count; p++) {
		for (int i = 0; i < count; i++)
			input_append_unreadable(&topic->logs[p]);
		log_trim(&topic->logs[p], (int64_t)topic->logs[p].end);
	}
}

static void create_topics(const struct world *world)
{
	char name[64];

	for (enum topic_id id = 0; id < TOPIC_COUNT; id++) {
		snprintf(name, sizeof(name), SIM_PREFIX "%s", topic_of(id)->suffix);
		cluster_create_topic(name, topic_partitions(id, world->partitions));
	}
	cluster_create_topic(GROUP_OFFSETS_TOPIC, 2);
	if (world->trimmed)
		append_earlier(cluster_topic(SIM_PREFIX "raw_events"), world->trimmed);
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

/* Rare events. They are apart, so that the ordinary ones keep their values. */
enum trouble {
	TROUBLE_OUTAGE,
	TROUBLE_HIDDEN,
	TROUBLE_BAD_BRONZE,
	TROUBLE_BAD_PARTIAL,
	TROUBLE_COUNT
};

static void outage(uint64_t param)
{
	int64_t us = (int64_t)(5 + param % 55) * SECOND_US;

	story("the broker is down for %d s", (int)(us / SECOND_US));
	cluster.down_until_us = cluster.loading_until_us = sim_now_us() + us;
}

/* Another client writes a record into a topic of ours. Not before there are offsets: services
 * refuse to start if their output has records, and they have no offsets. */
static void append_foreign(const char *name, uint64_t param)
{
	struct sim_topic *topic = cluster_topic(name);

	if (oracle_has_read(name) && oracle_has_read(SIM_PREFIX "raw_events"))
		input_append_unreadable(&topic->logs[param % (uint64_t)topic->partition_count]);
}

static void make_trouble(enum trouble trouble, uint64_t param)
{
	switch (trouble) {
	case TROUBLE_OUTAGE: outage(param); break;
	case TROUBLE_HIDDEN:
		story("the right to describe __consumer_offsets is missing");
		cluster.hidden_until_us = sim_now_us() + (int64_t)(param % 20) * SECOND_US;
		break;
	case TROUBLE_BAD_BRONZE: append_foreign(SIM_PREFIX "bronze_events", param); break;
	case TROUBLE_BAD_PARTIAL: append_foreign(SIM_PREFIX "funnel_partials", param); break;
	case TROUBLE_COUNT: break;
	}
}

static void trouble_tick(void *context)
{
	uint32_t value = choose(CHOICE_TROUBLE, 0, EVENT_VALUES);

	(void)context;
	if (value)
		make_trouble((enum trouble)((value - 1) % TROUBLE_COUNT),
		             (value - 1) / TROUBLE_COUNT);
	if (sim_now_us() < running.faults_us)
		timer_at(sim_now_us() + EVENT_US, trouble_tick, NULL);
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

	if (!oracle_has_read(topic->name))
		return;
	oracle_keep_logs(topic->name);
	story("the topic %s is deleted", topic->name);
	replicas_may_refuse(true);
	cluster_delete_topic(topic, with_offsets);
	for (int i = 0; !with_offsets && i < replicas_count(); i++)
		replica_freeze(i, FROZEN_US);
	timer_at(sim_now_us() + MISSING_US, recreate, topic);
}

static void trim_now(void *context)
{
	struct sim_topic *topic = context;

	replicas_may_refuse(true);
	for (int32_t p = 0; p < topic->partition_count; p++) {
		struct partition_log *log = &topic->logs[p];

		log_trim(log, log_lso(log));
		story("retention removes %s/%d before offset %d", topic->name, p, (int)log->start);
	}
}

/* The readers of the topic are frozen before, so that they have not read everything. They are the
 * replicas from this number on. */
static void trim(const char *name, int readers)
{
	if (!oracle_has_read(name)) /* a first start reads what there is */
		return;
	for (int i = readers; i < replicas_count(); i++)
		replica_freeze(i, FROZEN_US);
	timer_at(sim_now_us() + MISSING_US, trim_now, cluster_topic(name));
}

static bool has_records(const char *name)
{
	const struct sim_topic *topic = cluster_topic(name);

	for (int32_t p = 0; p < topic->partition_count; p++)
		for (size_t i = 0; i < topic->logs[p].end; i++)
			if (topic->logs[p].records[i].fate == FATE_COMMITTED)
				return true;
	return false;
}

static void kill_all(void)
{
	for (int i = 0; i < PROCESS_MAX; i++)
		if (process_of(i)->alive)
			process_kill(process_of(i), "kill -9");
}

/* Kafka allows that when a group has no members. Not before there are rows in the outputs: then the
 * services may start again from the first record. */
static void move_offsets(bool all)
{
	if (!has_records(SIM_PREFIX "bronze_events") || !has_records(SIM_PREFIX "counts") ||
	    (oracle_has_read(SIM_PREFIX "funnel_partials") &&
	     !has_records(SIM_PREFIX "aggregated_events")))
		return;
	story("the offsets of all groups are %s", all ? "deleted" : "moved back");
	replicas_may_refuse(true);
	kill_all();
	groups_move_offsets(all);
	oracle_offsets_moved();
}

static void lose_schemas(void)
{
	if (!oracle_has_read(SIM_PREFIX "raw_events") || !has_records(SIM_PREFIX "counts"))
		return;
	/* A process that runs keeps the ids that it knows; one that has not read an id yet writes
	 * dead letters. So all start again. */
	story("the registry has lost its data and gives other ids");
	replicas_may_refuse(true);
	kill_all();
	sim_registry_begin(100);
}

/* Only a process with other rules notices that, so all start again, and some with other settings. */
static void trim_letters(void)
{
	struct sim_topic *topic = cluster_topic(SIM_PREFIX "dead_letter");

	replicas_may_refuse(true);
	for (int32_t p = 0; p < topic->partition_count; p++)
		log_trim(&topic->logs[p], log_lso(&topic->logs[p]));
	story("retention removes all dead letters");
	for (int i = 0; i < replicas_count(); i++)
		replica_kill(i);
}

static void add_partition(const char *name)
{
	struct sim_topic *topic = cluster_topic(name);

	replicas_may_refuse(true);
	cluster_add_partition(topic);
	story("the topic %s has %d partitions now", topic->name, (int)topic->partition_count);
	groups_rebalance(NULL);
}

static void lose(void *context)
{
	const struct world *world = context;

	switch (world->loss) {
	case LOSS_RAW_TOPIC: delete_raw(true); break;
	case LOSS_RAW_TOPIC_NOT_OFFSETS: delete_raw(false); break;
	case LOSS_RAW_RECORDS: trim(SIM_PREFIX "raw_events", 0); break;
	case LOSS_BRONZE_RECORDS: trim(SIM_PREFIX "bronze_events", world->sinks); break;
	case LOSS_SCHEMAS: lose_schemas(); break;
	case LOSS_LETTERS: trim_letters(); break;
	case LOSS_PARTITIONS: add_partition(world->grown); break;
	case LOSS_OFFSETS: move_offsets(false); break;
	case LOSS_ALL_OFFSETS: move_offsets(true); break;
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
	services_tune(world->tuning);
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
	timer_at(EVENT_US, trouble_tick, NULL);
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
	return oracle_is_complete(world->aggregators > 0, why, cap) && replicas_are_ready(why, cap);
}

/* After a loss, a process has to refuse, unless it needs nothing of what was lost. */
static bool is_over(const struct world *world, char *why, size_t cap)
{
	return (world->loss && replicas_have_refused()) || is_complete(world, why, cap);
}

static void run(const struct world *world)
{
	char why[256] = "";

	running.faults_us = world->faults_us;
	sim_run(world->faults_us);
	choice_heal();
	story("no more faults");
	if (world->loss)
		sim_run(sim_now_us() + (world->loaders ? LOADER_LOSS_QUIET_US : LOSS_QUIET_US));
	for (int64_t until = sim_now_us() + QUIET_US; !oracle_failure() && sim_now_us() < until;) {
		if (is_over(world, why, sizeof(why)))
			break;
		sim_run(sim_now_us() + SECOND_US);
	}
	if (!is_over(world, why, sizeof(why)))
		oracle_fail("not complete %d s after the last fault: %s",
		            (int)(QUIET_US / SECOND_US), why);
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
	if (options->bugs.no_verification) /* it needs late requests */
		world.rates[CHOICE_REQUEST] = BUG_REQUEST_RATE;
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
