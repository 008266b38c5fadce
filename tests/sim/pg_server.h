/* A simulated PostgreSQL server: sessions, transactions in READ COMMITTED, row locks, time-outs,
 * restarts. It understands the statements of pg_statements.h.
 *
 * A session of the server lives longer than its client: it ends when the server notices that the
 * client has gone. Until then it keeps its locks, and handles what was sent before. All functions
 * expect that the world's arena is current (sim_enter). */
#ifndef SIM_PG_SERVER_H
#define SIM_PG_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/pg_rows.h"
#include "sim/pg_statements.h"

#define PG_PARAMS_MAX 5
#define PG_ITEMS_MAX  64

struct pg_error {
	char sqlstate[6]; /* "": none */
	char message[160], context[80];
	bool fatal; /* the session ends */
};

struct pg_message {
	uint32_t session;
	struct pg_matched matched;
	const char *params[PG_PARAMS_MAX];
	struct span copy;      /* the data of a COPY, with header and trailer; at == NULL: none */
	int64_t slow_us;       /* the server needs this time before it handles it */
	struct pg_error error; /* the server fails with this error instead */
};

struct pg_answer {
	enum { PG_ANSWER_DONE, PG_ANSWER_ROWS, PG_ANSWER_COPY_IN, PG_ANSWER_ERROR } kind;
	struct pg_error error;
	int rows, columns;
	char values[PG_ITEMS_MAX][3][96];
	bool nulls[PG_ITEMS_MAX][3];
	int changed;                 /* rows, of an UPDATE */
	bool in_transaction, failed; /* the state of the session after it */
};

/* Values of the rows of PG_OFFSETS and PG_BRONZE_LOADS. */
struct pg_offset {
	int64_t next_offset;
	char last[64]; /* "": null */
};
struct pg_bronze_load {
	int64_t loaded_up_to, doubles;
};
struct span pg_offset_key(const char *topic, int32_t partition);

/* Begins a schedule. committed: called after each commit with the rows that it has changed. */
void pg_begin(void (*committed)(struct pg_row *const *rows, size_t count));
const struct pg_rows *pg_server_rows(void);
uint64_t pg_commits(void);
/* Events that are stored, minus those that processed.load_batches has sums of. */
int64_t pg_unsummed(void);
/* A statement that the simulation does not know; NULL: none. */
const char *pg_unknown(void);
void pg_note_unknown(const char *sql);

/* ---- for clients */

/* The number of a new session; 0: error says why not. */
uint32_t pg_connect(int process, uint32_t life, struct pg_error *error);
/* Whether the server still has the session. */
bool pg_session_is_open(uint32_t session);
/* The message arrives at this time. It has to be a copy in the world's memory. */
void pg_send(const struct pg_message *message, int64_t at_us);
/* The answer to the last message; NULL: none yet. It is valid until the next pg_send. */
const struct pg_answer *pg_answer_of(uint32_t session);
/* The error with which the server has ended the session. */
const struct pg_error *pg_end_of(uint32_t session);
/* The client sleeps until its answer comes, or the session ends: it is woken then. */
void pg_wait(uint32_t session, bool waits);
/* The server notices at this time that the client has gone. */
void pg_hang_up(uint32_t session, int64_t at_us);

/* ---- events of the world */

/* All sessions end, open transactions are gone, no connection for down_us. */
void pg_restart(int64_t down_us, bool crash);
void pg_read_only(int64_t us);
/* Refuses new connections: too many. */
void pg_full(int64_t us);
/* No statement can apply more than this number of rows: it takes too long, or too many locks. */
void pg_limit_rows(size_t rows);
/* An operator changes next_offset of a partition, or deletes its row. False: a transaction holds
 * the row. There is nothing to do if there is no row. */
bool pg_set_offset(const char *topic, int32_t partition, int64_t offset);
#define PG_OFFSET_DELETED (-1)
/* next_offset of a partition; -1: it has no row. */
int64_t pg_offset_of(const char *topic, int32_t partition);
/* Retention: drops the partition of one day of raw.events, if no transaction is open. False: it has
 * dropped none. dropped: called for each row that is gone. */
bool pg_drop_day(uint64_t number, void (*dropped)(struct span key));

#endif
