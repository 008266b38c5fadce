#include "sim/replicas.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sim/arena.h"
#include "sim/choice.h"
#include "sim/oracle.h"
#include "sim/process.h"
#include "sim/story.h"

#define TICK_US     INT64_C(50000)
#define RESTART_US  INT64_C(300000)
#define SHUTDOWN_US INT64_C(20000000)
#define REFUSED_US  INT64_C(5000000) /* until an operator tries it again */
#define EXIT_AGAIN  75
#define LIVES_MAX   4096
#define ALLOCATIONS 3000 /* an allocation that fails is among the first ones of a process */

struct replica {
	enum sim_service service;
	int number, instance;
	struct process *process; /* NULL: none; may be dead */
	uint32_t life;
	int64_t start_us; /* -1: it runs */
};

static struct {
	struct replica at[REPLICAS_MAX];
	int count;
	bool may_refuse;
	uint32_t starts, refusals;
	uint8_t settings[LIVES_MAX]; /* by life */
	char refusal[1024];
} replicas;

static int exit_code(enum err_class class)
{
	switch (class) {
	case ERR_RETRY:
	case ERR_ABORT:
	case ERR_CONFLICT:
	case ERR_FENCED: return EXIT_AGAIN;
	case ERR_OPERATOR: return 78;
	case ERR_REFUSED: return 65;
	case ERR_NONE:
	case ERR_INPUT:
	case ERR_FATAL: break;
	}
	return 70;
}

static void ended(struct replica *replica, bool failed, const struct err *err)
{
	int code = failed ? exit_code(err->class) : 0;

	story("exit %d%s%s", code, failed ? ": " : "", failed ? err->message : "");
	if (code == 78) {
		replica->start_us = sim_now_us() + REFUSED_US;
		snprintf(replicas.refusal, sizeof(replicas.refusal), "%s", err->message);
	}
	replicas.refusals += code == 78;
	if (replica->service == SIM_LOADER && code == EXIT_AGAIN && err->class != ERR_FENCED)
		oracle_fail("pg-loader ends for an error that passes: %s", err->message);
	if (code == 0 || code == EXIT_AGAIN || process_current()->excused ||
	    (code == 78 && replicas.may_refuse))
		return;
	oracle_fail("%s ends with exit code %d: %s", service_of(replica->service)->name, code,
	            err->message);
}

/* As service.c does. */
static void body(struct process *process)
{
	struct replica *replica = process->user;
	const struct service *service = service_of(replica->service);
	char instance[16];
	struct err err = {ERR_NONE, ""};
	void *state = NULL;
	enum step step = STEP_MORE;
	bool failed;

	snprintf(instance, sizeof(instance), "%d", replica->instance);
	failed = !service->open(service_settings(replica->service, replicas_settings(process->life),
	                                         instance),
	                        &state, &err);
	while (!failed && step == STEP_MORE) {
		step = service->step(state, process->stopping, &err);
		failed = step == STEP_FAILED;
	}
	ended(replica, failed, &err);
	service->close(state);
}

static void out_of_memory(void)
{
	process_kill(process_current(), "crash: an allocation fails");
}

enum sim_settings replicas_settings(uint32_t life)
{
	return (enum sim_settings)replicas.settings[life % LIVES_MAX];
}

static bool has_state(enum sim_service service)
{
	return service == SIM_BRONZE_SINK ? oracle_has_read(SIM_PREFIX "raw_events")
	                                  : oracle_has_read(SIM_PREFIX "bronze_events") &&
	                                            oracle_has_read(SIM_PREFIX "funnel_partials");
}

/* Settings that the services must refuse come only when there is something to lose. */
static enum sim_settings draw_settings(const struct replica *replica)
{
	uint32_t choice = choose(CHOICE_SETTINGS, replica->number + 1, SETTINGS_COUNT);

	if (choice == SETTINGS_OTHER_STATE && !has_state(replica->service))
		return SETTINGS_ORDINARY;
	return (enum sim_settings)choice;
}

static struct process *start(struct replica *replica, const char *kind)
{
	static const char *const texts[SETTINGS_COUNT] = {"", " with other event types",
	                                                  " with another maximum price",
	                                                  " with settings that change the state"};
	enum sim_settings settings = draw_settings(replica);
	char name[48];
	struct process *process;
	uint32_t fails;

	snprintf(name, sizeof(name), "%s-%d%s", service_of(replica->service)->name,
	         replica->instance, kind);
	process = process_start(name, replica->number + 1, body, replica);
	if (!process)
		return NULL;
	replicas.starts++;
	replicas.settings[process->life % LIVES_MAX] = (uint8_t)settings;
	process->excused = settings == SETTINGS_OTHER_STATE;
	fails = choose(CHOICE_CRASH_MEMORY, replica->number + 1, ALLOCATIONS);
	arena_fail_at(process->number + 1, fails, out_of_memory);
	story("%s starts%s", name, texts[settings]);
	return process;
}

static bool runs(const struct replica *replica)
{
	return replica->process && replica->process->alive &&
	       replica->process->life == replica->life;
}

static void look(struct replica *replica)
{
	int64_t now_us = sim_now_us();

	if (runs(replica))
		return;
	if (replica->start_us < 0)
		replica->start_us =
			now_us + RESTART_US +
			(int64_t)choose(CHOICE_RESTART, replica->number + 1, 40) * 500000;
	if (now_us < replica->start_us)
		return;
	replica->process = start(replica, "");
	if (!replica->process)
		return;
	replica->life = replica->process->life;
	replica->start_us = -1;
}

static void tick(void *context)
{
	(void)context;
	for (int i = 0; i < replicas.count; i++)
		look(&replicas.at[i]);
	timer_at(sim_now_us() + TICK_US, tick, NULL);
}

void replicas_begin(void)
{
	memset(&replicas, 0, sizeof(replicas));
	timer_at(0, tick, NULL);
}

void replicas_add(enum sim_service service, int instance)
{
	struct replica *replica = &replicas.at[replicas.count];

	*replica = (struct replica){.service = service,
	                            .number = replicas.count++,
	                            .instance = instance,
	                            .start_us = 0};
}

int replicas_count(void)
{
	return replicas.count;
}

void replica_kill(int number)
{
	if (runs(&replicas.at[number]))
		process_kill(replicas.at[number].process, "kill -9");
}

/* The watchdog of service.c: SHUTDOWN_TIMEOUT has passed since the signal. */
static void shutdown_timeout(void *context)
{
	struct replica *replica = context;

	if (!runs(replica) || !replica->process->stopping)
		return;
	if (process_is_frozen(replica->process))
		timer_at(sim_now_us() + SHUTDOWN_US, shutdown_timeout, replica);
	else
		process_kill(replica->process, "SHUTDOWN_TIMEOUT");
}

void replica_stop(int number, int64_t us)
{
	struct replica *replica = &replicas.at[number];

	if (!runs(replica))
		return;
	story("%s gets SIGTERM", replica->process->name);
	replica->process->stopping = true;
	timer_at(sim_now_us() + SHUTDOWN_US, shutdown_timeout, replica);
	replica->start_us = sim_now_us() + us;
}

void replica_freeze(int number, int64_t us)
{
	if (runs(&replicas.at[number]))
		process_freeze(replicas.at[number].process, us);
}

void replica_twin(int number)
{
	if (runs(&replicas.at[number]))
		start(&replicas.at[number], " (twin)");
}

void replicas_may_refuse(bool may)
{
	replicas.may_refuse = may;
}

bool replicas_have_refused(void)
{
	return replicas.refusals > 0;
}

bool replicas_are_ready(char *why, size_t cap)
{
	for (int i = 0; i < replicas.count; i++) {
		const struct replica *replica = &replicas.at[i];

		if (runs(replica) && replica->process->ready)
			continue;
		snprintf(why, cap, "%s-%d is not ready", service_of(replica->service)->name,
		         replica->instance);
		return false;
	}
	return true;
}

uint32_t replicas_refusals(void)
{
	return replicas.refusals;
}

const char *replicas_refusal(void)
{
	return replicas.refusal;
}

uint32_t replicas_starts(void)
{
	return replicas.starts;
}
