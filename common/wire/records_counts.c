/* The codec of the counts. Fields are in the order of schemas/counts.avsc. The map of dead letters
 * by reason has the reasons that occurred, in the order of the enum, as one block:
 *
 *   number of entries as long | name, count | ... | 0
 *
 * A block may also have its size: the number of entries is negative, and the size in bytes follows
 * as long. The decoder reads this form; the encoder does not write it. Names are texts, so a reader
 * may get reasons of newer versions. */
#include "wire/records_counts.h"

#include "wire/avro_io.h"
#include "wire/frame.h"

static int64_t dead_total(const struct counts *counts, size_t *reasons, size_t *name_bytes)
{
	int64_t total = 0;

	for (int i = 0; i < REASON_COUNT; i++) {
		if (counts->dead[i] == 0)
			continue;
		total += counts->dead[i];
		*reasons += 1;
		*name_bytes += strlen(reason_name((enum reason)i));
	}
	return total;
}

static char *put_dead_by_reason(char *at, const struct counts *counts, size_t reasons)
{
	if (reasons > 0)
		at = avro_put_long(at, (int64_t)reasons);
	for (int i = 0; i < REASON_COUNT; i++) {
		if (counts->dead[i] == 0)
			continue;
		at = avro_put_text(at, span_of(reason_name((enum reason)i)));
		at = avro_put_long(at, counts->dead[i]);
	}
	return avro_put_long(at, 0);
}

void counts_encode(struct buffer *out, int32_t schema_id, const struct counts_record *record)
{
	const struct counts *counts = &record->counts;
	size_t reasons = 0, name_bytes = 0;
	int64_t dead = dead_total(counts, &reasons, &name_bytes);
	char *at;

	buffer_reserve(out, FRAME_BYTES + (11 + 2 * reasons) * AVRO_LONG_MAX_BYTES + name_bytes +
	                            record->service.len + record->topic.len);
	at = avro_put_frame(out->at + out->len, schema_id);
	at = avro_put_text(at, record->service);
	at = avro_put_text(at, record->topic);
	at = avro_put_long(at, record->partition);
	at = avro_put_long(at, counts->records_in);
	at = avro_put_long(at, counts->records_out);
	at = avro_put_long(at, counts->duplicates);
	at = avro_put_long(at, counts->late);
	at = avro_put_long(at, dead);
	at = put_dead_by_reason(at, counts, reasons);
	at = avro_put_long(at, record->revision);
	out->len = (size_t)(at - out->at);
}

static enum reason reason_of(struct span name)
{
	for (int i = 0; i < REASON_COUNT; i++)
		if (span_is(name, reason_name((enum reason)i)))
			return (enum reason)i;
	return REASON_COUNT;
}

/* Takes one entry. A known reason may come only once. */
static void take_dead_entry(struct avro_in *in, struct counts *counts, int64_t *unknown,
                            int64_t *total)
{
	struct span name = avro_take_text(in, AVRO_TEXT_MAX, "dead_by_reason");
	int64_t count = avro_take_count(in, "dead_by_reason");
	enum reason reason = reason_of(name);

	if (count > INT64_MAX - *total || (reason != REASON_COUNT && counts->dead[reason] != 0)) {
		avro_fail(in, "dead_by_reason");
		return;
	}
	*total += count;
	if (reason == REASON_COUNT)
		*unknown += count;
	else
		counts->dead[reason] = count;
}

/* An entry has at least two bytes. So a number of entries that the body cannot have fails early. */
static int64_t take_dead_by_reason(struct avro_in *in, struct counts *counts, int64_t *unknown)
{
	int64_t total = 0, entries;

	memset(counts->dead, 0, sizeof(counts->dead));
	*unknown = 0;
	while ((entries = avro_take_long(in, -INT32_MAX, INT32_MAX, "dead_by_reason")) != 0) {
		if (entries < 0) {
			entries = -entries;
			avro_take_count(in, "dead_by_reason"); /* the block's size */
		}
		for (; entries > 0 && !in->why; entries--)
			take_dead_entry(in, counts, unknown, &total);
	}
	return total;
}

bool counts_decode(struct span body, struct counts_record *record, int64_t *unknown_dead,
                   const char **why)
{
	struct avro_in in = avro_in_of(body);
	struct counts *counts = &record->counts;
	int64_t dead, by_reason;

	record->service = avro_take_text(&in, AVRO_TEXT_MAX, "service");
	record->topic = avro_take_text(&in, AVRO_TEXT_MAX, "topic");
	record->partition = (int32_t)avro_take_long(&in, 0, INT32_MAX, "partition");
	counts->records_in = avro_take_count(&in, "records_in");
	counts->records_out = avro_take_count(&in, "records_out");
	counts->duplicates = avro_take_count(&in, "duplicates");
	counts->late = avro_take_count(&in, "late");
	dead = avro_take_count(&in, "dead");
	by_reason = take_dead_by_reason(&in, counts, unknown_dead);
	if (dead != by_reason)
		avro_fail(&in, "dead");
	record->revision = avro_take_long(&in, INT64_MIN, INT64_MAX, "revision");
	return avro_in_finish(&in, why);
}
