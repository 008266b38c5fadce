/* The choices of a schedule. Each has a kind, an actor and a number, which counts the choices of
 * this kind and actor. A value depends on the seed and on these three only. 0 is the ordinary case.
 *
 * A trace has the choices that were not 0. It replays the schedule, also if some of its choices are
 * left out. */
#ifndef SIM_CHOICE_H
#define SIM_CHOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHOICE_ACTORS 64

/* The name is for traces and stories. */
#define CHOICE_KINDS(X)                                                                 \
	/* Ordinary variation */                                                        \
	X(LATENCY, "latency")       /* of a request */                                  \
	X(TURN, "turn")             /* another process runs first */                    \
	X(FETCH_SIZE, "fetch_size") /* number of records of a fetch */                  \
	X(SEND_EARLY, "send_early") /* the producer sends before the commit */          \
	X(INPUT, "input")           /* time until the next input record */              \
	/* Faults */                                                                    \
	X(REQUEST, "request")           /* lost, answer lost, late, doubled */          \
	X(CRASH, "crash")               /* at a request: before or after its effect */  \
	X(CRASH_POINT, "crash_point")   /* at a fault point of the code */              \
	X(CRASH_MEMORY, "crash_memory") /* an allocation fails */                       \
	X(ANSWER_ERROR, "answer_error") /* the broker answers with a retriable error */ \
	X(EVENT, "event")               /* of the world: see schedule.h */              \
	X(REBALANCE, "rebalance")       /* a member polls, and a rebalance begins */    \
	X(STALE, "stale")               /* the consumer delivers old records again */   \
	X(REGISTRY, "registry")         /* the registry does not answer */              \
	X(CALL, "call")                 /* a call of the application times out early */ \
	X(QUEUE_FULL, "queue_full")     /* the producer's queue is full */              \
	X(FREEZE, "freeze")             /* at a request; it wakes as a zombie */        \
	X(RESTART, "restart")           /* time until a crashed process starts again */ \
	/* Faults of PostgreSQL */                                                      \
	X(PG, "pg")                 /* of a message: cut, late, slow, frozen */         \
	X(PG_ERROR, "pg_error")     /* a statement fails */                             \
	X(PG_CONNECT, "pg_connect") /* no connection */                                 \
	X(PG_EVENT, "pg_event")     /* of the server: see pg_world.c */                 \
	/* Rare faults of the services' world */                                        \
	X(LOCAL, "local")         /* a local call of librdkafka fails */                \
	X(THREAD, "thread")       /* a thread cannot start, or does not end */          \
	X(LOST, "lost")           /* a client connects no more */                       \
	X(HANG, "hang")           /* a call takes up to 90 s; heartbeats go on */       \
	X(RIGHT, "right")         /* an answer: a right is missing */                   \
	X(SETTINGS, "settings")   /* a process starts with other settings */            \
	X(TROUBLE, "trouble")     /* of the world: see schedule.c */                    \
	X(LOST_INIT, "lost_init") /* as lost, at InitProducerId */                      \
	X(PG_COMMIT, "pg_commit") /* the answer of a COMMIT is lost */                  \
	X(PG_STEAL, "pg_steal")   /* others get the partitions of a loader */           \
	X(LOG, "log")             /* the process stands still at a log line */          \
	X(STOP, "stop")           /* SIGTERM while records are being read */            \
	X(PG_DELETE, "pg_delete") /* an operator deletes a row of offsets */

enum choice_kind {
#define CHOICE_ENUM(name, text) CHOICE_##name,
	CHOICE_KINDS(CHOICE_ENUM)
#undef CHOICE_ENUM
		CHOICE_KIND_COUNT
};

struct choice {
	uint16_t kind, actor;
	uint32_t number, value;
};

struct trace {
	struct choice *at;
	size_t count, capacity;
};

/* Begins a schedule. rates: per kind, the chance of a value other than 0, in 1/65536. All choices
 * that are not 0 are appended to *recorded. */
void choice_begin(uint64_t seed, const uint32_t rates[CHOICE_KIND_COUNT], struct trace *recorded);
/* The same, but the values come from the trace; a choice that is not in it is 0. The trace must
 * outlive the schedule. */
void choice_replay(const struct trace *trace, struct trace *recorded);
/* From here on all choices are 0. */
void choice_heal(void);

/* A value below `values`; 0 if values < 2. */
uint32_t choose(enum choice_kind kind, int actor, uint32_t values);
const char *choice_kind_name(enum choice_kind kind);
bool choice_is_fault(enum choice_kind kind);
/* The number of faults so far in this schedule. */
uint64_t choice_fault_count(void);

/* Without a schedule: a number from a seed and a position. */
uint64_t choice_hash(uint64_t seed, uint64_t position);

void trace_free(struct trace *trace);
/* One line per choice: "kind actor number value". */
bool trace_write(const struct trace *trace, const char *path);
bool trace_read(struct trace *trace, const char *path);

#endif
