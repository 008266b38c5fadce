#include "lake_tables.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "base/timetext.h"

#define HEADERS_TYPE "STRUCT(name VARCHAR, value BLOB)[]"

static const struct lake_column event_columns[LAKE_EVENT_COLUMNS + 1] = {
	{"event_id", "UUID"},
	{"event_time", "TIMESTAMPTZ"},
	{"event_type", "VARCHAR"},
	{"product_id", "BIGINT"},
	{"category_id", "BIGINT"},
	{"category_code", "VARCHAR"},
	{"category1", "VARCHAR"},
	{"category2", "VARCHAR"},
	{"category3", "VARCHAR"},
	{"category4", "VARCHAR"},
	{"brand", "VARCHAR"},
	{"price", "DECIMAL(18,2)"},
	{"user_id", "BIGINT"},
	{"user_session", "VARCHAR"},
	{"source_file", "VARCHAR"},
	{"source_row", "BIGINT"},
	{"raw_partition", "INTEGER"},
	{"raw_offset", "BIGINT"},
	{"raw_time", "TIMESTAMPTZ"},
	{"source_clock", "TIMESTAMPTZ"},
	{"record_partition", "INTEGER"},
	{"record_offset", "BIGINT"},
	{"record_time", "TIMESTAMPTZ"},
	{"segment", "VARCHAR"},
	{"headers", HEADERS_TYPE},
	{NULL, NULL},
};

static const struct lake_column record_columns[LAKE_RECORD_COLUMNS + 1] = {
	{"record_partition", "INTEGER"},
	{"record_offset", "BIGINT"},
	{"record_time", "TIMESTAMPTZ"},
	{"kind", "VARCHAR"},
	{"detail", "VARCHAR"},
	{"key", "BLOB"},
	{"value", "BLOB"},
	{"headers", HEADERS_TYPE},
	{NULL, NULL},
};

#define EVENTS(name, order)                                                                \
	{                                                                                  \
		name, "event_date", "event_time", event_columns, LAKE_EVENT_COLUMNS, order \
	}
#define RECORDS(name)                                                                    \
	{                                                                                \
		name, "record_date", "record_time", record_columns, LAKE_RECORD_COLUMNS, \
			"record_offset"                                                  \
	}

static const struct lake_table_def tables[LAKE_TABLE_COUNT] = {
	[LAKE_BRONZE] = EVENTS("bronze", "event_time, record_offset"),
	[LAKE_LATE_EVENTS] = EVENTS("late_events", "event_time, record_offset"),
	[LAKE_DEAD_LETTERS] = RECORDS("dead_letters"),
	[LAKE_CONTROLS] = RECORDS("controls"),
	[LAKE_COUNTS] = RECORDS("counts"),
};

const struct lake_table_def *lake_table_def(enum lake_table table)
{
	return &tables[table];
}

enum lake_table lake_table_by_name(struct span name)
{
	int table = 0;

	while (table < LAKE_TABLE_COUNT && !span_is(name, tables[table].name))
		table++;
	return (enum lake_table)table;
}

/* ---- paths */

static void format_day(int64_t day, char out[11])
{
	char text[32];

	time_format_iso(day * US_PER_DAY, text);
	memcpy(out, text, 10);
	out[10] = '\0';
}

void lake_path_format(enum lake_table table, int64_t day, const char *topic, int32_t partition,
                      int64_t first, char out[LAKE_RELATIVE_MAX])
{
	const struct lake_table_def *def = lake_table_def(table);
	char date[11];

	format_day(day, date);
	snprintf(out, LAKE_RELATIVE_MAX, "%s/%s=%s/%s-%" PRId32 "-%" PRId64 ".parquet", def->name,
	         def->date_name, date, topic, partition, first);
}

/* Takes the part up to the next '/' from the path. */
static bool take_part(struct span *path, struct span *part)
{
	const char *slash = memchr(path->at, '/', path->len);

	if (!slash)
		return false;
	*part = (struct span){path->at, (size_t)(slash - path->at)};
	*path = (struct span){slash + 1, path->len - part->len - 1};
	return true;
}

static bool parse_day(struct span part, const struct lake_table_def *def, int64_t *day)
{
	size_t name = strlen(def->date_name);
	char text[32];
	int64_t time_us;

	if (part.len != name + 11 || memcmp(part.at, def->date_name, name) != 0 ||
	    part.at[name] != '=')
		return false;
	snprintf(text, sizeof(text), "%.10s 00:00:00", part.at + name + 1);
	if (!time_parse(span_of(text), &time_us))
		return false;
	*day = time_us / US_PER_DAY;
	return true;
}

/* Takes "-<number>" from the end of the name. */
static bool take_number(struct span *name, int64_t *number)
{
	size_t at = name->len;

	while (at > 0 && name->at[at - 1] != '-')
		at--;
	if (at == 0 ||
	    !number_parse_span((struct span){name->at + at, name->len - at}, INT64_MAX, number))
		return false;
	name->len = at - 1;
	return true;
}

bool lake_path_parse(const char *path, struct lake_path *out)
{
	static const char suffix[] = ".parquet";
	struct span rest = span_of(path), part;
	int64_t partition;

	*out = (struct lake_path){0};
	if (!take_part(&rest, &part))
		return false;
	out->table = lake_table_by_name(part);
	if (out->table == LAKE_TABLE_COUNT || !take_part(&rest, &part) ||
	    !parse_day(part, lake_table_def(out->table), &out->day) || rest.len < sizeof(suffix) ||
	    memcmp(rest.at + rest.len - (sizeof(suffix) - 1), suffix, sizeof(suffix) - 1) != 0)
		return false;
	rest.len -= sizeof(suffix) - 1;
	if (memchr(rest.at, '/', rest.len))
		return false;
	if (!take_number(&rest, &out->first) || !take_number(&rest, &partition) ||
	    partition > INT32_MAX)
		return span_is(rest, "compacted");
	out->partition = (int32_t)partition;
	out->topic = span_is(rest, "compacted") ? SPAN_NULL : rest;
	return true;
}
