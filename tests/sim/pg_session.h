/* The inner state of the simulated PostgreSQL, shared by pg_server.c (sessions and time) and
 * pg_run.c (what each statement does). */
#ifndef SIM_PG_SESSION_H
#define SIM_PG_SESSION_H

#include "sim/pg_server.h"

#define PG_PARTITIONS_MAX 16

struct pg_tuples {
	struct span *at;
	size_t count, capacity;
};

struct pg_session {
	uint32_t number;
	int process; /* of the client */
	uint32_t life;
	bool open, client_waits;
	int64_t hang_up_us; /* the server notices then that the client has gone; 0: it has not */
	struct pg_error end;
	enum { PG_TXN_NONE, PG_TXN_OPEN, PG_TXN_FAILED } txn;
	bool is_set_up, has_idle_timeout;
	bool staged[TARGET_COUNT];            /* it has the staging table */
	struct pg_tuples stage[TARGET_COUNT]; /* their rows */
	int64_t stored[PG_PARTITIONS_MAX];    /* events of this transaction, by raw partition */
	int64_t unsummed;                     /* of them, those without sums */
	struct pg_row **held;                 /* rows that it has locked */
	size_t held_count, held_capacity;

	struct pg_message message;
	bool running, answered, resumes;
	struct pg_row *blocked_on; /* waits for this lock */
	int64_t blocked_us, began_us, idle_us;
	struct pg_answer answer;
};

struct pg_server {
	struct pg_rows rows;
	struct pg_session **sessions;
	size_t session_count, session_capacity;
	int64_t down_until_us, starting_until_us, read_only_until_us, full_until_us;
	uint64_t commits;
	int64_t unsummed; /* events that were committed without sums */
	size_t rows_max;  /* of an apply statement; 0: no limit */
	char unknown[512];
	void (*committed)(struct pg_row *const *rows, size_t count);
	struct pg_row **entries; /* of the dictionaries, by id - 1 */
	size_t entry_count, entry_capacity;
};
extern struct pg_server pg;

/* Whether a row of aggregates or counts replaces another one. */
bool pg_is_newer(enum target target, struct span tuple, struct span than);
/* The table of a target, the key of a staged row, and the part of it that the table keeps. */
enum pg_table pg_table_of(enum target target);
struct span pg_target_key(enum target target, struct span tuple);
struct span pg_stored_value(enum target target, struct span tuple);
/* The value of an event or a visit: the texts of its two entries, and its row without their ids. In
 * a buffer that the next call overwrites. */
struct span pg_value_of(enum target target, struct span first, struct span second,
                        struct span tuple);
/* The text of an entry: its values, null as NULL, with PG_ENTRY_SEPARATOR between them. */
#define PG_ENTRY_SEPARATOR "|"
/* The value of a dead letter's row with the time at which it was redriven. In a buffer that the
 * next call overwrites. */
struct span pg_redriven(struct span letter, struct span marker);
enum pg_step { PG_DONE, PG_BLOCKED, PG_FAILED };
/* Runs the session's message once, and fills its answer. PG_BLOCKED: run it again when blocked_on
 * is free. */
enum pg_step pg_run_statement(struct pg_session *session);
void pg_execute(struct pg_session *session);
void pg_fail(struct pg_session *session, const char *sqlstate, const char *message);
void pg_roll_back(struct pg_session *session);
void pg_do_commit(struct pg_session *session);

#endif
