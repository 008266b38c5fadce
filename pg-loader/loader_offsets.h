/* The offsets in processed.loader_offsets: see postgres/stored_offsets.h, whose functions these
 * are. */
#ifndef FUNNEL_LOADER_OFFSETS_H
#define FUNNEL_LOADER_OFFSETS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "postgres/postgres_state.h"
#include "postgres/stored_offsets.h"

MUST_USE bool loader_offsets_read(struct postgres *pg, struct stored_offset *at, size_t count,
                                  struct err *err);
MUST_USE bool loader_offsets_insert(struct postgres *pg, struct stored_offset *at, size_t count,
                                    struct err *err);
MUST_USE bool loader_offsets_lock(struct postgres *pg, const struct stored_offset *at, size_t count,
                                  struct err *err);
MUST_USE bool loader_offsets_move(struct postgres *pg, const struct stored_offset *at, size_t count,
                                  struct err *err);
MUST_USE bool loader_offsets_unmoved(size_t equal, size_t expected, struct err *err);

#endif
