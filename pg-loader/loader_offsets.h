/* Where the loader stands: processed.loader_offsets, moved only by compare-and-set in the transaction that
 * writes the rows. */
#ifndef FUNNEL_LOADER_OFFSETS_H
#define FUNNEL_LOADER_OFFSETS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "postgres/postgres_state.h"
#include "stream/record_mark.h"

struct loader_offset {
	const char *topic; /* full name, borrowed */
	int32_t partition;
	int64_t committed;       /* next_offset in the database; OFFSET_NONE: no row */
	int64_t position;        /* next offset to take */
	struct record_mark last; /* the newest record before position */
};

/* Fills committed and last. ERR_OPERATOR also if the stored last record cannot be parsed. */
MUST_USE bool loader_offsets_read(struct postgres *pg, struct loader_offset *at, size_t count,
                                  struct err *err);
/* Inserts the missing rows with next_offset = position, then reads all again: another loader may have been first. */
MUST_USE bool loader_offsets_insert(struct postgres *pg, struct loader_offset *at, size_t count,
                                    struct err *err);
/* In a transaction: locks the rows, ordered by topic and partition, and compares them with committed. ERR_ABORT:
 * another loader moved one. */
MUST_USE bool loader_offsets_lock(struct postgres *pg, const struct loader_offset *at, size_t count,
                                  struct err *err);
/* In the same transaction: committed becomes position, and last is stored with it. ERR_ABORT as
 * above. */
MUST_USE bool loader_offsets_move(struct postgres *pg, const struct loader_offset *at, size_t count,
                                  struct err *err);

#endif
