/* Coroutines with swapcontext. The scheduler runs in the context of the program.
 *
 * Monotonic time goes on over all schedules of this program. So a static variable of the code under
 * test that keeps a time (kafka_topic.c) has the same meaning in each schedule: long ago. */
#define _GNU_SOURCE
#include "sim/process.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "base/hash.h"
#include "base/memory.h"
#include "sim/arena.h"
#include "sim/choice.h"
#include "sim/story.h"

#define STACK_BYTES  (1024 * 1024)
#define BASE_STEP_US (INT64_C(1) << 32)
#define WALL_BASE_US INT64_C(1570000000000000) /* 2019-10-02T07:06:40Z */
#define NEAR_US      1000                      /* processes that wake so close take turns */

struct timer {
	int64_t time_us;
	uint64_t order;
	void (*action)(void *);
	void *context;
};

static struct {
	int64_t now_us, base_us, jump_us;
	struct process processes[PROCESS_MAX];
	void (*bodies[PROCESS_MAX])(struct process *);
	ucontext_t contexts[PROCESS_MAX];
	struct process *current;
	bool stopped, kill_current;
	struct timer *timers; /* a heap */
	size_t timer_count, timer_capacity;
	uint64_t timer_order;
	uint32_t lives;
} sim;

static ucontext_t scheduler;
static char *stacks[PROCESS_MAX];

int64_t sim_now_us(void)
{
	return sim.now_us;
}

int64_t sim_monotonic_us(void)
{
	return sim.base_us + sim.now_us;
}

int64_t sim_wallclock_us(void)
{
	return WALL_BASE_US + sim.now_us + sim.jump_us;
}

void sim_clock_jump(int64_t by_us)
{
	sim.jump_us += by_us;
}

void process_world_begin(void)
{
	/* A step of 2^32, because a seed is made of the lower 32 bits (loader.c). */
	int64_t base_us = ((sim.base_us + sim.now_us) / BASE_STEP_US + 21) * BASE_STEP_US;

	for (int i = 0; i < ARENA_COUNT; i++)
		arena_reset(i);
	memset(&sim, 0, sizeof(sim));
	sim.base_us = base_us;
}

/* ---- timers */

static bool sooner(const struct timer *a, const struct timer *b)
{
	return a->time_us != b->time_us ? a->time_us < b->time_us : a->order < b->order;
}

static void timer_swap(size_t a, size_t b)
{
	struct timer kept = sim.timers[a];

	sim.timers[a] = sim.timers[b];
	sim.timers[b] = kept;
}

void timer_at(int64_t time_us, void (*action)(void *context), void *context)
{
	int before = sim_enter();
	size_t i;

	GROW(sim.timers, sim.timer_count, sim.timer_capacity);
	i = sim.timer_count++;
	sim.timers[i] = (struct timer){time_us < sim.now_us ? sim.now_us : time_us,
	                               sim.timer_order++, action, context};
	for (; i > 0 && sooner(&sim.timers[i], &sim.timers[(i - 1) / 2]); i = (i - 1) / 2)
		timer_swap(i, (i - 1) / 2);
	sim_leave(before);
}

static struct timer timer_take(void)
{
	struct timer first = sim.timers[0];
	size_t i = 0, child;

	sim.timers[0] = sim.timers[--sim.timer_count];
	while ((child = i * 2 + 1) < sim.timer_count) {
		if (child + 1 < sim.timer_count &&
		    sooner(&sim.timers[child + 1], &sim.timers[child]))
			child++;
		if (!sooner(&sim.timers[child], &sim.timers[i]))
			break;
		timer_swap(i, child);
		i = child;
	}
	return first;
}

/* ---- processes */

static void body_of_current(void)
{
	struct process *process = sim.current;

	sim.bodies[process->number](process);
	sim.kill_current = true;
	swapcontext(&sim.contexts[process->number], &scheduler);
}

static struct process *free_process(void)
{
	for (int i = 0; i < PROCESS_MAX; i++)
		if (!sim.processes[i].alive)
			return &sim.processes[i];
	return NULL;
}

static void stack_prepare(int number)
{
	ucontext_t *context = &sim.contexts[number];

	if (!stacks[number])
		stacks[number] = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
		                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	getcontext(context);
	context->uc_stack.ss_sp = stacks[number];
	context->uc_stack.ss_size = STACK_BYTES;
	context->uc_link = NULL;
	makecontext(context, body_of_current, 0);
}

struct process *process_start(const char *name, int actor, void (*body)(struct process *),
                              void *user)
{
	struct process *process = free_process();
	int number;

	if (!process)
		return NULL;
	number = (int)(process - sim.processes);
	*process = (struct process){.number = number,
	                            .actor = actor,
	                            .alive = true,
	                            .wake_us = sim.now_us,
	                            .user = user,
	                            .life = ++sim.lives};
	process->key = choice_hash(77, process->life);
	snprintf(process->name, sizeof(process->name), "%s", name);
	sim.bodies[number] = body;
	arena_reset(number + 1);
	stack_prepare(number);
	return process;
}

struct process *process_current(void)
{
	return sim.current;
}

struct process *process_of(int number)
{
	return &sim.processes[number];
}

void process_sleep(int64_t us)
{
	struct process *process = sim.current;

	process->wake_us = sim.now_us + (us > 0 ? us : 0);
	swapcontext(&sim.contexts[process->number], &scheduler);
}

void process_kill(struct process *process, const char *why)
{
	story("%s ends: %s", process->name, why);
	if (process == sim.current) {
		sim.kill_current = true;
		swapcontext(&sim.contexts[process->number], &scheduler);
	}
	process->alive = false;
	arena_reset(process->number + 1);
}

void process_freeze(struct process *process, int64_t us)
{
	story("%s is frozen for %d ms", process->name, (int)(us / 1000));
	process->frozen_until_us = sim.now_us + us;
	if (process->wake_us < sim.now_us + us)
		process->wake_us = sim.now_us + us;
}

bool process_is_frozen(const struct process *process)
{
	return sim.now_us < process->frozen_until_us;
}

int sim_enter(void)
{
	hash_key = 0;
	return arena_enter(ARENA_WORLD);
}

void sim_leave(int before)
{
	arena_enter(before);
	hash_key = before == ARENA_WORLD || !sim.current ? 0 : sim.current->key;
}

/* ---- the scheduler */

static struct process *next_process(void)
{
	struct process *next = NULL;
	uint32_t near = 0, turn;

	for (int i = 0; i < PROCESS_MAX; i++) {
		struct process *process = &sim.processes[i];

		if (process->alive && (!next || process->wake_us < next->wake_us))
			next = process;
	}
	for (int i = 0; next && i < PROCESS_MAX; i++)
		near += sim.processes[i].alive &&
		        sim.processes[i].wake_us <= next->wake_us + NEAR_US;
	turn = near > 1 ? choose(CHOICE_TURN, 0, near) : 0;
	for (int i = 0; turn && i < PROCESS_MAX; i++)
		if (sim.processes[i].alive && sim.processes[i].wake_us <= next->wake_us + NEAR_US &&
		    --turn == 0)
			return &sim.processes[i];
	return next;
}

static void run_process(struct process *process)
{
	sim.current = process;
	sim.kill_current = false;
	hash_key = process->key;
	arena_enter(process->number + 1);
	swapcontext(&scheduler, &sim.contexts[process->number]);
	arena_enter(ARENA_WORLD);
	hash_key = 0;
	sim.current = NULL;
	if (sim.kill_current) {
		process->alive = false;
		arena_reset(process->number + 1);
	}
}

static bool run_one(int64_t until_us)
{
	struct process *process = next_process();
	int64_t wake_us = process ? process->wake_us : INT64_MAX;
	bool timer = sim.timer_count && sim.timers[0].time_us <= wake_us;

	if (timer)
		wake_us = sim.timers[0].time_us;
	if (wake_us > until_us)
		return false;
	if (wake_us > sim.now_us)
		sim.now_us = wake_us;
	if (timer) {
		struct timer first = timer_take();

		first.action(first.context);
	} else {
		run_process(process);
	}
	return true;
}

void sim_run(int64_t until_us)
{
	int before = arena_enter(ARENA_WORLD);

	sim.stopped = false;
	while (!sim.stopped && run_one(until_us))
		;
	if (!sim.stopped && sim.now_us < until_us)
		sim.now_us = until_us;
	arena_enter(before);
}

void sim_stop(void)
{
	sim.stopped = true;
}
