#include "lake_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "event/event.h"
#include "stream/control.h"
#include "stream/dead_letter.h"
#include "wire/records_bronze.h"
#include "wire/records_counts.h"

/* ---- parts of rows */

static struct span valid_text(struct span text)
{
	return text.at && utf8_valid_length(text) != text.len ? SPAN_NULL : text;
}

static void put_place(struct lake_sheet *sheet, const struct input_record *record)
{
	lake_sheet_int4(sheet, record->partition);
	lake_sheet_int8(sheet, record->offset);
	lake_sheet_int8(sheet, record->timestamp_ms * 1000);
}

static void put_headers(struct lake_sheet *sheet, const struct input_record *record)
{
	struct header_list list = record_headers(record);

	lake_sheet_headers(sheet, list.at, list.count);
}

static void put_optional(struct lake_sheet *sheet, int64_t value, int64_t none)
{
	if (value == none)
		lake_sheet_null(sheet);
	else
		lake_sheet_int8(sheet, value);
}

/* ---- events */

/* A text that is not UTF-8 cannot be in a column of texts. */
static const char *unreadable_text(const struct bronze_event *bronze)
{
	const struct {
		struct span text;
		const char *name;
	} texts[] = {{bronze->event.category_code, "category_code"},
	             {bronze->event.brand, "brand"},
	             {bronze->event.user_session, "user_session"},
	             {bronze->lineage.source_file, "source_file"}};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (texts[i].text.at && !valid_text(texts[i].text).at)
			return texts[i].name;
	return NULL;
}

static void put_category(struct lake_sheet *sheet, const struct event *event)
{
	put_optional(sheet, event->category_id, 0);
	lake_sheet_text(sheet, event->category_code);
	for (int level = 1; level <= 4; level++)
		lake_sheet_text(sheet, event_category_level(event->category_code, level));
}

static void put_event(struct lake_sheet *sheet, const struct bronze_event *bronze)
{
	const struct event *event = &bronze->event;

	lake_sheet_uuid(sheet, bronze->event_id);
	lake_sheet_int8(sheet, event->event_time_us);
	lake_sheet_text(sheet, span_of(event_type_name(event->type)));
	lake_sheet_int8(sheet, event->product_id);
	put_category(sheet, event);
	lake_sheet_text(sheet, event->brand);
	put_optional(sheet, event->price_cents, -1);
	lake_sheet_int8(sheet, event->user_id);
	lake_sheet_text(sheet, event->user_session);
}

static void put_lineage(struct lake_sheet *sheet, const struct lineage *lineage)
{
	lake_sheet_text(sheet, lineage->source_file);
	put_optional(sheet, lineage->source_row, 0);
	lake_sheet_int4(sheet, lineage->raw_partition);
	lake_sheet_int8(sheet, lineage->raw_offset);
	lake_sheet_int8(sheet, lineage->raw_time_ms * 1000);
	put_optional(sheet, lineage->source_clock_us, INT64_MIN);
}

static bool add_event(struct lake_sheet *sheet, const struct input_record *record,
                      const struct bronze_event *bronze, int32_t batch,
                      const struct lake_stream *stream, struct err *err)
{
	put_event(sheet, bronze);
	put_lineage(sheet, &bronze->lineage);
	put_place(sheet, record);
	lake_sheet_text(sheet, stream && *stream->segment ? span_of(stream->segment) : SPAN_NULL);
	put_headers(sheet, record);
	return lake_sheet_end(sheet, batch, err);
}

/* ---- other records */

struct described {
	struct span kind, detail, value;
};

static bool add_record(struct lake_sheet *sheet, const struct input_record *record,
                       const struct described *as, int32_t batch, struct err *err)
{
	put_place(sheet, record);
	lake_sheet_text(sheet, valid_text(as->kind));
	lake_sheet_text(sheet, valid_text(as->detail));
	lake_sheet_bytes(sheet, record->key);
	lake_sheet_bytes(sheet, as->value);
	put_headers(sheet, record);
	return lake_sheet_end(sheet, batch, err);
}

static bool add_control(struct lake_sheet *sheet, const struct input_record *record, int32_t batch,
                        struct err *err)
{
	struct described as = {record_header(record, "control"), record_header(record, "segment"),
	                       record->value};

	return add_record(sheet, record, &as, batch, err);
}

static bool add_dead_letter(struct lake_sheet *sheet, const struct input_record *record,
                            int32_t batch, struct err *err)
{
	struct described as = {SPAN_NULL, record_header(record, DEAD_LETTER_HEADER_DETAIL),
	                       record->value};
	struct dead_letter letter;
	int32_t partition;
	int64_t offset;

	if (dead_letter_read(record, &letter))
		as.kind = letter.reason;
	else if (redrive_marker_read(record, &partition, &offset))
		as.kind = SPAN(REDRIVE_HEADER_MARKER);
	return add_record(sheet, record, &as, batch, err);
}

static bool add_unreadable(struct lake_sheet *sheet, const struct input_record *record,
                           enum reason reason, const char *why, int32_t batch, struct err *err)
{
	struct described as = {span_of(reason_name(reason)), span_of(why), record->value};

	return add_record(sheet, record, &as, batch, err);
}

static bool add_counts(struct lake_sheet *sheet, const struct input_record *record,
                       const struct counts_record *counts, int32_t batch, struct err *err)
{
	char detail[512];
	int64_t dead = 0;
	struct described as = {counts->service, {detail, 0}, record->body};

	for (int i = 0; i < REASON_COUNT; i++)
		dead += counts->counts.dead[i];
	as.detail.len = (size_t)snprintf(detail, sizeof(detail),
	                                 "{\"partition\":%" PRId32 ",\"records_in\":%" PRId64
	                                 ",\"records_out\":%" PRId64 ",\"duplicates\":%" PRId64
	                                 ",\"late\":%" PRId64 ",\"dead\":%" PRId64
	                                 ",\"revision\":%" PRId64 "}",
	                                 counts->partition, counts->counts.records_in,
	                                 counts->counts.records_out, counts->counts.duplicates,
	                                 counts->counts.late, dead, counts->revision);
	return add_record(sheet, record, &as, batch, err);
}

/* ---- the stream of bronze */

static void follow_control(struct lake_stream *stream, const struct input_record *record,
                           struct control control)
{
	struct span segment = valid_text(record_header(record, "segment"));

	if (control.kind == CONTROL_INVALID)
		return;
	if (control.kind == CONTROL_END || segment.len >= LAKE_SEGMENT_MAX)
		segment = SPAN_NULL;
	memcpy(stream->segment, segment.at ? segment.at : "", segment.len);
	stream->segment[segment.len] = '\0';
	if (control.kind != CONTROL_END)
		clock_announce(&stream->clock, control.event_time_us, record->timestamp_ms * 1000);
}

/* Why the event of a record cannot be a row; REASON_NONE: it can. */
static enum reason read_event(const struct input_record *record, struct bronze_event *bronze,
                              const char **why)
{
	*why = record->detail;
	if (record->refused != REASON_NONE)
		return record->refused;
	if (!record->value.at)
		return REASON_NULL_VALUE;
	if (!bronze_decode(record->body, bronze, why))
		return REASON_MALFORMED_AVRO;
	*why = unreadable_text(bronze);
	return *why ? REASON_MALFORMED_AVRO : REASON_NONE;
}

static bool add_bronze(struct lake_sheet sheets[LAKE_TABLE_COUNT],
                       const struct input_record *record, int32_t batch, struct lake_stream *stream,
                       enum lake_table *table, struct err *err)
{
	struct control control =
		record->value.at ? (struct control){CONTROL_NONE, 0} : control_read(record);
	struct bronze_event bronze;
	struct clock_event at;
	enum reason reason;
	const char *why;

	if (control.kind != CONTROL_NONE) {
		follow_control(stream, record, control);
		*table = LAKE_CONTROLS;
		return add_control(&sheets[*table], record, batch, err);
	}
	reason = read_event(record, &bronze, &why);
	if (reason != REASON_NONE) {
		*table = LAKE_DEAD_LETTERS;
		return add_unreadable(&sheets[*table], record, reason, why, batch, err);
	}
	at = bronze_clock_event(&bronze, record->timestamp_ms);
	clock_follow(&stream->clock, &at);
	return add_event(&sheets[LAKE_BRONZE], record, &bronze, batch, stream, err);
}

static bool add_late(struct lake_sheet sheets[LAKE_TABLE_COUNT], const struct input_record *record,
                     int32_t batch, enum lake_table *table, struct err *err)
{
	struct bronze_event bronze;
	const char *why;
	enum reason reason = read_event(record, &bronze, &why);

	if (reason == REASON_NONE)
		return add_event(&sheets[LAKE_LATE_EVENTS], record, &bronze, batch, NULL, err);
	*table = LAKE_DEAD_LETTERS;
	return add_unreadable(&sheets[*table], record, reason, why, batch, err);
}

static bool add_counts_record(struct lake_sheet sheets[LAKE_TABLE_COUNT],
                              const struct input_record *record, int32_t batch,
                              enum lake_table *table, struct err *err)
{
	struct counts_record counts;
	int64_t unknown_dead;
	const char *why = record->detail;
	enum reason reason = record->refused;

	if (reason == REASON_NONE && !counts_decode(record->body, &counts, &unknown_dead, &why))
		reason = REASON_MALFORMED_AVRO;
	if (reason == REASON_NONE)
		return add_counts(&sheets[LAKE_COUNTS], record, &counts, batch, err);
	*table = LAKE_DEAD_LETTERS;
	return add_unreadable(&sheets[*table], record, reason, why, batch, err);
}

bool lake_rows_add(struct lake_sheet sheets[LAKE_TABLE_COUNT], enum topic_id topic,
                   const struct input_record *record, int32_t batch, struct lake_stream *stream,
                   enum lake_table *table, struct err *err)
{
	switch (topic) {
	case TOPIC_BRONZE_EVENTS:
		*table = LAKE_BRONZE;
		return add_bronze(sheets, record, batch, stream, table, err);
	case TOPIC_LATE_EVENTS:
		*table = LAKE_LATE_EVENTS;
		return add_late(sheets, record, batch, table, err);
	case TOPIC_COUNTS:
		*table = LAKE_COUNTS;
		return add_counts_record(sheets, record, batch, table, err);
	default:
		*table = LAKE_DEAD_LETTERS;
		return add_dead_letter(&sheets[*table], record, batch, err);
	}
}
