/* The order of the checks is fixed: the frame, the value, the partition of the key, the event time
 * (too far ahead, or too old to be recognised as a duplicate), and then whether it is a duplicate.
 *
 * The clock moves to the time that a record announces before the record is checked. So each row is
 * checked as if the set had one partition. Without an announced time, only accepted events move the
 * clock. An event older than the horizon becomes a dead letter without its bytes, because it mostly
 * comes from a second replay of a complete month. Limit: with DEDUP_KEY=source, a duplicate is
 * recognised only if its row has the same event time. */
#include "bronze_fold.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/memory.h"
#include "base/number.h"
#include "base/span.h"
#include "base/timetext.h"
#include "base/utf8.h"
#include "dedup.h"
#include "event/clock.h"
#include "event/event.h"
#include "event/event_id.h"
#include "event/event_json_library.h"
#include "event/event_values.h"
#include "event/reason.h"
#include "stream/control.h"
#include "stream/dead_letter.h"
#include "stream/outbox.h"
#include "stream/record.h"
#include "stream/trace_headers.h"
#include "wire/partitioner.h"
#include "wire/records_bronze.h"
#include "wire/records_counts.h"
#include "wire/schemas.h"
#include "wire/topics.h"

#define SOURCE_ROW_DIGITS_MAX 18
#define CONTROL_HEADERS_MAX   32 /* a control has three headers */
/* bytes of its headers: the copy must fit wherever the control did */
#define CONTROL_BYTES_MAX 65536

struct bronze_fold {
	const struct bronze_fold_config *config;
	struct partition_clock clock;
	struct dedup *dedup;
	struct event_parser *parser;
	struct event_parser *loose_parser; /* for records that were accepted by other rules */
	struct buffer value;
	int32_t partition;
	int64_t forgotten_until_us;
};

static void *fold_new(const void *config, int32_t partition)
{
	struct bronze_fold *fold = xrealloc(NULL, sizeof(*fold));
	struct event_rules loose;

	*fold = (struct bronze_fold){.config = config,
	                             .partition = partition,
	                             .forgotten_until_us = INT64_MIN};
	clock_init(&fold->clock);
	fold->dedup = dedup_new(fold->config->dedup_horizon_us);
	fold->parser = event_parser_new(fold->config->rules);
	event_rules_loosen(event_parser_rules(fold->parser), &loose);
	fold->loose_parser = event_parser_new(&loose);
	return fold;
}

static void fold_free(void *state)
{
	struct bronze_fold *fold = state;

	dedup_free(fold->dedup);
	event_parser_free(fold->parser);
	event_parser_free(fold->loose_parser);
	buffer_free(&fold->value);
	free(fold);
}

static int64_t oldest_known_us(const struct bronze_fold *fold)
{
	int64_t now_us = clock_now(&fold->clock);

	return now_us == CLOCK_NONE ? INT64_MIN : now_us - fold->config->dedup_horizon_us;
}

/* The source headers are for people; an invalid one counts as absent. */
static int64_t row_number(struct span text)
{
	int64_t row;

	return text.len <= SOURCE_ROW_DIGITS_MAX && number_parse_span(text, INT64_MAX, &row) ? row
	                                                                                     : 0;
}

static bool is_text(struct span text)
{
	return text.at && text.len > 0 && text.len <= EVENT_TEXT_MAX &&
	       utf8_valid_length(text) == text.len && !memchr(text.at, '\0', text.len);
}

static struct lineage lineage_of(const struct input_record *record)
{
	struct span file = record_header(record, "source_file");

	return (struct lineage){
		.source_file = is_text(file) ? file : SPAN_NULL,
		.source_row = row_number(record_header(record, "source_row")),
		.raw_offset = record->offset,
		.raw_time_ms = record->timestamp_ms,
		.source_clock_us = CLOCK_NONE,
		.raw_partition = record->partition,
	};
}

/* The time that the record announces, at most its own; CLOCK_NONE: it has none that can be read.
 * event: NULL if it was refused. */
static int64_t announced_time(const struct input_record *record, const struct event *event)
{
	struct span header = record_header(record, CLOCK_HEADER_SOURCE);
	int64_t time_us, record_us = record->timestamp_ms * 1000;

	if (!header.at)
		return CLOCK_NONE;
	if (header.len > 0) {
		if (!time_parse(header, &time_us))
			return CLOCK_NONE;
	} else if (event) {
		time_us = event->event_time_us;
	} else {
		return CLOCK_NONE;
	}
	return time_us < record_us ? time_us : record_us;
}

#define QUOTED_MAX 64

/* Writes a label and the value, as printable ASCII within quotes. */
static void format_quoted(const char *label, struct span value, char *out, size_t cap)
{
	char text[QUOTED_MAX + 1];
	size_t len = value.len < QUOTED_MAX ? value.len : QUOTED_MAX;

	for (size_t i = 0; i < len; i++)
		text[i] = value.at[i] >= ' ' && value.at[i] <= '~' ? value.at[i] : '?';
	text[len] = '\0';
	snprintf(out, cap, "%s '%s'%s", label, text, len < value.len ? "..." : "");
}

/* Checks the value, without the state of the partition. */
static enum reason read_event(struct bronze_fold *fold, const struct input_record *record,
                              struct event *event, char *detail, size_t cap)
{
	struct span source_error = record_header(record, "source_error"),
		    unmapped = record_header(record, "unmapped_event_type");

	if (record->refused != REASON_NONE) {
		snprintf(detail, cap, "%s", record->detail ? record->detail : "");
		return record->refused;
	}
	if (!record->value.at)
		return REASON_NULL_VALUE;
	if (source_error.at) {
		snprintf(detail, cap, "%.*s",
		         (int)(source_error.len < 200 ? source_error.len : 200), source_error.at);
		return REASON_MALFORMED_SOURCE_ROW;
	}
	if (unmapped.at) {
		format_quoted("event_type is", unmapped, detail, cap);
		return REASON_UNMAPPED_EVENT_TYPE;
	}
	return event_parse_json(record->earlier == EARLIER_NONE ? fold->parser : fold->loose_parser,
	                        record->body, event, detail, cap);
}

static const char *clock_text(const struct bronze_fold *fold, char text[32])
{
	if (clock_now(&fold->clock) == CLOCK_NONE)
		return "not set";
	time_format_iso(clock_now(&fold->clock), text);
	return text;
}

static struct clock_event clock_event_of(const struct input_record *record,
                                         const struct event *event, int64_t announced_us)
{
	return (struct clock_event){event->event_time_us, event->user_id,
	                            record->timestamp_ms * 1000, announced_us};
}

/* Checks the event time against the record, the source and the clock of the partition. */
static enum reason check_ahead(struct bronze_fold *fold, const struct input_record *record,
                               const struct event *event, int64_t announced_us, char *detail,
                               size_t cap)
{
	struct clock_event at = clock_event_of(record, event, announced_us);
	enum clock_result result = clock_check(&fold->clock, &at);
	bool refuted = record_header(record, CLOCK_HEADER_REFUTED).at != NULL;
	char time[32], now[32];

	if (result != CLOCK_AFTER_RECORD && !refuted && result != CLOCK_TOO_FAR)
		return REASON_NONE;
	time_format_iso(event->event_time_us, time);
	if (result == CLOCK_AFTER_RECORD) {
		time_format_iso(record->timestamp_ms * 1000, now);
		snprintf(detail, cap,
		         "event_time %s is more than 5 minutes after the record's own time %s",
		         time, now);
	} else if (refuted) {
		snprintf(detail, cap,
		         "event_time %s, clock %s: most of the next rows of its source are more "
		         "than a day before it",
		         time, clock_text(fold, now));
	} else {
		snprintf(detail, cap,
		         "event_time %s is more than 31 days after the partition's clock %s, and "
		         "no other user confirms it",
		         time, clock_text(fold, now));
	}
	return REASON_FUTURE_EVENT_TIME;
}

/* The session of an event never begins with "user:". */
static bool key_is_of_user(struct span key)
{
	return key.len > 5 && memcmp(key.at, "user:", 5) == 0;
}

/* Writes why the record is not in the partition of its event's key, and what to do. */
static void explain_partition(const struct bronze_fold *fold, const struct input_record *record,
                              struct span key, int32_t home, char *detail, size_t cap)
{
	const struct event_rules *rules = event_parser_rules(fold->parser);
	int len = snprintf(detail, cap, "key belongs to partition %" PRId32 " of %" PRId32 ": ",
	                   home, fold->config->partition_count);

	detail += len, cap -= (size_t)len;
	if (key_is_of_user(key) && null_words_has(&rules->null_words, record->key)) {
		format_quoted("the key is the null word", record->key, detail, cap);
		len = (int)strlen(detail);
		snprintf(detail + len, cap - (size_t)len,
		         ": use user:<user_id> as the key of an event without a session");
	} else if (span_equal(record->key, key)) {
		snprintf(detail, cap, "use the partitioner murmur2, as Java clients do");
	} else {
		snprintf(detail, cap,
		         "use the user_session as the key, or user:<user_id> without one");
	}
}

/* Checks a valid event against the partition and its clock. */
static enum reason check_in_partition(struct bronze_fold *fold, const struct input_record *record,
                                      const struct event *event, int64_t announced_us,
                                      struct span key, char *detail, size_t cap)
{
	int32_t home = partition_of(key, fold->config->partition_count);
	enum reason reason;

	if (home != record->partition && record->earlier != EARLIER_ACCEPTED) {
		explain_partition(fold, record, key, home, detail, cap);
		return REASON_WRONG_PARTITION;
	}
	reason = check_ahead(fold, record, event, announced_us, detail, cap);
	if (reason != REASON_NONE && record->earlier != EARLIER_ACCEPTED)
		return reason;
	return event->event_time_us < oldest_known_us(fold) ? REASON_TOO_LATE_TO_DEDUPLICATE
	                                                    : REASON_NONE;
}

static bool control_fits(const struct input_record *record)
{
	struct header_list headers = record_headers(record);
	size_t bytes = 0;

	for (size_t i = 0; i < headers.count; i++)
		bytes += headers.at[i].name.len + headers.at[i].value.len;
	return headers.count <= CONTROL_HEADERS_MAX && bytes <= CONTROL_BYTES_MAX;
}

/* Forwards a control unchanged, except for an announced time later than the time of its record,
 * which is replaced by that time. Reason: the copy gets a later time of its own, so readers of
 * bronze_events would set their clock ahead of ours. The copy also has its offset in the raw topic:
 * the rows of a segment are between its begin and its end. And it has the partition's number of
 * repeats with another price so far. The difference between begin and end is the number of the
 * segment; no other record has this number. */
static void forward_control(const struct input_record *record, int64_t announced_us,
                            const struct counts *counts, struct outbox *out)
{
	struct header_list from = record_headers(record);
	struct header headers[CONTROL_HEADERS_MAX + 2];
	char time[32], offset[24], repeats[24];
	int offset_len = snprintf(offset, sizeof(offset), "%" PRId64, record->offset);
	int repeats_len =
		snprintf(repeats, sizeof(repeats), "%" PRId64, counts->duplicates_other_price);
	struct span record_time = {time, time_format_iso(record->timestamp_ms * 1000, time)};

	for (size_t i = 0; i < from.count; i++) {
		headers[i] = from.at[i];
		if (announced_us > record->timestamp_ms * 1000 &&
		    span_is(headers[i].name, "event_time"))
			headers[i].value = record_time;
	}
	headers[from.count] = (struct header){SPAN("raw_offset"), {offset, (size_t)offset_len}};
	headers[from.count + 1] =
		(struct header){SPAN("duplicates_other_price"), {repeats, (size_t)repeats_len}};
	outbox_add(out, TOPIC_BRONZE_EVENTS, record->partition, SPAN_NULL, SPAN_NULL, headers,
	           from.count + 2);
}

static int64_t apply_control(struct bronze_fold *fold, const struct input_record *record,
                             struct control control, struct counts *counts, struct outbox *out)
{
	if (control.kind == CONTROL_INVALID || record->value.at || !control_fits(record)) {
		counts->records_in++;
		output_dead_letter(out, fold->config->outputs, record, REASON_INVALID_CONTROL,
		                   record->value.at ? "a control has no value" : NULL, false,
		                   counts);
		return FOLD_NOTHING;
	}
	if (control.kind != CONTROL_END)
		clock_announce(&fold->clock, control.event_time_us, record->timestamp_ms * 1000);
	if (out)
		forward_control(record,
		                control.kind == CONTROL_END ? INT64_MIN : control.event_time_us,
		                counts, out);
	return FOLD_NOTHING;
}

static void emit(struct bronze_fold *fold, const struct input_record *record,
                 const struct bronze_event *bronze, struct span key, struct outbox *out)
{
	struct header trace[TRACE_HEADERS];
	size_t trace_count = trace_headers_read(record, trace);

	fold->value.len = 0;
	bronze_encode(&fold->value, fold->config->outputs->schema_id[SCHEMA_BRONZE], bronze);
	outbox_add(out, TOPIC_BRONZE_EVENTS, fold->partition, key,
	           (struct span){fold->value.at, fold->value.len}, trace, trace_count);
}

/* Forgetting reads the complete ring, so it is done once per hour of event time. */
static void forget_old(struct bronze_fold *fold)
{
	int64_t oldest_us = oldest_known_us(fold);

	if (oldest_us == INT64_MIN || oldest_us < fold->forgotten_until_us + US_PER_HOUR)
		return;
	dedup_forget(fold->dedup, oldest_us);
	fold->forgotten_until_us = time_floor(oldest_us, US_PER_HOUR);
}

/* Repeats the effects of a record that was refused when it was first folded: on the counts, and on
 * the clock if its event could be read. */
static int64_t apply_refused(struct bronze_fold *fold, const struct input_record *record,
                             struct counts *counts)
{
	enum reason reason =
		record->refused != REASON_NONE ? record->refused : record->earlier_reason;
	bool reached_clock =
		     reason == REASON_FUTURE_EVENT_TIME || reason == REASON_TOO_LATE_TO_DEDUPLICATE,
	     was_read = reached_clock || reason == REASON_WRONG_PARTITION;
	struct event event;
	char detail[256];
	int64_t announced_us;

	counts->dead[reason]++;
	was_read =
		was_read && read_event(fold, record, &event, detail, sizeof(detail)) == REASON_NONE;
	announced_us = announced_time(record, was_read ? &event : NULL);
	clock_announce(&fold->clock, announced_us, INT64_MAX);
	if (was_read && reached_clock)
		check_ahead(fold, record, &event, announced_us, detail, sizeof(detail));
	return FOLD_NOTHING;
}

/* Adds the event to the known ones, or counts it as a duplicate. */
static bool is_repeat(struct bronze_fold *fold, const struct bronze_event *bronze,
                      struct counts *counts)
{
	enum dedup_result result = dedup_add(fold->dedup, bronze->event.event_time_us,
	                                     bronze->event_id, bronze->event.price_cents);

	counts->duplicates += result != DEDUP_NEW;
	counts->duplicates_other_price += result == DEDUP_OTHER_PRICE;
	return result != DEDUP_NEW;
}

static void count_unreadable(const struct event *event, struct counts *counts)
{
	for (int i = 0; event->unreadable && i < EVENT_FIELD_COUNT; i++)
		counts->unreadable[i] += event->unreadable >> i & 1;
}

static int64_t fold_apply(void *state, const struct input_record *record, struct counts *counts,
                          struct outbox *out)
{
	struct bronze_fold *fold = state;
	struct control control = control_read(record);
	struct bronze_event bronze;
	char key_buffer[32], detail[256] = "";
	struct span key;
	struct clock_event accepted;
	int64_t announced_us;
	enum reason reason;

	if (control.kind != CONTROL_NONE && record->earlier != EARLIER_REFUSED)
		return apply_control(fold, record, control, counts, out);
	counts->records_in++;
	if (record->earlier == EARLIER_REFUSED)
		return apply_refused(fold, record, counts);
	reason = read_event(fold, record, &bronze.event, detail, sizeof(detail));
	announced_us = announced_time(record, reason == REASON_NONE ? &bronze.event : NULL);
	clock_announce(&fold->clock, announced_us, INT64_MAX);
	if (reason == REASON_NONE) {
		key = event_session_key(&bronze.event, key_buffer);
		reason = check_in_partition(fold, record, &bronze.event, announced_us, key, detail,
		                            sizeof(detail));
	}
	if (reason != REASON_NONE) {
		output_dead_letter(out, fold->config->outputs, record, reason, detail,
		                   reason == REASON_TOO_LATE_TO_DEDUPLICATE, counts);
		return FOLD_NOTHING;
	}
	bronze.lineage = lineage_of(record);
	bronze.lineage.source_clock_us = announced_us;
	if (fold->config->dedup_by_source && bronze.lineage.source_file.at)
		event_id_source(&bronze.lineage, bronze.event_id);
	else
		event_id_content(&bronze.event, bronze.event_id);
	if (is_repeat(fold, &bronze, counts))
		return FOLD_NOTHING;
	accepted = clock_event_of(record, &bronze.event, announced_us);
	clock_accept(&fold->clock, &accepted);
	forget_old(fold);
	counts->records_out++;
	count_unreadable(&bronze.event, counts);
	if (out)
		emit(fold, record, &bronze, key, out);
	return bronze.event.event_time_us;
}

static void fold_flush(void *state, struct outbox *out)
{
	(void)state; /* every output is made by fold_apply */
	(void)out;
}

static void fold_restored(void *state)
{
	(void)state;
}

static int64_t fold_horizon(const void *state)
{
	return oldest_known_us(state);
}

static size_t fold_snapshot(const void *state, char out[FOLD_SNAPSHOT_MAX])
{
	const struct bronze_fold *fold = state;

	return clock_format(&fold->clock, out);
}

static bool fold_restore_snapshot(void *state, struct span snapshot, struct err *err)
{
	struct bronze_fold *fold = state;

	return clock_parse(snapshot, &fold->clock) ||
	       err_set(err, ERR_OPERATOR, "the restore metadata has no valid clock: '%.*s'",
	               (int)snapshot.len, snapshot.at);
}

static void fold_measure(const void *state, struct fold_measures *out)
{
	const struct bronze_fold *fold = state;

	*out = (struct fold_measures){.clock_us = clock_now(&fold->clock),
	                              .watermark_us = INT64_MIN,
	                              .entries = dedup_count(fold->dedup),
	                              .bytes = dedup_bytes(fold->dedup)};
}

static void fold_dump(const void *state, struct buffer *out)
{
	const struct bronze_fold *fold = state;
	int64_t oldest_us = oldest_known_us(fold);
	char line[256];
	size_t len = clock_format(&fold->clock, line);

	/* Without the hour that the horizon cuts: after a restore its older part may be missing. */
	len += (size_t)snprintf(line + len, sizeof(line) - len, " ids=%016" PRIx64 "\n",
	                        dedup_digest(fold->dedup, oldest_us == INT64_MIN
	                                                          ? INT64_MIN / 2
	                                                          : oldest_us + US_PER_HOUR));
	buffer_append(out, line, len);
}

const struct fold_ops bronze_fold_ops = {
	.name = "bronze-sink",
	.new = fold_new,
	.free = fold_free,
	.apply = fold_apply,
	.flush = fold_flush,
	.restored = fold_restored,
	.horizon = fold_horizon,
	.snapshot = fold_snapshot,
	.restore_snapshot = fold_restore_snapshot,
	.measure = fold_measure,
	.dump = fold_dump,
};
