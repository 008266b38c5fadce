/* The first numbers are in the set itself, and a search goes through them. The set becomes a map
 * when there is no room for one more. */
#include "base/u64_set.h"

#include <stdbool.h>

void u64_set_free(struct u64_set *set)
{
	if (set->count > U64_SET_FEW)
		u64_map_free(&set->in.many);
	*set = (struct u64_set){.count = 0};
}

static void become_map(struct u64_set *set)
{
	struct u64_map many = {0};
	bool added;

	for (uint32_t i = 0; i < U64_SET_FEW; i++)
		u64_map_put(&many, set->in.few[i], 0, &added);
	set->in.many = many;
}

void u64_set_put(struct u64_set *set, uint64_t number)
{
	bool added;

	if (set->count <= U64_SET_FEW) {
		for (uint32_t i = 0; i < set->count; i++)
			if (set->in.few[i] == number)
				return;
		if (set->count < U64_SET_FEW) {
			set->in.few[set->count++] = number;
			return;
		}
		become_map(set);
	}
	u64_map_put(&set->in.many, number, 0, &added);
	set->count = set->in.many.used;
}

void u64_set_merge(struct u64_set *set, const struct u64_set *other)
{
	const struct u64_map *many = &other->in.many;

	if (other->count <= U64_SET_FEW) {
		for (uint32_t i = 0; i < other->count; i++)
			u64_set_put(set, other->in.few[i]);
		return;
	}
	for (uint32_t i = 0; i <= many->mask; i++)
		if (many->slots[i].taken)
			u64_set_put(set, many->slots[i].key);
}
