#include "sim/pg_world.h"

#include <stdio.h>
#include <string.h>

#include "sim/oracle.h"
#include "sim/pg_input.h"
#include "sim/pg_libpq.h"
#include "sim/pg_oracle.h"
#include "sim/pg_server.h"
#include "sim/process.h"
#include "sim/replicas.h"
#include "sim/story.h"

#define EVENT_US      INT64_C(200000)
#define EVENT_VALUES  6000
#define DROP_US       1500
#define DROP_EVERY_US INT64_C(1000000)

static struct {
	int64_t until_us;
	bool retention;
	uint64_t day;
	int64_t next_drop_us;
} world;

static const struct {
	enum choice_kind kind;
	uint32_t rates[4]; /* one of them, in 1/65536 */
} rates[] = {
	{CHOICE_PG, {0, 300, 1500, 5000}},
	{CHOICE_PG_ERROR, {0, 0, 600, 3000}},
	{CHOICE_PG_CONNECT, {0, 0, 4000, 20000}},
	{CHOICE_PG_EVENT, {0, 1000, 4000, 10000}},
};

int pg_world_draw(uint64_t seed, uint32_t into[CHOICE_KIND_COUNT])
{
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
		into[rates[i].kind] = rates[i].rates[choice_hash(seed, 200 + i) % 4];
	return 1 + (int)(choice_hash(seed, 210) % 3);
}

enum pg_event {
	PG_EVENT_RESTART,
	PG_EVENT_CRASH,
	PG_EVENT_READ_ONLY,
	PG_EVENT_FULL,
	PG_EVENT_DROP_DAY,
	PG_EVENT_DROP_DAY_TOO, /* twice as often as the others */
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

static void carry_out(enum pg_event event, uint64_t param)
{
	int64_t us = (int64_t)(1 + param % 40) * 100000;

	switch (event) {
	case PG_EVENT_RESTART: pg_restart(us, false); break;
	case PG_EVENT_CRASH: pg_restart(us, true); break;
	case PG_EVENT_READ_ONLY: pg_read_only(us); break;
	case PG_EVENT_FULL: pg_full(us); break;
	case PG_EVENT_DROP_DAY:
	case PG_EVENT_DROP_DAY_TOO:
		world.day = param;
		if (world.retention)
			drop_day(NULL);
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

void pg_world_begin(uint64_t seed, int loaders, int64_t until_us)
{
	uint32_t records = 40 + (uint32_t)(choice_hash(seed, 211) % 200);

	memset(&world, 0, sizeof(world));
	world.until_us = until_us;
	world.retention = choice_hash(seed, 212) % 2;
	pg_libpq_begin();
	pg_begin(pg_oracle_committed);
	pg_oracle_begin();
	for (int i = 0; i < loaders; i++)
		replicas_add(SIM_LOADER, i);
	pg_input_begin(choice_hash(seed, 213), records, until_us / 100, choice_hash(seed, 214) % 2);
	timer_at(EVENT_US, tick, NULL);
}

bool pg_world_is_complete(char *why, size_t cap)
{
	if (!pg_input_is_complete()) {
		snprintf(why, cap, "the input is not complete");
		return false;
	}
	return pg_oracle_is_complete(why, cap);
}

void pg_world_end(void)
{
	pg_oracle_end();
}
