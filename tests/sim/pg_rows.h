/* The rows of the simulated PostgreSQL, and those that the oracle expects. A row has its key and
 * its value as bytes; rows are found by table and key. All memory is the world's.
 *
 * A row also has its lock, and the change of the transaction that holds it. */
#ifndef SIM_PG_ROWS_H
#define SIM_PG_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum pg_table {
	PG_EVENTS,
	PG_LATE_EVENTS,
	PG_AGGREGATES,
	PG_VISITS,
	PG_COUNTS,
	PG_DEAD_LETTERS,
	PG_CONTROLS,
	PG_OFFSETS,
	PG_BRONZE_LOADS,
	PG_DAYS, /* partitions of raw.event_rows */
	PG_LABELS,
	PG_SOURCES,
	PG_TABLE_COUNT
};
const char *pg_table_name(enum pg_table table);

struct pg_row {
	enum pg_table table;
	uint64_t hash;
	struct span key;
	struct span value;      /* committed; at == NULL: the row does not exist */
	uint32_t owner;         /* the session that holds the lock; 0: none */
	bool changed;           /* the owner has changed it to `changed_to` */
	struct span changed_to; /* at == NULL: deleted */
	/* Of the oracle. */
	uint64_t commit;      /* that inserted it */
	int32_t partition;    /* of the record that inserted it */
	struct span other[3]; /* other values that it may have */
	int other_count;
};

struct pg_rows {
	struct pg_row **at;
	size_t count, capacity;
	uint32_t *slots; /* index + 1; 0: free */
	size_t slot_count;
};

/* NULL: no such row was ever added. */
struct pg_row *pg_rows_find(const struct pg_rows *rows, enum pg_table table, struct span key);
/* The same, but adds a row that does not exist yet. Copies the key. */
struct pg_row *pg_rows_get(struct pg_rows *rows, enum pg_table table, struct span key);
bool pg_equal(struct span a, struct span b);

/* ---- tuples of binary COPY: number of fields, then each field with its length */

/* at == NULL: null, or the tuple does not have the field. */
struct span pg_field(struct span tuple, int number);
int64_t pg_integer(struct span field);
/* The first tuple of *rest, which moves past it. False: the trailer, or broken bytes. */
bool pg_next_tuple(struct span *rest, struct span *tuple);

/* The key of a staged row of this table. Overwritten by the next call. */
struct span pg_key_of(enum pg_table table, struct span tuple);

#endif
