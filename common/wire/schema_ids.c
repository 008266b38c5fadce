/* An id is ours if one of its records decodes under our schema. The bytes of another record type do
 * not decode exactly to their last byte.
 *
 * Limits: the program does not have the texts of former schema versions, so it takes their records
 * for strays. A forged record, or a copy of ours under an invented id, looks like ours; the
 * operator can leave out such an id. */
#include "wire/schema_ids.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "wire/frame.h"
#include "wire/records_aggregate.h"
#include "wire/records_alert.h"
#include "wire/records_bronze.h"
#include "wire/records_cart.h"
#include "wire/records_counts.h"
#include "wire/records_visit.h"

#define SAMPLE_MAX_BYTES 65536

void schema_uses_free(struct schema_uses *uses)
{
	for (size_t i = 0; i < uses->count; i++)
		buffer_free(&uses->at[i].sample);
	free(uses->at);
	*uses = (struct schema_uses){0};
}

static bool is_json_object(struct span body)
{
	json_t *json = json_loadb(body.at, body.len, 0, NULL);
	bool is = json_is_object(json);

	json_decref(json);
	return is;
}

bool schema_body_fits(enum schema_kind kind, struct span body)
{
	union {
		struct bronze_event bronze;
		struct counts_record counts;
		struct visit visit;
		struct partial partial;
		struct aggregate aggregate;
		struct alert alert;
		struct abandoned_cart cart;
	} record;
	int64_t unknown_dead;

	switch (kind) {
	case SCHEMA_BRONZE:
	case SCHEMA_LATE: return bronze_decode(body, &record.bronze, NULL);
	case SCHEMA_COUNTS: return counts_decode(body, &record.counts, &unknown_dead, NULL);
	case SCHEMA_VISIT: return visit_decode(body, &record.visit, NULL);
	case SCHEMA_PARTIAL: return partial_decode(body, &record.partial, NULL);
	case SCHEMA_AGGREGATE: return aggregate_decode(body, &record.aggregate, NULL);
	case SCHEMA_CART: return cart_decode(body, &record.cart, NULL);
	case SCHEMA_ALERT: return alert_decode(body, &record.alert, NULL);
	case SCHEMA_RAW: return is_json_object(body);
	case SCHEMA_COUNT: break;
	}
	return false;
}

/* Searches from the newest entry, as records with one id come in long runs. NULL: no room. */
static struct schema_use *find(struct schema_uses *uses, enum schema_kind kind, int32_t id)
{
	for (size_t i = uses->count; i-- > 0;)
		if (uses->at[i].id == id && uses->at[i].kind == kind)
			return &uses->at[i];
	if (uses->count == SCHEMA_USES_MAX)
		return NULL;
	GROW(uses->at, uses->count, uses->capacity);
	uses->at[uses->count] = (struct schema_use){.id = id, .kind = kind};
	return &uses->at[uses->count++];
}

void schema_uses_add(struct schema_uses *uses, enum schema_kind kind, int32_t partition,
                     int64_t offset, struct span value)
{
	struct schema_use *use;
	struct span body;
	int32_t id;

	if (frame_parse(value, &id, &body) != FRAME_ID)
		return;
	use = find(uses, kind, id);
	if (!use) {
		uses->left_out++;
		return;
	}
	if (use->records++ == 0) {
		use->first_partition = partition;
		use->first_offset = offset;
	}
	if (use->fits || value.len > SAMPLE_MAX_BYTES)
		return;
	use->fits = schema_body_fits(kind, body);
	if (use->fits || use->sample.len == 0) {
		use->sample.len = 0;
		buffer_append(&use->sample, value.at, value.len);
	}
}

static int compare_uses(const void *a, const void *b)
{
	const struct schema_use *left = a, *right = b;

	if (left->id != right->id)
		return left->id < right->id ? -1 : 1;
	return (int)left->kind - (int)right->kind;
}

void schema_uses_sort(struct schema_uses *uses)
{
	if (uses->count)
		qsort(uses->at, uses->count, sizeof(*uses->at), compare_uses);
}

void schema_uses_bounds(const struct schema_uses *uses, int32_t *last_known, int32_t *first_missing)
{
	*last_known = *first_missing = 0;
	for (size_t i = 0; i < uses->count; i++) {
		if (uses->at[i].state == SCHEMA_USE_KNOWN)
			*last_known = uses->at[i].id;
		if (uses->at[i].state == SCHEMA_USE_MISSING && *first_missing == 0)
			*first_missing = uses->at[i].id;
	}
}

static bool refuse_use(const struct schema_use *use, const char *why, struct err *err)
{
	return err_set(err, ERR_OPERATOR,
	               "schema id %" PRId32 " (%" PRId64 " records of %s, the first at %" PRId32
	               ":%" PRId64 ") %s",
	               use->id, use->records, schema_texts[use->kind].topic_suffix,
	               use->first_partition, use->first_offset, why);
}

bool schema_uses_can_be_registered(const struct schema_uses *uses, int32_t last_id,
                                   int64_t fillers_max, struct err *err)
{
	int64_t last = last_id, planned = 0, fillers = 0;

	for (size_t i = 0; i < uses->count; i++) {
		const struct schema_use *use = &uses->at[i];
		char why[256];

		if (use->state == SCHEMA_USE_TAKEN)
			return refuse_use(
				use,
				"belongs to another schema in the registry, and a registry never "
				"issues an id twice: restore the registry's data, or empty the "
				"registry first",
				err);
		if (use->state != SCHEMA_USE_MISSING || use->id == planned)
			continue; /* a second topic with the same id takes the same text */
		snprintf(why, sizeof(why),
		         "cannot be registered, as the registry has already issued the ids up to "
		         "%" PRId64 ": empty the registry first",
		         last);
		if (use->id <= last)
			return refuse_use(use, why, err);
		fillers += use->id - last - 1;
		snprintf(why, sizeof(why),
		         "needs %" PRId64 " other schemas before it: if our services wrote its "
		         "records, set MAX_FILLERS to that number, otherwise leave the id out with "
		         "LEAVE_OUT=%" PRId32,
		         fillers, use->id);
		if (fillers > fillers_max)
			return refuse_use(use, why, err);
		last = planned = use->id;
	}
	return true;
}

/* The same text has another id already, or a use before this one will register it. */
static bool is_second_id(const struct schema_uses *uses, size_t number)
{
	const struct schema_use *use = &uses->at[number];

	for (size_t i = 0; i < uses->count; i++) {
		const struct schema_use *other = &uses->at[i];

		if (other->id != use->id &&
		    strcmp(schema_texts[other->kind].text, schema_texts[use->kind].text) == 0 &&
		    (other->state == SCHEMA_USE_KNOWN ||
		     (other->state == SCHEMA_USE_MISSING && i < number)))
			return true;
	}
	return false;
}

void schema_use_text(const struct schema_uses *uses, size_t number, struct buffer *out)
{
	const char *text = schema_texts[uses->at[number].kind].text;
	char attribute[64] = "{";

	if (is_second_id(uses, number))
		snprintf(attribute, sizeof(attribute), "{\"again_as_id\":\"%" PRId32 "\",",
		         uses->at[number].id);
	out->len = 0;
	buffer_append(out, attribute, strlen(attribute));
	buffer_append(out, text + 1, strlen(text)); /* with the terminator */
}
