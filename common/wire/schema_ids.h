/* The schema ids in the records of our topics, and a plan to register the schemas under the same
 * ids again.
 *
 * A registry issues ids in sequence. An emptied one begins at 1. So each schema gets its former id
 * if the schemas are registered in the order of their ids, with fillers for unused ids. Pure; the
 * program `schemas` (common/tools/schemas) reads the topics and queries the registry. */
#ifndef FUNNEL_SCHEMA_IDS_H
#define FUNNEL_SCHEMA_IDS_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "wire/schemas.h"

#define SCHEMA_USES_MAX 4096 /* pairs of topic and id; records of further pairs are only counted */

enum schema_use_state {
	SCHEMA_USE_KNOWN,    /* the registry has the schema that the records were written with */
	SCHEMA_USE_MISSING,  /* the registry does not know the id */
	SCHEMA_USE_TAKEN,    /* the id belongs to another schema */
	SCHEMA_USE_STRAY,    /* missing or taken, and its records do not decode under our schema */
	SCHEMA_USE_LEFT_OUT, /* missing or taken, and the operator has excluded the id */
};

/* The records of one topic with one schema id. */
struct schema_use {
	int32_t id;
	enum schema_kind kind; /* of the topic */
	int64_t records, first_offset;
	int32_t first_partition;
	bool fits;                   /* the sample decodes under our schema */
	struct buffer sample;        /* a value with its frame; one that fits, if there is one */
	enum schema_use_state state; /* the owner sets it */
};
struct schema_uses {
	struct schema_use *at;
	size_t count, capacity;
	int64_t left_out; /* records of pairs beyond SCHEMA_USES_MAX */
};
void schema_uses_free(struct schema_uses *uses);
/* Adds a record's value. A value without a frame is ignored. */
void schema_uses_add(struct schema_uses *uses, enum schema_kind kind, int32_t partition,
                     int64_t offset, struct span value);
/* Sorts by id, then by topic. */
void schema_uses_sort(struct schema_uses *uses);

/* The body decodes under our schema of this kind. */
bool schema_body_fits(enum schema_kind kind, struct span body);

/* The highest known id and the lowest missing one; 0: none. uses must be sorted, here and below. */
void schema_uses_bounds(const struct schema_uses *uses, int32_t *last_known,
                        int32_t *first_missing);
/* Checks that the missing ids can be registered in their order with at most fillers_max fillers.
 * last_id: the last id that the registry has issued. ERR_OPERATOR if they cannot. */
MUST_USE bool schema_uses_can_be_registered(const struct schema_uses *uses, int32_t last_id,
                                            int64_t fillers_max, struct err *err);

/* The text to register for a use. A registry issues one id per text. So the text for a second id of
 * the same schema has an additional attribute without effect. The text replaces the contents of out
 * and is terminated; out->len includes the terminator. */
void schema_use_text(const struct schema_uses *uses, size_t use, struct buffer *out);

#endif
