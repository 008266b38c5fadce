/* Simulates pools: last in, first out or in turn; used by us alone, by other clients too, or with
 * several pooler processes at one address. */
#include <criterion/criterion.h>

#include "postgres/pooling.h"

#define POOL_MAX 8

/* Free backends, in the order of use. */
struct pool {
	int64_t idle[POOL_MAX];
	int idle_count;
	int64_t made; /* number of backends so far; a new one is made if none is free */
	bool in_turn; /* else last in, first out */
};

static int64_t take(struct pool *pool)
{
	int64_t pid = pool->idle[0];

	if (pool->idle_count == 0)
		return ++pool->made;
	pool->idle_count--;
	for (int i = 0; i < pool->idle_count; i++)
		pool->idle[i] = pool->idle[i + 1];
	return pid;
}

static void give_back(struct pool *pool, int64_t pid)
{
	int at = pool->in_turn ? pool->idle_count : 0;

	for (int i = pool->idle_count++; i > at; i--)
		pool->idle[i] = pool->idle[i - 1];
	pool->idle[at] = pid;
}

static struct pool pool_of(int size, bool in_turn)
{
	struct pool pool = {.in_turn = in_turn};

	for (int i = 0; i < size; i++)
		give_back(&pool, ++pool.made);
	return pool;
}

static bool look(struct pooling *pooling, struct pool *pool, int connection)
{
	int64_t pid = take(pool);
	int contradicts = pooling_note(pooling, connection, (struct backend){pid, 1});

	give_back(pool, pid);
	return contradicts != POOLING_NONE;
}

/* The order of observations in postgres_pooler.c: the first connection again after each further
 * one. */
#define LOOKS (2 * POOLING_CONNECTIONS - 1)
static int connection_of(int n)
{
	return n % 2 ? n / 2 + 1 : 0;
}

Test(pooling, transaction_pooling_is_found_if_no_other_client_uses_the_pool)
{
	for (int size = 0; size < POOL_MAX; size++)
		for (int in_turn = 0; in_turn < 2; in_turn++) {
			struct pool pool = pool_of(size, in_turn);
			struct pooling pooling = {0};
			bool found = false;

			for (int n = 0; n < LOOKS; n++)
				found = look(&pooling, &pool, connection_of(n)) || found;
			cr_expect(found, "%d free backends, %s", size,
			          in_turn ? "in turn" : "last in, first out");
		}
}

Test(pooling, five_connections_cannot_hide_among_four_pooler_processes)
{
	/* All distributions of the connections over the processes. */
	for (int way = 0; way < 4 * 4 * 4 * 4 * 4; way++) {
		struct pooling pooling = {0};
		struct pool pools[4];
		bool found = false;

		for (int p = 0; p < 4; p++) {
			pools[p] = pool_of(1, false);
			pools[p].idle[0] = 100 + p;
		}
		for (int i = 0, rest = way; i < POOLING_CONNECTIONS; i++, rest /= 4)
			found = look(&pooling, &pools[rest % 4], i) || found;
		cr_assert(found, "way %d", way);
	}
}

Test(pooling, another_client_does_not_hide_it_for_long)
{
	/* At each observation it holds one backend or none: all patterns. */
	for (int pattern = 0; pattern < 1 << LOOKS; pattern++) {
		struct pool pool = pool_of(3, false);
		struct pooling pooling = {0};
		bool found = false;

		for (int n = 0; n < LOOKS; n++) {
			int64_t others = pattern >> n & 1 ? take(&pool) : 0;

			found = look(&pooling, &pool, connection_of(n)) || found;
			if (others)
				give_back(&pool, others);
		}
		cr_expect(found, "pattern %x", (unsigned)pattern);
	}
}

Test(pooling, a_backend_for_each_connection_is_no_contradiction)
{
	struct pooling pooling = {0};

	for (int n = 0; n < 3; n++)
		for (int i = 0; i < POOLING_CONNECTIONS; i++)
			cr_expect_eq(pooling_note(&pooling, i, (struct backend){100 + i, 1}),
			             POOLING_NONE);
}

Test(pooling, the_contradicting_connection_is_named)
{
	struct pooling pooling = {0};

	cr_expect_eq(pooling_note(&pooling, 0, (struct backend){7, 1}), POOLING_NONE);
	cr_expect_eq(pooling_note(&pooling, 1, (struct backend){8, 1}), POOLING_NONE);
	cr_expect_eq(pooling_note(&pooling, 2, (struct backend){7, 2}), POOLING_NONE,
	             "another server");
	cr_expect_eq(pooling_note(&pooling, 3, (struct backend){8, 1}), 1);
	cr_expect_eq(pooling_note(&pooling, 0, (struct backend){9, 1}), 0);
}
