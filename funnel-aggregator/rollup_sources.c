/* One entry per rollup is enough: its latest start, and the sources that count it. The start of an
 * entry never moves back, because a source that begins to count a rollup again begins at a later
 * window. When no source counts a rollup any more, its entry is free, as if no source had named
 * it. */
#include "rollup_sources.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/number.h"
#include "base/timetext.h"

/* ---- sets */

static void set_put(struct source_set *set, int32_t source, bool in)
{
	uint64_t bit = UINT64_C(1) << (source % 64);

	set->bits[source / 64] = in ? set->bits[source / 64] | bit : set->bits[source / 64] & ~bit;
}

static bool set_contains(const struct source_set *set, const struct source_set *part)
{
	return !(part->bits[0] & ~set->bits[0]) && !(part->bits[1] & ~set->bits[1]);
}

static bool set_is_empty(const struct source_set *set)
{
	return !set->bits[0] && !set->bits[1];
}

void rollup_sources_init(struct rollup_sources *sources, int32_t source_count)
{
	*sources = (struct rollup_sources){.count = 0};
	for (int32_t i = 0; i < source_count; i++)
		set_put(&sources->all, i, true);
}

/* ---- announcements */

static const struct rollup_since *find(const struct rollup_sources *sources, uint32_t rollup)
{
	for (uint32_t i = 0; i < sources->count; i++)
		if (sources->at[i].rollup == rollup)
			return &sources->at[i];
	return NULL;
}

/* The entry of a rollup. Creates it, in a free entry if there is one. NULL if the table is full:
 * then there are more rollups than two lists have. */
static struct rollup_since *put(struct rollup_sources *sources, uint32_t rollup)
{
	struct rollup_since *entry = NULL;

	for (uint32_t i = 0; i < sources->count; i++)
		if (sources->at[i].rollup == rollup)
			entry = &sources->at[i];
	for (uint32_t i = 0; !entry && i < sources->count; i++)
		if (set_is_empty(&sources->at[i].counted_by))
			entry = &sources->at[i];
	if (!entry && sources->count < ROLLUP_SINCES_MAX)
		entry = &sources->at[sources->count++];
	if (entry && (entry->rollup != rollup || set_is_empty(&entry->counted_by)))
		*entry = (struct rollup_since){.rollup = rollup, .since_us = ROLLUP_SINCE_EVER};
	return entry;
}

/* The name becomes part of restore metadata. So it must not have the separators of that text. */
static bool is_rollup_name(struct span name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!name.at[i] || !strchr("abcdefghijklmnopqrstuvwxyz0123456789:/+_", name.at[i]))
			return false;
	return name.len > 0 && name.len < ROLLUP_NAME_MAX;
}

bool rollup_sources_announce(struct rollup_sources *sources, struct interner *ids, int32_t source,
                             struct span since)
{
	struct span rest = since, name;
	int count = 0;
	int64_t since_us;

	while (rollup_since_next(&rest, &name, &since_us))
		if (!is_rollup_name(name) || ++count > ROLLUP_MAX)
			return false;
	if (!since.len || rest.len)
		return false;
	set_put(&sources->announced, source, true);
	for (uint32_t i = 0; i < sources->count; i++)
		set_put(&sources->at[i].counted_by, source, false);
	while (rollup_since_next(&since, &name, &since_us)) {
		struct rollup_since *entry = put(sources, rollup_id(ids, name));

		if (!entry)
			break; /* the source counts it, but it stays suppressed */
		set_put(&entry->counted_by, source, true);
		if (since_us > entry->since_us)
			entry->since_us = since_us;
	}
	return true;
}

bool rollup_sources_complete(const struct rollup_sources *sources, uint32_t rollup,
                             int64_t window_start_us)
{
	const struct rollup_since *entry = find(sources, rollup);
	const struct source_set none = {0};
	bool since_ever = !entry || entry->since_us == ROLLUP_SINCE_EVER;

	if (!since_ever && window_start_us < entry->since_us)
		return false;
	/* A source that has not announced anything counts only rollups since ever. */
	return set_contains(entry ? &entry->counted_by : &none, &sources->announced) &&
	       (since_ever || set_contains(&sources->announced, &sources->all));
}

/* ---- as text */

static size_t set_format(const struct rollup_sources *sources, const struct source_set *set,
                         char *out, size_t cap)
{
	if (set_contains(set, &sources->all))
		return (size_t)snprintf(out, cap, "*");
	if (set->bits[1])
		return (size_t)snprintf(out, cap, "%" PRIx64 "%016" PRIx64, set->bits[1],
		                        set->bits[0]);
	return (size_t)snprintf(out, cap, "%" PRIx64, set->bits[0]);
}

static bool set_parse(const struct rollup_sources *sources, struct span text,
                      struct source_set *set)
{
	*set = (struct source_set){0};
	if (text.len == 0 || text.len > 32)
		return false;
	if (span_is(text, "*")) {
		*set = sources->all;
		return true;
	}
	for (size_t i = 0; i < text.len; i++) {
		const char *digits = "0123456789abcdef",
			   *digit = text.at[i] ? strchr(digits, text.at[i]) : NULL;

		if (!digit)
			return false;
		set->bits[1] = set->bits[1] << 4 | set->bits[0] >> 60;
		set->bits[0] = set->bits[0] << 4 | (uint64_t)(digit - digits);
	}
	return true;
}

size_t rollup_sources_format(const struct rollup_sources *sources, const struct interner *ids,
                             char *out, size_t len, size_t cap)
{
	if (set_is_empty(&sources->announced))
		return len;
	out[len++] = '|';
	len += set_format(sources, &sources->announced, out + len, cap - len);
	for (uint32_t i = 0; i < sources->count && len < cap; i++) {
		const struct rollup_since *entry = &sources->at[i];
		struct span name = interner_text(ids, entry->rollup);
		char start[24] = "ever", counted_by[40];

		if (set_is_empty(&entry->counted_by))
			continue;
		if (entry->since_us != ROLLUP_SINCE_EVER)
			snprintf(start, sizeof(start), "%" PRId64,
			         time_floor(entry->since_us, US_PER_SECOND) / US_PER_SECOND);
		set_format(sources, &entry->counted_by, counted_by, sizeof(counted_by));
		len += (size_t)snprintf(out + len, cap - len, "|%.*s@%s=%s", (int)name.len, name.at,
		                        start, counted_by);
	}
	return len < cap ? len : cap - 1;
}

#define START_TEXT_MAX 23

/* "name@since=set" */
static bool since_parse(struct rollup_sources *sources, struct interner *ids, struct span text)
{
	const char *at = memchr(text.at, '@', text.len), *equals = memchr(text.at, '=', text.len);
	struct rollup_since *entry;
	struct span start;
	int64_t seconds;

	if (!at || !equals || equals <= at + 1 || at == text.at)
		return false;
	start = (struct span){at + 1, (size_t)(equals - at - 1)};
	entry = put(sources, rollup_id(ids, (struct span){text.at, (size_t)(at - text.at)}));
	if (!entry)
		return false;
	if (!span_is(start, "ever")) {
		if (start.len > START_TEXT_MAX || !number_parse_signed(start, &seconds) ||
		    seconds <= INT64_MIN / 2 / US_PER_SECOND ||
		    seconds >= INT64_MAX / 2 / US_PER_SECOND)
			return false;
		entry->since_us = seconds * US_PER_SECOND;
	}
	return set_parse(sources,
	                 (struct span){equals + 1, text.len - (size_t)(equals + 1 - text.at)},
	                 &entry->counted_by);
}

bool rollup_sources_parse(struct rollup_sources *sources, struct interner *ids, const char *at,
                          const char *end)
{
	for (bool first = true; at < end; first = false) {
		const char *bar = memchr(at + 1, '|', (size_t)(end - at - 1));
		struct span text = {at + 1, (size_t)((bar ? bar : end) - at - 1)};

		if (*at != '|' || text.len == 0 ||
		    !(first ? set_parse(sources, text, &sources->announced)
		            : since_parse(sources, ids, text)))
			return false;
		at = bar ? bar : end;
	}
	return true;
}
