/* The codec of the counts. Fields are in the order of schemas/counts.avsc. The maps of dead letters
 * by reason and of unreadable fields have the names that occurred, in the order of their enum, as
 * one block:
 *
 *   number of entries as long | name, count | ... | 0
 *
 * A block may also have its size: the number of entries is negative, and the size in bytes follows
 * as long. The decoder reads this form; the encoder does not write it. Names are texts, so a reader
 * may get names of newer versions. */
#include "wire/records_counts.h"

#include "wire/avro_io.h"
#include "wire/frame.h"

/* A map of counts by name. Counts of 0 are not written. */
struct named_counts {
	const char *field;
	const char *(*name)(int index);
	int64_t *at;
	int count;
};

static const char *name_of_reason(int index)
{
	return reason_name((enum reason)index);
}

static const char *name_of_field(int index)
{
	return event_field_names[index];
}

static struct named_counts dead_by_reason(struct counts *counts)
{
	return (struct named_counts){"dead_by_reason", name_of_reason, counts->dead, REASON_COUNT};
}

static struct named_counts unreadable_by_field(struct counts *counts)
{
	return (struct named_counts){"unreadable_by_field", name_of_field, counts->unreadable,
	                             EVENT_FIELD_COUNT};
}

struct map_size {
	int64_t total;
	size_t entries, name_bytes;
};

static struct map_size map_size_of(const struct named_counts *map)
{
	struct map_size size = {0};

	for (int i = 0; i < map->count; i++) {
		if (map->at[i] == 0)
			continue;
		size.total += map->at[i];
		size.entries++;
		size.name_bytes += strlen(map->name(i));
	}
	return size;
}

static char *put_map(char *at, const struct named_counts *map, size_t entries)
{
	if (entries > 0)
		at = avro_put_long(at, (int64_t)entries);
	for (int i = 0; i < map->count; i++) {
		if (map->at[i] == 0)
			continue;
		at = avro_put_text(at, span_of(map->name(i)));
		at = avro_put_long(at, map->at[i]);
	}
	return avro_put_long(at, 0);
}

void counts_encode(struct buffer *out, int32_t schema_id, const struct counts_record *record)
{
	struct counts counts = record->counts;
	struct named_counts reasons = dead_by_reason(&counts),
			    fields = unreadable_by_field(&counts);
	struct map_size dead = map_size_of(&reasons), unreadable = map_size_of(&fields);
	char *at;

	buffer_reserve(out, FRAME_BYTES +
	                            (16 + 2 * (dead.entries + unreadable.entries)) *
	                                    AVRO_LONG_MAX_BYTES +
	                            dead.name_bytes + unreadable.name_bytes + record->service.len +
	                            record->topic.len + record->stages.len);
	at = avro_put_frame(out->at + out->len, schema_id);
	at = avro_put_text(at, record->service);
	at = avro_put_text(at, record->topic);
	at = avro_put_long(at, record->partition);
	at = avro_put_long(at, counts.records_in);
	at = avro_put_long(at, counts.records_out);
	at = avro_put_long(at, counts.duplicates);
	at = avro_put_long(at, counts.late);
	at = avro_put_long(at, dead.total);
	at = put_map(at, &reasons, dead.entries);
	at = avro_put_long(at, record->revision);
	at = put_map(at, &fields, unreadable.entries);
	at = avro_put_long(at, counts.duplicates_other_price);
	at = avro_put_optional_text(at, record->stages);
	out->len = (size_t)(at - out->at);
}

static int index_of(const struct named_counts *map, struct span name)
{
	for (int i = 0; i < map->count; i++)
		if (span_is(name, map->name(i)))
			return i;
	return map->count;
}

/* Takes one entry. A known name may come only once. */
static void take_entry(struct avro_in *in, const struct named_counts *map, int64_t *unknown,
                       int64_t *total)
{
	struct span name = avro_take_text(in, AVRO_TEXT_MAX, map->field);
	int64_t count = avro_take_count(in, map->field);
	int index = index_of(map, name);

	if (count > INT64_MAX - *total || (index != map->count && map->at[index] != 0)) {
		avro_fail(in, map->field);
		return;
	}
	*total += count;
	if (index == map->count)
		*unknown += count;
	else
		map->at[index] = count;
}

/* Returns the sum of the map. An entry has at least two bytes. So a number of entries that the body
 * cannot have fails early. */
static int64_t take_map(struct avro_in *in, struct named_counts map, int64_t *unknown)
{
	int64_t total = 0, entries;

	memset(map.at, 0, (size_t)map.count * sizeof(*map.at));
	*unknown = 0;
	while ((entries = avro_take_long(in, -INT32_MAX, INT32_MAX, map.field)) != 0) {
		if (entries < 0) {
			entries = -entries;
			avro_take_count(in, map.field); /* the block's size */
		}
		for (; entries > 0 && !in->why; entries--)
			take_entry(in, &map, unknown, &total);
	}
	return total;
}

bool counts_decode(struct span body, struct counts_record *record, int64_t *unknown_dead,
                   const char **why)
{
	struct avro_in in = avro_in_of(body);
	struct counts *counts = &record->counts;
	int64_t dead, by_reason, unknown_fields;

	record->service = avro_take_text(&in, AVRO_TEXT_MAX, "service");
	record->topic = avro_take_text(&in, AVRO_TEXT_MAX, "topic");
	record->partition = (int32_t)avro_take_long(&in, 0, INT32_MAX, "partition");
	counts->records_in = avro_take_count(&in, "records_in");
	counts->records_out = avro_take_count(&in, "records_out");
	counts->duplicates = avro_take_count(&in, "duplicates");
	counts->late = avro_take_count(&in, "late");
	dead = avro_take_count(&in, "dead");
	by_reason = take_map(&in, dead_by_reason(counts), unknown_dead);
	if (dead != by_reason)
		avro_fail(&in, "dead");
	record->revision = avro_take_long(&in, INT64_MIN, INT64_MAX, "revision");
	take_map(&in, unreadable_by_field(counts), &unknown_fields);
	counts->duplicates_other_price = avro_take_count(&in, "duplicates_other_price");
	record->stages = avro_take_optional_text(&in, AVRO_TEXT_MAX, "stages");
	return avro_in_finish(&in, why);
}
