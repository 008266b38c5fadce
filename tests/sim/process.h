/* Simulated processes, the virtual clock, and what happens at which time.
 *
 * A process is a coroutine with an arena and a stack of its own. It runs until it sleeps. The
 * scheduler runs the process or the timer with the earliest time. */
#ifndef SIM_PROCESS_H
#define SIM_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROCESS_MAX 16

struct process {
	int number; /* index; also its arena - 1 */
	int actor;  /* of its choices: the replica */
	bool alive;
	bool stopping;           /* a stop was requested */
	bool excused;            /* it got an error that ends a service */
	int64_t frozen_until_us; /* it does not run until then, and sends no heartbeats */
	int64_t polled_us;       /* its consumer was polled then the last time */
	char name[48];           /* "bronze-sink-1" */
	int64_t wake_us;
	uint64_t key;  /* of its hash tables */
	void *user;    /* of process_start */
	uint32_t life; /* counts all processes of the schedule */
	bool ready;    /* /readyz */
	size_t tasks;  /* of the task loop, that are not freed */
};

/* ---- time */

/* Virtual, since the start of the schedule. */
int64_t sim_now_us(void);
/* Differs from that of any other schedule of this program, as if the machine ran on. */
int64_t sim_monotonic_us(void);
int64_t sim_wallclock_us(void);
/* The wall clock jumps by this. */
void sim_clock_jump(int64_t by_us);

/* ---- processes */

/* Begins a schedule without processes and timers. */
void process_world_begin(void);
/* Starts body(process) at the current time. NULL: there are PROCESS_MAX. */
struct process *process_start(const char *name, int actor, void (*body)(struct process *),
                              void *user);
/* NULL: the world itself runs, or the oracle. */
struct process *process_current(void);
struct process *process_of(int number);
/* The current process waits. Other processes and timers run. */
void process_sleep(int64_t us);
/* Ends the process as kill -9 does. If it is the current one, the call does not return. why is for
 * the story. */
void process_kill(struct process *process, const char *why);
/* It does not run until then. */
void process_freeze(struct process *process, int64_t us);
bool process_is_frozen(const struct process *process);

/* Calls action(context) at that time, in the world. */
void timer_at(int64_t time_us, void (*action)(void *context), void *context);

/* Runs until the time, until sim_stop, or until nothing is left to do. */
void sim_run(int64_t until_us);
void sim_stop(void);

/* ---- switching to the world: allocations belong to the world until sim_leave */
int sim_enter(void);
void sim_leave(int before);

#endif
