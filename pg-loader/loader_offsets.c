#include "loader_offsets.h"

static const struct offsets_table table = {"processed.loader_offsets", "loader"};

bool loader_offsets_read(struct postgres *pg, struct stored_offset *at, size_t count,
                         struct err *err)
{
	return stored_offsets_read(pg, &table, at, count, err);
}

bool loader_offsets_insert(struct postgres *pg, struct stored_offset *at, size_t count,
                           struct err *err)
{
	return stored_offsets_insert(pg, &table, at, count, err);
}

bool loader_offsets_lock(struct postgres *pg, const struct stored_offset *at, size_t count,
                         struct err *err)
{
	return stored_offsets_lock(pg, &table, at, count, err);
}

bool loader_offsets_move(struct postgres *pg, const struct stored_offset *at, size_t count,
                         struct err *err)
{
	return stored_offsets_move(pg, &table, at, count, err);
}

bool loader_offsets_unmoved(size_t equal, size_t expected, struct err *err)
{
	return stored_offsets_unmoved(&table, equal, expected, err);
}
