/* The schema ids that the records of our topics name, and how to register the schemas under the
 * same ids again.
 *
 * Registries give out ids in sequence. An emptied one begins with 1, so each schema gets its id
 * back if the schemas are registered in the order of their ids, with fillers for unused ids. Pure;
 * common/tools/schemas/schemas.c reads the topics and asks the registry. */
#ifndef FUNNEL_SCHEMA_IDS_H
#define FUNNEL_SCHEMA_IDS_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "wire/schemas.h"

#define SCHEMA_USES_MAX 4096 /* pairs of topic and id that are kept apart */

enum schema_use_state {
	SCHEMA_USE_KNOWN,    /* the registry gives the schema that the records were written with */
	SCHEMA_USE_MISSING,  /* the registry does not know the id */
	SCHEMA_USE_TAKEN,    /* the id belongs to another schema */
	SCHEMA_USE_STRAY,    /* missing or taken, and no record of the id decodes as one of ours */
	SCHEMA_USE_LEFT_OUT, /* missing or taken, and the operator has excluded the id */
};

/* Records of one topic that name one id. */
struct schema_use {
	int32_t id;
	enum schema_kind slot;
	int64_t records, first_offset;
	int32_t first_partition;
	bool fits;                   /* the sample decodes under our schema */
	struct buffer sample;        /* a value as it was read; one that fits, if there is one */
	enum schema_use_state state; /* set by the owner, who asks the registry */
};
struct schema_uses {
	struct schema_use *at;
	size_t count, capacity;
	int64_t left_out; /* records of ids beyond SCHEMA_USES_MAX */
};
void schema_uses_free(struct schema_uses *uses);
/* Adds a record's value; a value without framing is ignored. */
void schema_uses_add(struct schema_uses *uses, enum schema_kind slot, int32_t partition,
                     int64_t offset, struct span value);
/* By id, then by topic. */
void schema_uses_sort(struct schema_uses *uses);

/* The body of a value decodes as a record of this topic, under our version of its schema. */
bool schema_body_fits(enum schema_kind slot, struct span body);

/* The highest known id and the lowest missing one; 0: none. uses are sorted, here and below. */
void schema_uses_bounds(const struct schema_uses *uses, int32_t *last_known,
                        int32_t *first_missing);
/* Whether the missing ids can be registered in their order with at most fillers_max fillers, if the
 * registry has given out the ids up to last_id. ERR_OPERATOR: they cannot; the message says what to
 * do. */
MUST_USE bool schema_uses_can_be_registered(const struct schema_uses *uses, int32_t last_id,
                                            int64_t fillers_max, struct err *err);

/* The text to register for a use. A registry gives one text one id, so a second id of the same
 * schema needs a text that differs in an attribute without a meaning. Replaces the contents of out,
 * terminator included. */
void schema_use_text(const struct schema_uses *uses, size_t use, struct buffer *out);

#endif
