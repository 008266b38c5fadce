/* A set of 64-bit numbers. Most sets are small: a set of up to U64_SET_FEW numbers needs no memory
 * of its own.
 *
 * Single numbers cannot be removed; the owner frees the set. Exhausted memory ends the process. */
#ifndef FUNNEL_U64_SET_H
#define FUNNEL_U64_SET_H

#include <stdint.h>

#include "base/u64_map.h"

#define U64_SET_FEW 4

/* Zero-initialised: empty, owns nothing. */
struct u64_set {
	union {
		uint64_t few[U64_SET_FEW]; /* count <= U64_SET_FEW */
		struct u64_map many;       /* else */
	} in;
	uint32_t count;
};
void u64_set_free(struct u64_set *set);
void u64_set_put(struct u64_set *set, uint64_t number);
/* Adds all numbers of another set. */
void u64_set_merge(struct u64_set *set, const struct u64_set *other);

#endif
