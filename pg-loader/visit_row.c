/* A row:
 *
 *   field count i16 | first_label | last_label | key | visit_end | user_id | views | carts |
 *   removes | checkouts | purchases | products | revenue | furthest_stage | drop_off_stage |
 *   view_to_cart_ms | view_to_purchase_ms | view_purchase | view_cart_purchase | final | revision
 *
 * A removal has only the key: visit_start | session_id | session_form | session_text.
 *
 * sql/tables/0012_narrow_visits.sql says what the fields mean. */
#include "visit_row.h"

#include "copy_binary.h"
#include "row_fields.h"

#define FIELDS         23
#define REMOVAL_FIELDS 4

/* processed.session_funnels computes durations up to this exactly: 35 years. */
#define DURATION_MAX_US (INT64_C(1) << 50)

/* Places of values: after the two bytes of the row and the length of each field. */
enum {
	AT_FIRST_LABEL = 2 + 4,
	AT_LAST_LABEL = AT_FIRST_LABEL + 4 + 4,
};

const char *visit_row_fault(const struct visit *visit)
{
	if (visit->deleted)
		return NULL;
	if (visit->end_us < visit->start_us)
		return "visit_end before visit_start";
	if ((uint64_t)visit->end_us - (uint64_t)visit->start_us >= DURATION_MAX_US)
		return "visit_end more than 35 years after visit_start";
	if (visit->furthest_stage < 0 || visit->furthest_stage > INT16_MAX)
		return "furthest_stage";
	for (int i = 0; i < EVENT_TYPE_COUNT; i++)
		if (visit->events[i] > INT32_MAX)
			return "more than 2147483647 events of a type";
	return visit->products > INT32_MAX ? "products above 2147483647" : NULL;
}

size_t visit_row_room(const struct visit *visit)
{
	return (FIELDS + 1) * COPY_FIELD_MAX + visit->user_session.len + visit->drop_off_stage.len;
}

static char *put_key(char *at, const struct visit *visit)
{
	struct session_columns session = session_columns_of(visit->user_session);

	at = copy_timestamptz(at, visit->start_us);
	at = copy_uuid(at, session.id);
	at = copy_char(at, (char)session.form);
	return copy_text(at, session.text);
}

static char *put_optional(char *at, int64_t value)
{
	return value < 0 ? copy_null(at) : copy_int8(at, value);
}

static char *put_flag(char *at, enum visit_flag flag)
{
	return flag == VISIT_FLAG_UNKNOWN ? copy_null(at) : copy_bool(at, flag == VISIT_FLAG_YES);
}

/* A buyer did not leave, whatever an older aggregator has written. */
static struct span drop_off_of(const struct visit *visit)
{
	return visit->events[EVENT_PURCHASE] > 0 ? SPAN_NULL : visit->drop_off_stage;
}

static char *put_values(char *at, const struct visit *visit)
{
	at = copy_timestamptz(at, visit->end_us);
	at = copy_int8(at, visit->user_id);
	for (int i = 0; i < EVENT_TYPE_COUNT; i++)
		at = copy_int4(at, (int32_t)visit->events[i]);
	at = copy_int4(at, (int32_t)visit->products);
	at = copy_cents(at, visit->revenue_cents);
	at = copy_int2(at, (int16_t)visit->furthest_stage);
	at = copy_text(at, drop_off_of(visit));
	at = put_optional(at, visit->view_to_cart_ms);
	at = put_optional(at, visit->view_to_purchase_ms);
	at = put_flag(at, visit->view_purchase);
	at = put_flag(at, visit->view_cart_purchase);
	at = copy_bool(at, visit->final);
	return copy_int8(at, visit->revision);
}

char *visit_row_write(char *at, const struct visit *visit, struct span *key)
{
	const char *begin;

	at = copy_row_begin(at, visit->deleted ? REMOVAL_FIELDS : FIELDS);
	if (!visit->deleted) {
		at = copy_int4(at, 0);
		at = copy_int4(at, 0);
	}
	begin = at;
	at = put_key(at, visit);
	*key = (struct span){begin, (size_t)(at - begin)};
	return visit->deleted ? at : put_values(at, visit);
}

void visit_row_set_ids(char *row, int32_t first_label, int32_t last_label)
{
	copy_int4(row + AT_FIRST_LABEL - 4, first_label);
	copy_int4(row + AT_LAST_LABEL - 4, last_label);
}
