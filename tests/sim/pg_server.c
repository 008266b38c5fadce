/* Each statement runs at one moment. First it takes the locks of its rows, in the order in which
 * PostgreSQL would take them. If another transaction has one, it keeps those that it has, and runs
 * again from its beginning when the lock is free. Then it changes all rows at once. This gives the
 * same result as row by row, because nobody else can change a locked row. */
#include "sim/pg_server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "sim/oracle.h"
#include "sim/partition_log.h"
#include "sim/pg_session.h"
#include "sim/process.h"
#include "sim/services.h"
#include "sim/story.h"

#define TICK_US      INT64_C(50000)
#define DEADLOCK_US  INT64_C(1000000)
#define LOCK_US      INT64_C(10000000)
#define IDLE_US      INT64_C(10000000)
#define STATEMENT_US INT64_C(60000000)

struct pg_server pg;

/* ---- sessions */

static struct pg_session *session_of(uint32_t number)
{
	return number && number <= pg.session_count ? pg.sessions[number - 1] : NULL;
}

bool pg_session_is_open(uint32_t number)
{
	const struct pg_session *session = session_of(number);

	return session && session->open;
}

const struct pg_answer *pg_answer_of(uint32_t number)
{
	const struct pg_session *session = session_of(number);

	return session && session->answered ? &session->answer : NULL;
}

const struct pg_error *pg_end_of(uint32_t number)
{
	return &session_of(number)->end;
}

static void wake(struct pg_session *session)
{
	struct process *process = process_of(session->process);

	if (!session->client_waits || !process->alive || process->life != session->life)
		return;
	session->client_waits = false;
	if (!process_is_frozen(process) && process->wake_us > sim_now_us())
		process->wake_us = sim_now_us();
}

void pg_wait(uint32_t number, bool waits)
{
	session_of(number)->client_waits = waits;
}

static void resume(void *context)
{
	struct pg_session *session = context;

	if (session->open && session->blocked_on && session->blocked_on->owner == 0)
		pg_execute(session);
}

/* Those that wait for a lock go on in the order in which they began to wait. */
static void resume_all(void)
{
	for (;;) {
		struct pg_session *first = NULL;

		for (size_t i = 0; i < pg.session_count; i++) {
			struct pg_session *session = pg.sessions[i];

			if (session->open && session->blocked_on && !session->resumes &&
			    session->blocked_on->owner == 0 &&
			    (!first || session->blocked_us < first->blocked_us))
				first = session;
		}
		if (!first)
			return;
		first->resumes = true;
		timer_at(sim_now_us(), resume, first);
	}
}

static void release(struct pg_session *session, bool commit)
{
	for (size_t i = 0; i < session->held_count; i++) {
		struct pg_row *row = session->held[i];

		if (commit && row->changed)
			row->value = row->changed_to;
		row->changed = false;
		row->owner = 0;
	}
	for (int t = 0; t < TARGET_COUNT; t++)
		session->stage[t].count = 0;
	memset(session->stored, 0, sizeof(session->stored));
	session->unsummed = 0;
	session->blocked_on = NULL;
}

void pg_roll_back(struct pg_session *session)
{
	release(session, false);
	session->held_count = 0;
	resume_all();
}

static int64_t next_offset_in(struct span value)
{
	struct pg_offset offset = {.next_offset = -1};

	if (value.at)
		memcpy(&offset, value.at, sizeof(offset));
	return offset.next_offset;
}

/* A transaction stores the events between the offsets that it moves, and no others. */
static void check_events(const struct pg_session *session)
{
	const struct pg_tuples *stage = &session->stage[TARGET_EVENTS];

	for (size_t i = 0; i < stage->count; i++) {
		int32_t partition = (int32_t)pg_integer(pg_field(stage->at[i], 15));
		int64_t offset = pg_integer(pg_field(stage->at[i], 16));
		const struct pg_row *row =
			pg_rows_find(&pg.rows, PG_OFFSETS,
		                     pg_offset_key(SIM_PREFIX "bronze_events", partition));

		if (!row || row->owner != session->number || !row->changed ||
		    offset < next_offset_in(row->value) ||
		    offset >= next_offset_in(row->changed_to))
			oracle_fail("a transaction stores the event of bronze_events/%d at offset "
			            "%d, and does not move next_offset past it",
			            partition, (int)offset);
	}
}

void pg_do_commit(struct pg_session *session)
{
	size_t count = 0;
	struct pg_row **changed = xzalloc(session->held_count + 1, sizeof(*changed));

	check_events(session);
	for (size_t i = 0; i < session->held_count; i++)
		if (session->held[i]->changed)
			changed[count++] = session->held[i];
	pg.unsummed += session->unsummed;
	release(session, true);
	session->held_count = 0;
	if (count) {
		pg.commits++;
		pg.committed(changed, count);
	}
	free(changed);
	resume_all();
}

static void end_session(struct pg_session *session, const struct pg_error *error)
{
	if (!session->open)
		return;
	session->open = false;
	if (error)
		session->end = *error;
	pg_roll_back(session);
	wake(session);
}

/* ---- answers */

static void answer(struct pg_session *session)
{
	session->running = false;
	session->blocked_on = NULL;
	session->answered = true;
	session->answer.in_transaction = session->txn == PG_TXN_OPEN;
	session->answer.failed = session->txn == PG_TXN_FAILED;
	session->idle_us = sim_now_us();
	wake(session);
	if (session->hang_up_us && session->hang_up_us <= sim_now_us())
		end_session(session, NULL);
}

void pg_fail(struct pg_session *session, const char *sqlstate, const char *message)
{
	struct pg_error *error = &session->answer.error;

	session->answer.kind = PG_ANSWER_ERROR;
	memset(error, 0, sizeof(*error));
	snprintf(error->sqlstate, sizeof(error->sqlstate), "%s", sqlstate);
	snprintf(error->message, sizeof(error->message), "%s", message);
}

static void fail_now(struct pg_session *session)
{
	struct pg_error error = session->answer.error;

	story("PostgreSQL: session %u: %s: error %s", session->number,
	      pg_statement_name(&session->message.matched), error.sqlstate);
	pg_roll_back(session);
	if (session->message.matched.statement == PG_COMMIT)
		session->txn = PG_TXN_NONE;
	else if (session->txn == PG_TXN_OPEN)
		session->txn = PG_TXN_FAILED;
	answer(session);
	if (error.fatal)
		end_session(session, &error);
}

void pg_execute(struct pg_session *session)
{
	enum pg_step step;

	session->resumes = false;
	session->blocked_on = NULL;
	session->answer = (struct pg_answer){.kind = PG_ANSWER_DONE};
	step = pg_run_statement(session);
	if (step == PG_BLOCKED) {
		if (!session->blocked_us)
			session->blocked_us = sim_now_us();
		return;
	}
	session->blocked_us = 0;
	if (step == PG_FAILED) {
		fail_now(session);
		return;
	}
	if (session->txn == PG_TXN_NONE && session->held_count)
		pg_do_commit(session);
	answer(session);
}

static void start_slow(void *context)
{
	struct pg_session *session = context;

	if (session->open && session->running)
		pg_execute(session);
}

static void arrives(void *context)
{
	const struct pg_message *message = context;
	struct pg_session *session = session_of(message->session);

	if (!session->open)
		return;
	session->message = *message;
	session->running = true;
	session->began_us = sim_now_us();
	session->blocked_us = 0;
	if (session->hang_up_us)
		story("PostgreSQL: session %u: %s arrives late", session->number,
		      pg_statement_name(&message->matched));
	if (message->error.sqlstate[0]) {
		session->answer = (struct pg_answer){.kind = PG_ANSWER_ERROR};
		session->answer.error = message->error;
		fail_now(session);
	} else if (message->slow_us) {
		timer_at(sim_now_us() + message->slow_us, start_slow, session);
	} else {
		pg_execute(session);
	}
}

void pg_send(const struct pg_message *message, int64_t at_us)
{
	struct pg_message *copy = xzalloc(1, sizeof(*copy));

	*copy = *message;
	session_of(message->session)->answered = false;
	timer_at(at_us, arrives, copy);
}

/* ---- time */

static bool waits_in_a_circle(const struct pg_session *session)
{
	const struct pg_session *at = session;

	for (size_t i = 0; i <= pg.session_count; i++) {
		if (!at || !at->open || !at->blocked_on || !at->blocked_on->owner)
			return false;
		at = session_of(at->blocked_on->owner);
		if (at == session)
			return true;
	}
	return false;
}

static void check_running(struct pg_session *session)
{
	int64_t now_us = sim_now_us();

	if (session->blocked_on && now_us - session->blocked_us > DEADLOCK_US &&
	    waits_in_a_circle(session))
		pg_fail(session, "40P01", "deadlock detected");
	else if (session->blocked_on && session->is_set_up &&
	         now_us - session->blocked_us > LOCK_US)
		pg_fail(session, "55P03", "canceling statement due to lock timeout");
	else if (session->is_set_up && now_us - session->began_us > STATEMENT_US)
		pg_fail(session, "57014", "canceling statement due to statement timeout");
	else
		return;
	fail_now(session);
}

static void check_session(struct pg_session *session)
{
	static const struct pg_error idle = {
		"25P03", "terminating connection due to idle-in-transaction timeout", "", true};
	const struct process *process = process_of(session->process);
	int64_t now_us = sim_now_us();

	if (!session->hang_up_us && (!process->alive || process->life != session->life))
		session->hang_up_us = now_us;
	if (session->running) {
		check_running(session);
	} else if (session->hang_up_us && session->hang_up_us <= now_us) {
		end_session(session, NULL);
	} else if (session->txn != PG_TXN_NONE && session->has_idle_timeout &&
	           now_us - session->idle_us > IDLE_US) {
		story("PostgreSQL: session %u was idle in its transaction for too long",
		      session->number);
		end_session(session, &idle);
	}
}

static void tick(void *context)
{
	(void)context;
	for (size_t i = pg.session_count; i-- > 0;)
		if (pg.sessions[i]->open)
			check_session(pg.sessions[i]);
	timer_at(sim_now_us() + TICK_US, tick, NULL);
}

void pg_hang_up(uint32_t number, int64_t at_us)
{
	struct pg_session *session = session_of(number);

	if (session && session->open)
		session->hang_up_us = at_us > 0 ? at_us : 1;
}

/* ---- connecting */

static bool refuse(struct pg_error *error, const char *sqlstate, const char *message)
{
	snprintf(error->sqlstate, sizeof(error->sqlstate), "%s", sqlstate);
	snprintf(error->message, sizeof(error->message), "%s", message);
	return false;
}

static bool accepts(struct pg_error *error)
{
	int64_t now_us = sim_now_us();

	if (now_us < pg.down_until_us)
		return refuse(error, "", "Connection refused");
	if (now_us < pg.starting_until_us)
		return refuse(error, "57P03", "the database system is starting up");
	if (now_us < pg.full_until_us)
		return refuse(error, "53300", "sorry, too many clients already");
	return true;
}

uint32_t pg_connect(int process, uint32_t life, struct pg_error *error)
{
	struct pg_session *session;

	*error = (struct pg_error){.fatal = true};
	if (!accepts(error))
		return 0;
	session = xzalloc(1, sizeof(*session));
	GROW(pg.sessions, pg.session_count, pg.session_capacity);
	pg.sessions[pg.session_count++] = session;
	*session = (struct pg_session){.number = (uint32_t)pg.session_count,
	                               .process = process,
	                               .life = life,
	                               .open = true};
	return session->number;
}

/* ---- the world */

void pg_begin(void (*committed)(struct pg_row *const *rows, size_t count))
{
	memset(&pg, 0, sizeof(pg));
	pg.committed = committed;
	timer_at(TICK_US, tick, NULL);
}

const struct pg_rows *pg_server_rows(void)
{
	return &pg.rows;
}

uint64_t pg_commits(void)
{
	return pg.commits;
}

int64_t pg_unsummed(void)
{
	return pg.unsummed;
}

const char *pg_unknown(void)
{
	return *pg.unknown ? pg.unknown : NULL;
}

void pg_note_unknown(const char *sql)
{
	snprintf(pg.unknown, sizeof(pg.unknown), "%s", sql);
}

void pg_restart(int64_t down_us, bool crash)
{
	static const struct pg_error shutdown = {
		"57P01", "terminating connection due to administrator command", "", true};

	story("PostgreSQL %s, for %d ms", crash ? "crashes" : "restarts", (int)(down_us / 1000));
	for (size_t i = 0; i < pg.session_count; i++)
		end_session(pg.sessions[i], crash ? NULL : &shutdown);
	pg.down_until_us = sim_now_us() + down_us;
	pg.starting_until_us = pg.down_until_us + down_us / 2;
}

void pg_read_only(int64_t us)
{
	story("PostgreSQL is read-only for %d ms", (int)(us / 1000));
	pg.read_only_until_us = sim_now_us() + us;
}

void pg_full(int64_t us)
{
	story("PostgreSQL accepts no more clients for %d ms", (int)(us / 1000));
	pg.full_until_us = sim_now_us() + us;
}

void pg_limit_rows(size_t rows)
{
	pg.rows_max = rows;
}

static struct pg_row *some_row(enum pg_table table, uint64_t number)
{
	size_t count = 0;

	for (size_t i = 0; i < pg.rows.count; i++)
		count += pg.rows.at[i]->table == table && pg.rows.at[i]->value.at;
	if (!count)
		return NULL;
	number %= count;
	for (size_t i = 0; i < pg.rows.count; i++) {
		struct pg_row *row = pg.rows.at[i];

		if (row->table == table && row->value.at && number-- == 0)
			return row;
	}
	return NULL;
}

int64_t pg_offset_of(const char *topic, int32_t partition)
{
	const struct pg_row *row =
		pg_rows_find(&pg.rows, PG_OFFSETS, pg_offset_key(topic, partition));

	return row ? next_offset_in(row->value) : -1;
}

bool pg_set_offset(const char *topic, int32_t partition, int64_t to)
{
	struct pg_row *row = pg_rows_find(&pg.rows, PG_OFFSETS, pg_offset_key(topic, partition));
	struct pg_offset offset;

	if (!row || !row->value.at || row->owner)
		return !row || !row->owner;
	memcpy(&offset, row->value.at, sizeof(offset));
	offset.next_offset = to;
	if (to == PG_OFFSET_DELETED)
		story("an operator deletes the row of %s/%d", topic, partition);
	else
		story("an operator sets next_offset of %s/%d to %d", topic, partition, (int)to);
	row->value = to == PG_OFFSET_DELETED
	                     ? SPAN_NULL
	                     : span_copy((struct span){(char *)&offset, sizeof(offset)});
	return true;
}

static bool any_transaction(void)
{
	for (size_t i = 0; i < pg.session_count; i++)
		if (pg.sessions[i]->open && pg.sessions[i]->held_count)
			return true;
	return false;
}

bool pg_drop_day(uint64_t number, void (*dropped)(struct span key))
{
	struct pg_row *day = some_row(PG_DAYS, number);
	int64_t date;

	if (!day || any_transaction())
		return false;
	memcpy(&date, day->key.at, sizeof(date));
	story("retention drops the partition of day %d after 2000-01-01", (int)date);
	day->value = SPAN_NULL;
	for (size_t i = 0; i < pg.rows.count; i++) {
		struct pg_row *row = pg.rows.at[i];

		if (row->table != PG_EVENTS || !row->value.at ||
		    pg_integer((struct span){row->key.at + row->key.len - 4, 4}) != date)
			continue;
		row->value = SPAN_NULL;
		dropped(row->key);
	}
	return true;
}
