/* A record that is certain to be refused again is not sent: it would only become one more dead
 * letter. Certain is a refusal that follows from the bytes alone (by the parser of bronze-sink),
 * and an event older than the horizon before a clock that can only have advanced since. bronze-sink
 * decides whether an event is a duplicate, or still too far ahead.
 *
 * An event goes to the partition of its own session, not to that of its key: `wrong_partition`
 * comes from writers whose keys or partitioner are wrong, and such a record would be refused each
 * time. The key is not changed; bronze-sink makes its own.
 *
 * Rejected for the ledger: committed offsets of a consumer group (a selection is not a prefix of
 * the log); a compacted topic of its own (one more topic to make, keep and read); only the header
 * in the raw topic (that complete topic would have to be read).
 *
 * Limits: partitions up to 65,535 and offsets below 2^48, because both share a 64-bit key of the
 * ledger. */
#include "redrive_rules.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/number.h"
#include "event/event.h"
#include "wire/frame.h"
#include "wire/partitioner.h"
#include "wire/topics.h"

static const struct {
	const char *text, *advice;
} results[REDRIVE_RESULT_COUNT] = {
#define REDRIVE_ROW(id, text, advice) {text, advice},
	REDRIVE_RESULTS(REDRIVE_ROW)
#undef REDRIVE_ROW
};

const char *redrive_result_text(enum redrive_result result)
{
	return results[result].text;
}

const char *redrive_result_advice(enum redrive_result result)
{
	return results[result].advice;
}

/* ---- the ledger */

static uint64_t place_key(int32_t partition, int64_t offset)
{
	return (uint64_t)partition << 48 | (uint64_t)offset;
}

static int by_key(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void redrive_ledger_free(struct redrive_ledger *ledger)
{
	free(ledger->at);
	*ledger = (struct redrive_ledger){0};
}

void redrive_ledger_add(struct redrive_ledger *ledger, int32_t partition, int64_t offset)
{
	GROW(ledger->at, ledger->count, ledger->capacity);
	ledger->at[ledger->count++] = place_key(partition, offset);
	ledger->sorted = false;
}

bool redrive_ledger_has(struct redrive_ledger *ledger, int32_t partition, int64_t offset)
{
	uint64_t key = place_key(partition, offset);

	if (ledger->count == 0)
		return false;
	if (!ledger->sorted)
		qsort(ledger->at, ledger->count, sizeof(*ledger->at), by_key);
	ledger->sorted = true;
	return bsearch(&key, ledger->at, ledger->count, sizeof(*ledger->at), by_key) != NULL;
}

/* ---- the selection */

#define SEPARATORS ", \t\n"

bool redrive_reasons_parse(const char *text, struct redrive_selection *selection, struct err *err)
{
	memset(selection->reasons, 0, sizeof(selection->reasons));
	selection->any_reason = true;
	for (text += strspn(text, SEPARATORS); *text; text += strspn(text, SEPARATORS)) {
		struct span name = {text, strcspn(text, SEPARATORS)};
		enum reason reason = reason_from_name(name);

		if (reason == REASON_COUNT || reason == REASON_NONE)
			return err_set(
				err, ERR_INPUT,
				"'%.*s' is not a reason code: expected codes such as invalid_price "
				"or wrong_partition",
				(int)(name.len < 60 ? name.len : 60), name.at);
		selection->reasons[reason] = true;
		selection->any_reason = false;
		text += name.len;
	}
	return true;
}

static bool range_parse(struct span text, struct redrive_range *range)
{
	const char *colon = memchr(text.at, ':', text.len), *dash;
	struct span partition = {text.at, colon ? (size_t)(colon - text.at) : text.len}, first,
		    last;
	int64_t number;

	if (!number_parse_span(partition, INT32_MAX, &number))
		return false;
	*range = (struct redrive_range){(int32_t)number, 0, INT64_MAX};
	if (!colon)
		return true;
	first = (struct span){colon + 1, text.len - partition.len - 1};
	dash = memchr(first.at, '-', first.len);
	last = dash ? (struct span){dash + 1, first.len - (size_t)(dash + 1 - first.at)}
	            : SPAN_NULL;
	if (dash)
		first.len = (size_t)(dash - first.at);
	if (!number_parse_span(first, INT64_MAX, &range->first))
		return false;
	if (!dash)
		range->last = range->first;
	else if (last.len && !number_parse_span(last, INT64_MAX, &range->last))
		return false;
	return range->first <= range->last;
}

bool redrive_ranges_parse(const char *text, struct redrive_ranges *ranges, struct err *err)
{
	ranges->count = 0;
	for (text += strspn(text, SEPARATORS); *text; text += strspn(text, SEPARATORS)) {
		struct span one = {text, strcspn(text, SEPARATORS)};

		if (ranges->count == REDRIVE_RANGES_MAX)
			return err_set(err, ERR_INPUT, "expected at most %d ranges",
			               REDRIVE_RANGES_MAX);
		if (!range_parse(one, &ranges->at[ranges->count++]))
			return err_set(
				err, ERR_INPUT,
				"'%.*s': expected 2 (a partition), 2:17 (one offset), 2:17-90 or "
				"2:17-",
				(int)(one.len < 60 ? one.len : 60), one.at);
		text += one.len;
	}
	return true;
}

static bool in_ranges(const struct redrive_ranges *ranges, int32_t partition, int64_t offset)
{
	for (int i = 0; i < ranges->count; i++)
		if (ranges->at[i].partition == partition && offset >= ranges->at[i].first &&
		    offset <= ranges->at[i].last)
			return true;
	return ranges->count == 0;
}

static bool is_selected(const struct redrive_selection *selection,
                        const struct input_record *record, const struct dead_letter *dead_letter)
{
	enum reason reason = reason_from_name(dead_letter->reason);
	int64_t time_us = record->timestamp_ms * 1000;

	return (selection->any_reason || (reason != REASON_COUNT && selection->reasons[reason])) &&
	       time_us >= selection->since_us && time_us < selection->until_us &&
	       in_ranges(&selection->source, dead_letter->source_partition,
	                 dead_letter->source_offset) &&
	       in_ranges(&selection->dead_letters, record->partition, record->offset);
}

/* ---- classification */

static bool own_header(const struct input_record *record, const struct dead_letter *dead_letter,
                       const char *name)
{
	struct input_record own = *record;

	own.header_count = dead_letter->own_headers;
	return record_header(&own, name).at != NULL;
}

/* Why bronze-sink would refuse the bytes, and the partition of the event. */
static enum reason check_value(struct event_parser *parser, const struct input_record *record,
                               int32_t raw_partitions, struct redrive_decision *decision)
{
	struct span body = record->value;
	struct event event;
	char key[32];
	int32_t schema_id;
	enum reason reason;

	decision->target = record->key.at ? partition_of(record->key, raw_partitions)
	                                  : decision->dead_letter.source_partition % raw_partitions;
	if (own_header(record, &decision->dead_letter, "source_error"))
		return REASON_MALFORMED_SOURCE_ROW;
	if (own_header(record, &decision->dead_letter, "unmapped_event_type"))
		return REASON_UNMAPPED_EVENT_TYPE;
	if (body.len && body.at[0] == '\0' &&
	    frame_parse(record->value, &schema_id, &body) != FRAME_ID)
		return REASON_UNKNOWN_SCHEMA_ID;
	reason = event_parse_json(parser, body, &event, NULL, 0);
	if (reason != REASON_NONE)
		return reason;
	decision->target = partition_of(event_session_key(&event, key), raw_partitions);
	decision->event_time_us = event.event_time_us;
	return REASON_NONE;
}

static enum redrive_result classify_source(const struct redrive_params *params,
                                           const struct input_record *record,
                                           const struct dead_letter *dead_letter)
{
	if (span_equal(dead_letter->source_topic, params->bronze_topic))
		return REDRIVE_FROM_BRONZE;
	if (span_equal(dead_letter->source_topic, params->partials_topic))
		return REDRIVE_FROM_PARTIALS;
	if (!span_equal(dead_letter->source_topic, params->raw_topic))
		return REDRIVE_OTHER_SET;
	if (own_header(record, dead_letter, "control"))
		return REDRIVE_CONTROL;
	return record->value.at ? REDRIVE_SEND : REDRIVE_NO_BYTES;
}

/* The check of bronze-sink, on a copy of the clock. No user has the id 0. */
static bool is_ahead(struct partition_clock clock, const struct input_record *record,
                     const struct redrive_decision *decision, int64_t now_us)
{
	const struct clock_event event = {decision->event_time_us, 0, now_us, CLOCK_NONE};

	return record_header(record, CLOCK_HEADER_REFUTED).at ||
	       clock_check(&clock, &event) != CLOCK_FITS;
}

static enum redrive_result classify_event(const struct redrive_params *params,
                                          struct event_parser *parser,
                                          const struct input_record *record,
                                          struct redrive_decision *decision)
{
	const struct partition_clock *clock;

	if (record->value.len > EVENT_VALUE_MAX)
		return REDRIVE_TOO_LARGE;
	decision->refused = check_value(parser, record, params->raw_partitions, decision);
	if (decision->refused != REASON_NONE)
		return params->send_refused ? REDRIVE_SEND : REDRIVE_REFUSED;
	clock = &params->clocks[decision->target];
	decision->ahead = is_ahead(*clock, record, decision, params->now_us);
	if (params->horizon_us > 0 && clock_now(clock) != CLOCK_NONE &&
	    decision->event_time_us < clock_now(clock) - params->horizon_us)
		return REDRIVE_TOO_OLD;
	return REDRIVE_SEND;
}

void redrive_classify(const struct redrive_params *params, struct redrive_ledger *ledger,
                      struct event_parser *parser, const struct input_record *record,
                      struct redrive_decision *decision)
{
	int32_t partition;
	int64_t offset;

	*decision = (struct redrive_decision){.result = REDRIVE_MARKER};
	if (redrive_marker_read(record, &partition, &offset))
		return;
	decision->result = REDRIVE_UNREADABLE;
	if (!dead_letter_read(record, &decision->dead_letter))
		return;
	decision->result = REDRIVE_NOT_SELECTED;
	if (!is_selected(&params->selection, record, &decision->dead_letter))
		return;
	decision->result = classify_source(params, record, &decision->dead_letter);
	if (decision->result == REDRIVE_SEND &&
	    redrive_ledger_has(ledger, record->partition, record->offset))
		decision->result = REDRIVE_BEFORE;
	if (decision->result == REDRIVE_SEND)
		decision->result = classify_event(params, parser, record, decision);
}

/* ---- sending */

void redrive_emit(struct outbox *out, const struct redrive_decision *decision,
                  const struct input_record *record)
{
	struct header headers[REDRIVE_HEADERS_MAX + 1];
	char place[48];
	struct span place_span = {place,
	                          (size_t)snprintf(place, sizeof(place), "%" PRId32 "/%" PRId64,
	                                           record->partition, record->offset)};
	size_t count = 0;

	for (size_t i = 0; i < decision->dead_letter.own_headers && count < REDRIVE_HEADERS_MAX;
	     i++)
		if (!span_is(record->headers[i].name, REDRIVE_HEADER_FROM))
			headers[count++] = record->headers[i];
	headers[count++] = (struct header){SPAN(REDRIVE_HEADER_FROM), place_span};
	outbox_add(out, TOPIC_RAW_EVENTS, decision->target, record->key, record->value, headers,
	           count);
	memcpy(headers, record->headers + decision->dead_letter.own_headers,
	       DEAD_LETTER_HEADERS * sizeof(*headers));
	headers[DEAD_LETTER_HEADERS] = (struct header){SPAN(REDRIVE_HEADER_MARKER), place_span};
	outbox_add(out, TOPIC_DEAD_LETTER, record->partition, record->key, SPAN_NULL, headers,
	           DEAD_LETTER_HEADERS + 1);
}

int64_t redrive_horizon(const char *fingerprint)
{
	static const char name[] = "horizon_us=";
	const char *at = strstr(fingerprint, name);
	int64_t horizon_us;

	if (!at)
		return 0;
	at += sizeof(name) - 1;
	return number_take(&at, &horizon_us) ? horizon_us : 0;
}
