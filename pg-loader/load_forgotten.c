/* The database has hashes of the users and keeps their key to itself, so it has to be asked for the
 * users of each batch. If nobody is forgotten, it is only asked whether anybody is.
 *
 * Rejected: a cache of users that are not forgotten. It would have to end with each new request. */
#include "load_forgotten.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/u64_map.h"
#include "event_row.h"

#define UNDEFINED_FUNCTION "42883"

struct users {
	struct u64_map ids; /* the value is the number of the user in pseudonyms */
	int64_t *pseudonyms;
	uint32_t count, capacity;
	struct buffer text; /* an array of the ids */
};

static char *row_of(struct load_batch *batch, uint32_t number)
{
	const struct load_row *row = &batch->rows.at[number];

	return batch->rows.bytes[TARGET_EVENTS].at + row->at;
}

static bool is_event(const struct load_batch *batch, uint32_t number)
{
	return batch->rows.at[number].live && batch->rows.at[number].target == TARGET_EVENTS;
}

/* Lists the users of the batch, each once. A user below 1 is a pseudonym already. */
static void list_users(struct load_batch *batch, struct users *users)
{
	for (uint32_t i = 0; i < batch->rows.count; i++) {
		char number[24];
		int64_t id;
		bool added;

		if (!is_event(batch, i) || (id = event_row_user(row_of(batch, i))) < 1)
			continue;
		u64_map_put(&users->ids, (uint64_t)id, users->count, &added);
		if (!added)
			continue;
		GROW(users->pseudonyms, users->count, users->capacity);
		users->pseudonyms[users->count] = 0;
		buffer_append(&users->text, number,
		              (size_t)snprintf(number, sizeof(number), "%c%" PRId64,
		                               users->count == 0 ? '{' : ',', id));
		users->count++;
	}
	buffer_append(&users->text, users->count == 0 ? "{}" : "}", users->count == 0 ? 3 : 2);
}

static void take_pseudonyms(struct users *users, const PGresult *result)
{
	for (int r = 0; r < PQntuples(result); r++) {
		uint64_t id = strtoull(PQgetvalue(result, r, 0), NULL, 10);
		bool added;
		uint32_t user = u64_map_put(&users->ids, id, users->count, &added);

		if (!added)
			users->pseudonyms[user] = strtoll(PQgetvalue(result, r, 1), NULL, 10);
	}
}

static void forget_rows(struct load_batch *batch, struct users *users)
{
	for (uint32_t i = 0; i < batch->rows.count; i++) {
		char *row;
		int64_t id, pseudonym;
		bool added;

		if (!is_event(batch, i) || (id = event_row_user(row = row_of(batch, i))) < 1)
			continue;
		pseudonym = users->pseudonyms[u64_map_put(&users->ids, (uint64_t)id, 0, &added)];
		if (pseudonym != 0)
			event_row_forget(row, pseudonym);
	}
}

static bool forget_events(struct postgres *pg, struct load_batch *batch, struct err *err)
{
	struct users users = {0};
	const char *params[1];
	PGresult *result = NULL;
	bool ok;

	list_users(batch, &users);
	params[0] = users.text.at;
	ok = postgres_query(pg, "SELECT user_id, pseudonym FROM processed.forgotten($1::text[])", 1,
	                    params, &result, err);
	if (ok && PQntuples(result) > 0) {
		take_pseudonyms(&users, result);
		forget_rows(batch, &users);
	}
	PQclear(result);
	u64_map_free(&users.ids);
	free(users.pseudonyms);
	buffer_free(&users.text);
	return ok;
}

bool load_forgotten(struct postgres *pg, struct load_batch *batch, bool *somebody, struct err *err)
{
	PGresult *result = NULL;

	if (!postgres_query(pg, "SELECT processed.somebody_forgotten()", 0, NULL, &result, err)) {
		if (strcmp(postgres_sqlstate(pg), UNDEFINED_FUNCTION) == 0)
			err_prefix(err, "a migration is missing; run pg-loader with MIGRATE=only");
		return err_prefix(err, "cannot read which users are forgotten");
	}
	*somebody = PQgetvalue(result, 0, 0)[0] == 't';
	PQclear(result);
	return !*somebody || batch->rows.live[TARGET_EVENTS] == 0 || forget_events(pg, batch, err);
}
