/* Each row is written field by field, in the column order of targets.c. event_row.c writes the rows
 * of events, visit_row.c those of visits.
 *
 * Texts that PostgreSQL would reject (NUL, broken UTF-8) are found here, because finding them by a
 * failed COPY would cost a bisection. Dead letters are the exception: see dead_letter_rows.c. */
#include "load_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/span.h"
#include "base/timetext.h"
#include "collapse.h"
#include "copy_binary.h"
#include "dead_letter_rows.h"
#include "event/event.h"
#include "event/event_id.h"
#include "event/window.h"
#include "event_row.h"
#include "row_fields.h"
#include "targets.h"
#include "visit_row.h"
#include "wire/records_aggregate.h"
#include "wire/records_bronze.h"
#include "wire/records_counts.h"
#include "wire/records_measures.h"
#include "wire/records_visit.h"

#define DAY_MIN      INT64_C(-719162) /* 0001-01-01 */
#define DAY_MAX      INT64_C(2932896) /* 9999-12-31 */
#define MS_PER_DAY   (US_PER_DAY / 1000)
#define LATE_FIELDS  19
#define LATE_FOR_MAX 64
#define SEGMENT_MAX  512

static enum reason check_texts(const struct span *texts, const char *const *names, size_t count,
                               char *detail, size_t cap)
{
	for (size_t i = 0; i < count; i++) {
		enum reason reason = texts[i].at ? copy_text_fault(texts[i]) : REASON_NONE;

		if (reason != REASON_NONE)
			return row_reject(reason, detail, cap, names[i]);
	}
	return REASON_NONE;
}

static char *copy_optional(char *at, int64_t value, int64_t none)
{
	return value == none ? copy_null(at) : copy_int8(at, value);
}

static struct span bytes_since(const char *start, const char *end)
{
	return (struct span){start, (size_t)(end - start)};
}

/* ---- events and late events */

static enum reason read_event(struct span body, struct bronze_event *bronze, char *detail,
                              size_t cap)
{
	static const char *const names[] = {"category_code", "brand", "user_session",
	                                    "source_file"};
	const char *why = NULL;
	int64_t day;

	if (!bronze_decode(body, bronze, &why))
		return row_reject(REASON_MALFORMED_AVRO, detail, cap, why);
	if (bronze->lineage.raw_time_ms < DAY_MIN * MS_PER_DAY ||
	    bronze->lineage.raw_time_ms >= (DAY_MAX + 1) * MS_PER_DAY)
		return row_reject(REASON_MALFORMED_AVRO, detail, cap, "raw_time");
	day = time_floor(bronze->event.event_time_us, US_PER_DAY) / US_PER_DAY;
	if (day < DAY_MIN || day > DAY_MAX)
		return row_reject(REASON_INVALID_EVENT_TIME, detail, cap,
		                  "outside the years 1 to 9999");
	return check_texts((struct span[]){bronze->event.category_code, bronze->event.brand,
	                                   bronze->event.user_session, bronze->lineage.source_file},
	                   names, 4, detail, cap);
}

static size_t late_room(const struct bronze_event *bronze)
{
	return LATE_FIELDS * COPY_FIELD_MAX + bronze->event.category_code.len +
	       bronze->event.brand.len + bronze->event.user_session.len +
	       bronze->lineage.source_file.len;
}

static char *put_late(char *at, const struct bronze_event *bronze, int64_t day)
{
	const struct event *event = &bronze->event;
	const struct lineage *lineage = &bronze->lineage;

	at = copy_timestamptz(at, event->event_time_us);
	at = copy_date(at, day);
	at = copy_text(at, span_of(event_type_name(event->type)));
	at = copy_int8(at, event->product_id);
	at = copy_optional(at, event->category_id, 0);
	at = copy_text(at, event->category_code);
	at = copy_text(at, event->brand);
	at = event->price_cents < 0 ? copy_null(at) : copy_cents(at, event->price_cents);
	at = copy_int8(at, event->user_id);
	at = copy_text(at, event->user_session);
	at = copy_text(at, lineage->source_file);
	at = copy_optional(at, lineage->source_row, 0);
	at = copy_int4(at, lineage->raw_partition);
	at = copy_int8(at, lineage->raw_offset);
	return copy_timestamptz(at, lineage->raw_time_ms * 1000);
}

static enum reason add_event(struct row_buffers *rows, const struct input_record *record,
                             uint32_t source, char *detail, size_t cap)
{
	struct bronze_event bronze;
	enum reason reason = read_event(record->body, &bronze, detail, cap);
	const struct event *event = &bronze.event;
	struct load_row *row;
	int64_t day;
	char *at;

	if (reason != REASON_NONE)
		return reason;
	day = time_floor(event->event_time_us, US_PER_DAY) / US_PER_DAY;
	row_day(rows, day);
	at = row_begin(rows, TARGET_EVENTS, event_row_room(&bronze));
	at = event_row_write(at, &bronze, day);
	row_end(rows, TARGET_EVENTS, at, source, 0, SPAN_NULL, TARGET_EVENTS);
	row = &rows->at[rows->count - 1];
	row->label = entries_put_label(&rows->labels,
	                               &(struct event_label){event->category_id,
	                                                     event->category_code, event->brand});
	row->origin = entries_put_source(&rows->origins,
	                                 &(struct event_source){bronze.lineage.source_file,
	                                                        bronze.lineage.raw_partition});
	return REASON_NONE;
}

/* Splits at commas and spaces. 0: no name, or more than LATE_FOR_MAX; both are invalid. */
static int split_names(struct span text, struct span names[LATE_FOR_MAX])
{
	size_t start = 0;
	int count = 0;

	for (size_t i = 0; i <= text.len; i++) {
		if (i < text.len && text.at[i] != ',' && text.at[i] != ' ')
			continue;
		if (i > start) {
			if (count == LATE_FOR_MAX)
				return 0;
			names[count++] = (struct span){text.at + start, i - start};
		}
		start = i + 1;
	}
	return count;
}

static enum reason add_late_event(struct row_buffers *rows, const struct input_record *record,
                                  uint32_t source, char *detail, size_t cap)
{
	struct span late_for = record_header(record, "late_for"), names[LATE_FOR_MAX];
	struct bronze_event bronze;
	enum reason reason = read_event(record->body, &bronze, detail, cap);
	int64_t partition, offset;
	int name_count;
	char *at;

	if (reason != REASON_NONE)
		return reason;
	if (!header_integer(record, "source_partition", INT32_MAX, &partition))
		return row_reject(REASON_INVALID_HEADERS, detail, cap, "source_partition");
	if (!header_integer(record, "source_offset", INT64_MAX, &offset))
		return row_reject(REASON_INVALID_HEADERS, detail, cap, "source_offset");
	name_count = late_for.at && copy_text_fault(late_for) == REASON_NONE
	                     ? split_names(late_for, names)
	                     : 0;
	if (name_count == 0)
		return row_reject(REASON_INVALID_HEADERS, detail, cap, "late_for");
	at = row_begin(rows, TARGET_LATE_EVENTS,
	               late_room(&bronze) + late_for.len + (size_t)name_count * 4);
	at = copy_row_begin(at, LATE_FIELDS);
	at = copy_uuid(at, bronze.event_id);
	at = copy_text_array(at, names, name_count);
	at = put_late(at, &bronze, time_floor(bronze.event.event_time_us, US_PER_DAY) / US_PER_DAY);
	at = copy_int4(at, (int32_t)partition);
	at = copy_int8(at, offset);
	row_end(rows, TARGET_LATE_EVENTS, at, source, 0, SPAN_NULL, TARGET_LATE_EVENTS);
	return REASON_NONE;
}

/* ---- aggregates, visits, counts */

static enum reason add_aggregate(struct row_buffers *rows, const struct input_record *record,
                                 uint32_t source, char *detail, size_t cap)
{
	static const char *const names[] = {"rollup", "group_value"};
	struct aggregate aggregate;
	const struct measures *m = &aggregate.measures;
	const char *why = NULL;
	enum reason reason;
	struct span key;
	char *start, *at;

	if (!aggregate_decode(record->body, &aggregate, &why))
		return row_reject(REASON_MALFORMED_AVRO, detail, cap, why);
	reason = check_texts((struct span[]){aggregate.rollup, aggregate.group_value}, names, 2,
	                     detail, cap);
	if (reason != REASON_NONE)
		return reason;
	start = row_begin(rows, TARGET_AGGREGATES,
	                  24 * COPY_FIELD_MAX + aggregate.rollup.len + aggregate.group_value.len);
	at = copy_row_begin(start, 22);
	at = copy_text(at, aggregate.rollup);
	at = copy_timestamptz(at, aggregate.window_start_us);
	at = copy_timestamptz(at, aggregate.window_end_us);
	at = copy_text(at, aggregate.group_value);
	key = bytes_since(start + 2, at);
	for (int i = 0; i < EVENT_TYPE_COUNT; i++)
		at = copy_int8(at, m->events[i]);
	at = copy_cents(at, m->revenue_cents);
	at = copy_int8(at, m->sessions);
	at = copy_int8(at, m->view_sessions);
	at = copy_int8(at, m->cart_sessions);
	at = copy_int8(at, m->purchase_sessions);
	at = copy_int8(at, m->funnel_cart_sessions);
	at = copy_int8(at, m->funnel_checkout_sessions);
	at = copy_int8(at, m->funnel_purchase_sessions);
	at = copy_optional(at, m->buying_view_sessions, NOT_COUNTED);
	at = copy_optional(at, m->view_purchase_sessions, NOT_COUNTED);
	at = copy_optional(at, m->view_cart_purchase_sessions, NOT_COUNTED);
	at = copy_bool(at, aggregate.final);
	at = copy_int8(at, aggregate.revision);
	row_end(rows, TARGET_AGGREGATES, at, source,
	        collapse_order(aggregate.revision, aggregate.final), key, TARGET_AGGREGATES);
	return REASON_NONE;
}

static uint32_t put_category(struct row_buffers *rows, struct span category)
{
	return entries_put_label(&rows->labels, &(struct event_label){.category_code = category});
}

static enum reason add_visit(struct row_buffers *rows, const struct input_record *record,
                             uint32_t source, char *detail, size_t cap)
{
	static const char *const names[] = {"user_session", "first_category", "last_category",
	                                    "drop_off_stage"};
	struct visit visit;
	const char *why = NULL;
	enum target target;
	enum reason reason;
	struct span key;
	char *at;

	if (!visit_decode(record->body, &visit, &why) || (why = visit_row_fault(&visit)))
		return row_reject(REASON_MALFORMED_AVRO, detail, cap, why);
	reason = check_texts((struct span[]){visit.user_session, visit.first_category,
	                                     visit.last_category, visit.drop_off_stage},
	                     names, 4, detail, cap);
	if (reason != REASON_NONE)
		return reason;
	target = visit.deleted ? TARGET_VISIT_REMOVALS : TARGET_VISITS;
	at = row_begin(rows, target, visit_row_room(&visit));
	at = visit_row_write(at, &visit, &key);
	row_end(rows, target, at, source, 0, key, TARGET_VISITS);
	if (visit.deleted)
		return REASON_NONE;
	rows->at[rows->count - 1].label = put_category(rows, visit.first_category);
	rows->at[rows->count - 1].last_label = put_category(rows, visit.last_category);
	return REASON_NONE;
}

static void dead_reasons_json(struct buffer *out, const struct counts_record *record,
                              int64_t unknown, int64_t *total)
{
	char item[96];

	out->len = 0;
	*total = unknown;
	buffer_append(out, "{", 1);
	for (int i = 0; i <= REASON_COUNT; i++) {
		int64_t count = i < REASON_COUNT ? record->counts.dead[i] : unknown;
		int len;

		if (count == 0)
			continue;
		len = snprintf(item, sizeof(item), "%s\"%s\":%" PRId64, out->len > 1 ? "," : "",
		               i < REASON_COUNT ? reason_name((enum reason)i)
		                                : "unknown_to_the_loader",
		               count);
		buffer_append(out, item, (size_t)len);
		if (i < REASON_COUNT)
			*total = (int64_t)((uint64_t)*total + (uint64_t)count);
	}
	buffer_append(out, "}", 1);
}

static void unreadable_fields_json(struct buffer *out, const struct counts *counts)
{
	char item[96];
	size_t began = out->len;

	buffer_append(out, "{", 1);
	for (int i = 0; i < EVENT_FIELD_COUNT; i++) {
		int len;

		if (counts->unreadable[i] == 0)
			continue;
		len = snprintf(item, sizeof(item), "%s\"%s\":%" PRId64,
		               out->len > began + 1 ? "," : "", event_field_names[i],
		               counts->unreadable[i]);
		buffer_append(out, item, (size_t)len);
	}
	buffer_append(out, "}", 1);
}

static enum reason add_counts(struct row_buffers *rows, const struct input_record *record,
                              uint32_t source, char *detail, size_t cap)
{
	static const char *const names[] = {"service", "topic", "stages"};
	struct counts_record counts;
	const char *why = NULL;
	int64_t unknown = 0, dead = 0;
	enum reason reason;
	struct span key;
	size_t reasons_len;
	char *start, *at;

	if (!counts_decode(record->body, &counts, &unknown, &why))
		return row_reject(REASON_MALFORMED_AVRO, detail, cap, why);
	reason = check_texts((struct span[]){counts.service, counts.topic, counts.stages}, names, 3,
	                     detail, cap);
	if (reason != REASON_NONE)
		return reason;
	dead_reasons_json(&rows->scratch, &counts, unknown, &dead);
	reasons_len = rows->scratch.len;
	unreadable_fields_json(&rows->scratch, &counts.counts);
	start = row_begin(rows, TARGET_COUNTS,
	                  16 * COPY_FIELD_MAX + counts.service.len + counts.topic.len +
	                          counts.stages.len + rows->scratch.len);
	at = copy_row_begin(start, 14);
	at = copy_text(at, counts.service);
	at = copy_text(at, counts.topic);
	at = copy_int4(at, counts.partition);
	key = bytes_since(start + 2, at);
	at = copy_int8(at, counts.counts.records_in);
	at = copy_int8(at, counts.counts.records_out);
	at = copy_int8(at, counts.counts.duplicates);
	at = copy_int8(at, counts.counts.late);
	at = copy_int8(at, dead);
	at = copy_jsonb(at, (struct span){rows->scratch.at, reasons_len});
	at = copy_int8(at, counts.revision);
	at = copy_timestamptz(at, record->timestamp_ms * 1000);
	at = copy_jsonb(at, (struct span){rows->scratch.at + reasons_len,
	                                  rows->scratch.len - reasons_len});
	at = copy_int8(at, counts.counts.duplicates_other_price);
	at = copy_text(at, counts.stages);
	row_end(rows, TARGET_COUNTS, at, source, counts.revision, key, TARGET_COUNTS);
	return REASON_NONE;
}

/* ---- controls */

static char *copy_header_integer(char *at, const struct input_record *record, const char *name)
{
	int64_t value;

	return header_integer(record, name, INT64_MAX, &value) ? copy_int8(at, value)
	                                                       : copy_null(at);
}

void load_rows_add_control(struct row_buffers *rows, const struct input_record *record,
                           uint32_t source, int32_t bronze_partition_count)
{
	struct span kind = record_header(record, "control"),
		    segment = record_header(record, "segment");
	char *at;

	if (!segment.at || segment.len > SEGMENT_MAX || copy_text_fault(segment) != REASON_NONE ||
	    kind.len > SEGMENT_MAX || copy_text_fault(kind) != REASON_NONE)
		return;
	at = row_begin(rows, TARGET_CONTROLS, 10 * COPY_FIELD_MAX + segment.len + kind.len);
	at = copy_row_begin(at, 9);
	at = copy_text(at, segment);
	at = copy_int4(at, record->partition);
	at = copy_text(at, kind);
	at = copy_header_integer(at, record, "raw_offset");
	at = copy_header_integer(at, record, "rows");
	at = copy_int4(at, bronze_partition_count);
	at = copy_int8(at, record->offset);
	at = copy_timestamptz(at, record->timestamp_ms * 1000);
	at = copy_header_integer(at, record, "duplicates_other_price");
	row_end(rows, TARGET_CONTROLS, at, source, 0, SPAN_NULL, TARGET_CONTROLS);
}

enum reason load_rows_add(struct row_buffers *rows, enum topic_id topic,
                          const struct input_record *record, uint32_t source, char *detail,
                          size_t detail_cap)
{
	if (topic == TOPIC_DEAD_LETTER)
		return dead_letter_row_add(rows, record, source, detail, detail_cap);
	if (!record->value.at)
		return REASON_NULL_VALUE;
	if (record->refused != REASON_NONE)
		return row_reject(record->refused, detail, detail_cap, record->detail);
	switch (topic) {
	case TOPIC_BRONZE_EVENTS: return add_event(rows, record, source, detail, detail_cap);
	case TOPIC_LATE_EVENTS: return add_late_event(rows, record, source, detail, detail_cap);
	case TOPIC_COUNTS: return add_counts(rows, record, source, detail, detail_cap);
	case TOPIC_SESSION_FUNNELS: return add_visit(rows, record, source, detail, detail_cap);
	case TOPIC_AGGREGATED_EVENTS:
		return add_aggregate(rows, record, source, detail, detail_cap);
	case TOPIC_DEAD_LETTER:
	case TOPIC_RAW_EVENTS:
	case TOPIC_FUNNEL_PARTIALS:
	case TOPIC_ABANDONED_CARTS:
	case TOPIC_ALERTS:
	case TOPIC_PRODUCER_STATE:
	case TOPIC_COUNT: break;
	}
	return REASON_WRONG_SCHEMA;
}
