/* The next offset of each partition, in a table of PostgreSQL. It moves only by compare-and-set, in
 * the transaction that writes the rows. The table has the columns topic, partition, next_offset and
 * last_record. */
#ifndef FUNNEL_STORED_OFFSETS_H
#define FUNNEL_STORED_OFFSETS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "postgres/postgres_state.h"
#include "stream/record_mark.h"

struct offsets_table {
	const char *name;  /* "processed.loader_offsets" */
	const char *owner; /* for messages: "loader" */
};

struct stored_offset {
	const char *topic; /* full name, borrowed */
	int32_t partition;
	int64_t committed;       /* next_offset in the database; OFFSET_NONE: no row */
	int64_t position;        /* next offset to read */
	struct record_mark last; /* the newest record before position */
};

/* Fills committed and last. ERR_OPERATOR, among others: a stored last record cannot be parsed. */
MUST_USE bool stored_offsets_read(struct postgres *pg, const struct offsets_table *table,
                                  struct stored_offset *at, size_t count, struct err *err);
/* Inserts the missing rows with next_offset = position. Then reads all rows again, because another
 * process may have inserted them first. */
MUST_USE bool stored_offsets_insert(struct postgres *pg, const struct offsets_table *table,
                                    struct stored_offset *at, size_t count, struct err *err);
/* In a transaction: locks the rows in the order of topic and partition, and compares them with
 * committed. ERR_CONFLICT: another process has moved one. */
MUST_USE bool stored_offsets_lock(struct postgres *pg, const struct offsets_table *table,
                                  const struct stored_offset *at, size_t count, struct err *err);
/* In the same transaction: stores position and last where next_offset is still committed.
 * ERR_CONFLICT: as above. */
MUST_USE bool stored_offsets_move(struct postgres *pg, const struct offsets_table *table,
                                  const struct stored_offset *at, size_t count, struct err *err);
/* The result of comparing `expected` rows, of which `equal` still have the offset that was read.
 * Pure. ERR_CONFLICT: some do not, so another process has moved them. */
MUST_USE bool stored_offsets_unmoved(const struct offsets_table *table, size_t equal,
                                     size_t expected, struct err *err);

#endif
