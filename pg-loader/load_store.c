/* One transaction: BEGIN; lock and compare the offsets; replace forgotten users; for each target,
 * COPY into its staging table and one statement from there into the table; move the offsets;
 * COMMIT. Day partitions are created before it, each in a transaction of its own, because that
 * takes a lock that other loaders wait for. So are entries of the dictionaries of events
 * (load_entries.h).
 *
 * Events are copied straight into their table (event_path.h). If one of them is stored already, the
 * transaction is rolled back, and another one writes the batch by the staging table.
 *
 * If the database rejects a batch, halves of it are tried, each by the staging table, in a
 * transaction that is rolled back. A row that is rejected by itself becomes a dead letter. Then the
 * complete batch is written again, so the order of rows does not change, and it is still all or
 * nothing. */
#include "load_store.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "bisect.h"
#include "copy_rows.h"
#include "event_path.h"
#include "load_entries.h"
#include "load_events.h"
#include "load_forgotten.h"
#include "postgres/postgres.h"
#include "postgres/postgres_pooler.h"
#include "postgres/postgres_session.h"
#include "service/fault.h"
#include "targets.h"

#define DAYS_CACHED_MAX  4096
#define DAYS_CHECKED_MAX 3 /* times that a write creates missing partitions again */
#define UNDEFINED_TABLE  "42P01"
#define UNDEFINED_COLUMN "42703"
#define DUPLICATE_TABLE  "42P07"
#define CHECK_VIOLATION  "23514" /* also: no partition for the row */

struct load_store {
	struct postgres *pg;
	int64_t *days; /* days since 1970 whose partition exists */
	size_t day_count, day_capacity;
	bool staged; /* the session has the staging tables */
	bool fresh;  /* no batch has been written in this session */
	struct event_path path;
	struct load_events events;
	bool collided;  /* the last attempt, on the direct path */
	bool forgotten; /* some user is forgotten, as of the last attempt */
};

struct load_store *load_store_new(struct postgres *pg)
{
	struct load_store *store = xrealloc(NULL, sizeof(*store));

	*store = (struct load_store){.pg = pg};
	return store;
}

void load_store_free(struct load_store *store)
{
	if (!store)
		return;
	load_events_free(&store->events);
	free(store->days);
	free(store);
}

/* ---- the session */

static bool cannot_stage(const struct load_store *store, const char *table, struct err *err)
{
	const char *state = postgres_sqlstate(store->pg);

	if (strcmp(state, UNDEFINED_TABLE) == 0 || strcmp(state, UNDEFINED_COLUMN) == 0)
		return err_prefix(
			err,
			"cannot prepare the load of %s: a migration is missing; run pg-loader "
			"with MIGRATE=only",
			table);
	if (strcmp(state, DUPLICATE_TABLE) == 0)
		return err_prefix(
			err,
			"the pooler of POSTGRES_DSN has given us a session with another client's "
			"tables: set its server_reset_query to DISCARD ALL, or connect to "
			"PostgreSQL directly");
	return err_prefix(err, "cannot prepare the load of %s", table);
}

/* Our statements join a few staged rows with a big table by its key. The staging tables have no
 * statistics. Without these settings the planner may choose to read all of the big table, or to
 * compile a statement for longer than it takes. */
static bool make_staging(struct load_store *store, struct err *err)
{
	if (!postgres_run(store->pg,
	                  "SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;"
	                  " SET search_path = pg_catalog",
	                  err))
		return false;
	for (int i = 0; i < TARGET_COUNT; i++)
		if (!postgres_run(store->pg, targets[i].create, err))
			return cannot_stage(store, targets[i].table, err);
	return true;
}

bool load_store_connect(struct load_store *store, bool *reconnected, struct err *err)
{
	bool fresh = false;

	if (reconnected)
		*reconnected = false;
	if (!postgres_connect(store->pg, &fresh, err))
		return false;
	if (fresh) {
		store->staged = false;
		store->fresh = true;
		store->day_count = 0;
	}
	if (store->staged)
		return true;
	if (!make_staging(store, err)) {
		postgres_disconnect(store->pg);
		return false;
	}
	store->staged = true;
	if (reconnected)
		*reconnected = true;
	return true;
}

/* ---- day partitions */

static bool day_is_known(const struct load_store *store, int64_t day)
{
	for (size_t i = store->day_count; i-- > 0;)
		if (store->days[i] == day)
			return true;
	return false;
}

static bool ensure_days(struct load_store *store, const struct load_batch *batch, struct err *err)
{
	for (uint32_t i = 0; i < batch->rows.day_count; i++) {
		char number[24];
		const char *param = number;
		PGresult *result = NULL;

		if (day_is_known(store, batch->rows.days[i]))
			continue;
		snprintf(number, sizeof(number), "%lld", (long long)batch->rows.days[i]);
		if (!postgres_query(
			    store->pg,
			    "SELECT raw.ensure_event_partition(date '1970-01-01' + $1::int)", 1,
			    &param, &result, err)) {
			if (err->class == ERR_INPUT)
				err->class = ERR_FATAL;
			return err_prefix(
				err,
				"cannot create the partition of raw.events for day %s after "
				"1970-01-01",
				number);
		}
		PQclear(result);
		if (store->day_count == DAYS_CACHED_MAX)
			store->day_count = 0;
		GROW(store->days, store->day_count, store->day_capacity);
		store->days[store->day_count++] = batch->rows.days[i];
	}
	return true;
}

/* ---- rows */

/* What a transaction found of the events in its batch. */
struct stored_before {
	int64_t duplicates; /* bronze has them twice */
	int64_t repeats;    /* all that were stored already */
};

/* Moves rows from the staging table into the table. */
static bool apply_events(struct load_store *store, uint32_t count, struct stored_before *before,
                         struct err *err)
{
	const struct target_statements *events = &targets[TARGET_EVENTS];
	PGresult *result = NULL;

	if (!postgres_query(store->pg, events->apply, 0, NULL, &result, err))
		return false;
	before->repeats += count - strtoll(PQgetvalue(result, 0, 0), NULL, 10);
	PQclear(result);
	if (!postgres_query(store->pg, events->count_duplicates, 0, NULL, &result, err))
		return false;
	before->duplicates += strtoll(PQgetvalue(result, 0, 0), NULL, 10);
	PQclear(result);
	return true;
}

/* Staging tables exist until their session ends. If one is missing, a pooler has changed the
 * session. */
static bool fill_stage(struct load_store *store, const struct load_batch *batch, enum target target,
                       const uint32_t *rows, uint32_t count, struct err *err)
{
	bool ok = target == TARGET_EVENTS
	                  ? copy_staged_events(store->pg, targets[target].copy, batch, rows, count,
	                                       err)
	                  : copy_rows(store->pg, targets[target].copy, batch, rows, count, err);

	if (ok && postgres_copy_end(store->pg, err))
		return !store->forgotten || !forget_statements[target] ||
		       postgres_run(store->pg, forget_statements[target], err);
	if (strcmp(postgres_sqlstate(store->pg), UNDEFINED_TABLE) == 0)
		err_prefix(err, "%s", POSTGRES_POOLER_REFUSAL);
	return false;
}

static bool load_target(struct load_store *store, const struct load_batch *batch,
                        enum target target, const uint32_t *rows, uint32_t count,
                        struct stored_before *before, struct err *err)
{
	bool ok;

	FAULT_POINT("before_copy");
	ok = fill_stage(store, batch, target, rows, count, err);
	FAULT_POINT("after_copy");
	if (ok)
		ok = target == TARGET_EVENTS ? apply_events(store, count, before, err)
		                             : postgres_run(store->pg, targets[target].apply, err);
	FAULT_POINT("after_upsert");
	return ok || err_prefix(err, "%s", targets[target].table);
}

/* Lists the live rows of a target; the caller frees *rows. */
static uint32_t live_rows(const struct load_batch *batch, enum target target, uint32_t **rows)
{
	uint32_t count = 0;

	*rows = xrealloc(NULL, (batch->rows.live[target] + 1) * sizeof(**rows));
	for (uint32_t i = 0; i < batch->rows.count; i++)
		if (batch->rows.at[i].live && batch->rows.at[i].target == target)
			(*rows)[count++] = i;
	return count;
}

static bool load_rows_of(struct load_store *store, const struct load_batch *batch,
                         enum target target, struct stored_before *before, struct err *err)
{
	uint32_t *rows = NULL, count = live_rows(batch, target, &rows);
	bool ok;

	if (target == TARGET_EVENTS && event_path_is_direct(&store->path))
		ok = load_events_direct(&store->events, store->pg, batch, rows, count,
		                        &store->collided, err) ||
		     err_prefix(err, "%s", targets[target].table);
	else
		ok = load_target(store, batch, target, rows, count, before, err);
	free(rows);
	return ok;
}

static bool load_targets(struct load_store *store, const struct load_batch *batch,
                         struct stored_before *before, enum target *failed, struct err *err)
{
	for (int t = 0; t < TARGET_COUNT; t++) {
		if (batch->rows.live[t] == 0)
			continue;
		if (!load_rows_of(store, batch, (enum target)t, before, err)) {
			*failed = (enum target)t;
			return false;
		}
	}
	return true;
}

/* *failed: the target whose rows the database rejected; TARGET_COUNT: something else failed. */
static bool attempt(struct load_store *store, struct load_batch *batch,
                    const struct stored_offset *moved, size_t moved_count, enum target *failed,
                    struct err *err)
{
	struct stored_before before = {0};
	bool ok;

	*failed = TARGET_COUNT;
	store->collided = false;
	batch->staged = event_path_is_direct(&store->path) ? 0 : batch->rows.live[TARGET_EVENTS];
	ok = postgres_run(store->pg, "BEGIN", err) &&
	     loader_offsets_lock(store->pg, moved, moved_count, err) &&
	     load_forgotten(store->pg, batch, &store->forgotten, err) &&
	     load_targets(store, batch, &before, failed, err);
	FAULT_POINT("before_offsets");
	ok = ok && loader_offsets_move(store->pg, moved, moved_count, err);
	FAULT_POINT("before_pg_commit");
	ok = ok && postgres_run(store->pg, "COMMIT", err);
	FAULT_POINT("after_pg_commit");
	batch->duplicates = before.duplicates;
	if (!ok)
		postgres_rollback(store->pg);
	else if (batch->rows.live[TARGET_EVENTS] > 0)
		event_path_committed(&store->path, before.repeats);
	return ok;
}

/* ---- rejected rows */

struct search {
	struct load_store *store;
	struct load_batch *batch;
	enum target target;
};

/* Retention may have dropped a day's partition since we created it. Then the rows of that day are
 * rejected, although they are good. True: forgets which days have partitions, so that the next
 * try creates them again. */
static bool may_lack_a_day(struct load_store *store, enum target target)
{
	if (target != TARGET_EVENTS || strcmp(postgres_sqlstate(store->pg), CHECK_VIOLATION) != 0)
		return false;
	store->day_count = 0;
	return true;
}

static bool try_once(struct search *search, const uint32_t *rows, uint32_t count, struct err *err)
{
	struct stored_before before = {0};
	bool ok = postgres_run(search->store->pg, "BEGIN", err) &&
	          load_target(search->store, search->batch, search->target, rows, count, &before,
	                      err);

	postgres_rollback(search->store->pg);
	return ok;
}

static bool try_rows(void *context, const uint32_t *rows, uint32_t count, struct err *err)
{
	struct search *search = context;

	for (int days_checked = 0;; days_checked++) {
		if (try_once(search, rows, count, err))
			return true;
		if (err->class != ERR_INPUT || days_checked == DAYS_CHECKED_MAX ||
		    !may_lack_a_day(search->store, search->target))
			return false;
		if (!ensure_days(search->store, search->batch, err))
			return false;
	}
}

static bool found(void *context, uint32_t row, const struct err *why, struct err *err)
{
	struct search *search = context;

	if (!load_batch_reject_row(search->batch, row, why->message))
		return err_set(err, ERR_FATAL,
		               "the database rejects even a dead letter without bytes: %.600s",
		               why->message);
	return true;
}

static bool reject_bad_rows(struct load_store *store, struct load_batch *batch, enum target target,
                            struct err *err)
{
	struct search search = {store, batch, target};
	struct bisect bisect = {&search, try_rows, found};
	uint32_t *rows = NULL, count = live_rows(batch, target, &rows);
	bool ok = bisect_rows(&bisect, rows, count, err);

	free(rows);
	return ok;
}

/* Connects, and prepares what a batch needs before its transaction. */
static bool prepare(struct load_store *store, struct load_batch *batch, struct err *err)
{
	if (!load_store_connect(store, NULL, err))
		return false;
	if (store->fresh)
		load_entries_forget(batch);
	store->fresh = false;
	return ensure_days(store, batch, err) && load_entries(store->pg, batch, err);
}

static bool write_batch(struct load_store *store, struct load_batch *batch,
                        const struct stored_offset *moved, size_t moved_count, struct err *err)
{
	int days_checked = 0;

	for (;;) {
		enum target failed;

		if (!prepare(store, batch, err))
			return false;
		if (attempt(store, batch, moved, moved_count, &failed, err))
			return true;
		if (err->class != ERR_INPUT)
			return false;
		if (store->collided) {
			event_path_collided(&store->path);
			FAULT_POINT("after_collision");
			continue;
		}
		if (failed == TARGET_COUNT) {
			err->class = ERR_FATAL;
			return err_prefix(err, "the database rejected the transaction, but no row");
		}
		if (days_checked < DAYS_CHECKED_MAX && may_lack_a_day(store, failed)) {
			days_checked++;
			continue;
		}
		if (!reject_bad_rows(store, batch, failed, err))
			return false;
		days_checked = 0; /* the batch has changed */
	}
}

bool load_store_write(struct load_store *store, struct load_batch *batch,
                      const struct stored_offset *moved, size_t moved_count, struct err *err)
{
	if (write_batch(store, batch, moved, moved_count, err))
		return true;
	load_entries_forget(batch);
	return false;
}
