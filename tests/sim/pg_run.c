/* What each statement does. The meaning of each apply statement stands here once:
 *
 *   events, late events, dead letters, controls   insert, or keep the row that is there
 *   aggregates                                    insert; update if (revision, final) is greater
 *   counts                                        insert; update if revision is greater
 *   visits                                        insert, or update
 *   removals of visits                            delete the row that is there
 *   redriven                                      set the time in the dead letter that is there
 *
 * In READ COMMITTED, a statement that has waited for a row sees the row's newest version. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "sim/partition_log.h"
#include "sim/pg_poison.h"
#include "sim/pg_session.h"
#include "sim/process.h"
#include "sim/story.h"

#define COPY_HEADER   19
#define EVENT_COLUMNS 15
#define IDS_END       18 /* of the tuple's field count and ids */
#define ENTRY_MAX     320

/* ---- rows as the session sees them */

static struct span seen(const struct pg_session *session, const struct pg_row *row)
{
	return row->owner == session->number && row->changed ? row->changed_to : row->value;
}

static bool lock(struct pg_session *session, struct pg_row *row)
{
	if (row->owner == session->number)
		return true;
	if (row->owner) {
		session->blocked_on = row;
		return false;
	}
	row->owner = session->number;
	row->changed = false;
	GROW(session->held, session->held_count, session->held_capacity);
	session->held[session->held_count++] = row;
	return true;
}

static void change(struct pg_row *row, struct span value)
{
	row->changed = true;
	row->changed_to = span_copy(value);
}

static enum pg_step fail(struct pg_session *session, const char *sqlstate, const char *message)
{
	pg_fail(session, sqlstate, message);
	return PG_FAILED;
}

static struct span bytes_of(const void *at, size_t len)
{
	return (struct span){at, len};
}

/* ---- staging tables */

static enum pg_step create_stage(struct pg_session *session, enum target target)
{
	if (session->staged[target])
		return fail(session, "42P07", "relation already exists");
	session->staged[target] = true;
	return PG_DONE;
}

static enum pg_step fail_copy(struct pg_session *session, const char *sqlstate, const char *message,
                              size_t line)
{
	fail(session, sqlstate, message);
	snprintf(session->answer.error.context, sizeof(session->answer.error.context),
	         "COPY, line %zu", line);
	return PG_FAILED;
}

static enum pg_step copy_rows(struct pg_session *session, enum target target)
{
	struct span rest = session->message.copy, tuple;
	struct pg_tuples *stage = &session->stage[target];
	size_t line = 0;

	rest = (struct span){rest.at + COPY_HEADER, rest.len - COPY_HEADER};
	while (pg_next_tuple(&rest, &tuple)) {
		line++;
		if (pg_is_poison(target, tuple, PG_POISON_COPY))
			return fail_copy(session, PG_POISON_COPY_STATE, PG_POISON_COPY_MESSAGE,
			                 line);
		GROW(stage->at, stage->count, stage->capacity);
		stage->at[stage->count++] = span_copy(tuple);
	}
	if (rest.len != 2)
		return fail(session, "22P04", "COPY: the trailer is missing");
	return PG_DONE;
}

static enum pg_step copy(struct pg_session *session, enum target target)
{
	if (!session->staged[target])
		return fail(session, "42P01", "relation does not exist");
	if (session->message.copy.at)
		return copy_rows(session, target);
	session->answer.kind = PG_ANSWER_COPY_IN;
	return PG_DONE;
}

/* ---- apply */

static bool is_too_big(struct pg_session *session, size_t count)
{
	if (!pg.rows_max || count <= pg.rows_max)
		return false;
	if (count % 2)
		fail(session, "57014", "it takes too long");
	else
		fail(session, "53200", "out of shared memory");
	return true;
}

enum pg_table pg_table_of(enum target target)
{
	switch (target) {
	case TARGET_EVENTS: return PG_EVENTS;
	case TARGET_AGGREGATES: return PG_AGGREGATES;
	case TARGET_VISIT_REMOVALS:
	case TARGET_VISITS: return PG_VISITS;
	case TARGET_LATE_EVENTS: return PG_LATE_EVENTS;
	case TARGET_COUNTS: return PG_COUNTS;
	case TARGET_DEAD_LETTERS:
	case TARGET_REDRIVEN: return PG_DEAD_LETTERS;
	case TARGET_CONTROLS: return PG_CONTROLS;
	case TARGET_COUNT: break;
	}
	abort();
}

/* Rows of stage_redriven and stage_visit_removals have the columns of the key first. */
struct span pg_target_key(enum target target, struct span tuple)
{
	static char key[8192];
	static const int redriven[] = {0, 2, 3, 4, 1}, removal[] = {0, 1, 2, 3};
	const int *fields = target == TARGET_REDRIVEN ? redriven : removal;
	int count = target == TARGET_REDRIVEN ? 5 : 4;
	size_t at = 0;

	if (target != TARGET_REDRIVEN && target != TARGET_VISIT_REMOVALS)
		return pg_key_of(pg_table_of(target), tuple);
	for (int i = 0; i < count; i++) {
		struct span field = pg_field(tuple, fields[i]);
		uint32_t len = (uint32_t)field.len;

		memcpy(key + at, &len, sizeof(len));
		if (len)
			memcpy(key + at + sizeof(len), field.at, len);
		at += sizeof(len) + len;
	}
	return (struct span){key, at};
}

static struct pg_row *row_of(enum target target, struct span tuple)
{
	return pg_rows_get(&pg.rows, pg_table_of(target), pg_target_key(target, tuple));
}

bool pg_is_newer(enum target target, struct span tuple, struct span than)
{
	int revision = target == TARGET_COUNTS ? 9 : 21;
	int64_t a = pg_integer(pg_field(tuple, revision)), b = pg_integer(pg_field(than, revision));

	if (a != b || target == TARGET_COUNTS)
		return a > b;
	return pg_integer(pg_field(tuple, 20)) > pg_integer(pg_field(than, 20));
}

static bool day_exists(struct span tuple)
{
	int64_t day = pg_integer(pg_field(tuple, 9));
	const struct pg_row *row = pg_rows_find(&pg.rows, PG_DAYS, bytes_of(&day, sizeof(day)));

	return row && row->value.at;
}

static const char *check_row(enum target target, struct span tuple)
{
	if (pg_is_poison(target, tuple, PG_POISON_APPLY))
		return PG_POISON_APPLY_MESSAGE;
	if (target == TARGET_EVENTS && !day_exists(tuple))
		return "no partition of relation \"event_rows\" found for row";
	return NULL;
}

/* ---- dictionaries */

/* The text of the entry with the id in this field; "?": there is none. */
static struct span entry_of(struct span tuple, int field, enum pg_table table)
{
	int64_t id = pg_integer(pg_field(tuple, field));
	const struct pg_row *row =
		id > 0 && id <= (int64_t)pg.entry_count ? pg.entries[id - 1] : NULL;

	return row && row->table == table && row->value.at ? row->key : SPAN("?");
}

struct span pg_value_of(enum target target, struct span first, struct span second,
                        struct span tuple)
{
	static char own[65536], value[65536];
	struct span rest = {own, tuple.len}, row = SPAN_NULL;
	size_t texts = first.len + second.len;

	memcpy(own, tuple.at, tuple.len);
	if (target ==
	    TARGET_EVENTS) /* without bronze_partition and bronze_offset of a staged row */
		own[1] = EVENT_COLUMNS;
	if (!pg_next_tuple(&rest, &row) || texts + row.len > sizeof(value))
		return SPAN_NULL;
	memcpy(value, first.at, first.len);
	memcpy(value + first.len, second.at, second.len);
	memcpy(value + texts, row.at + IDS_END, row.len - IDS_END);
	return (struct span){value, texts + row.len - IDS_END};
}

struct span pg_stored_value(enum target target, struct span tuple)
{
	enum pg_table second = target == TARGET_EVENTS ? PG_SOURCES : PG_LABELS;

	if (target != TARGET_EVENTS && target != TARGET_VISITS)
		return tuple;
	return pg_value_of(target, entry_of(tuple, 0, PG_LABELS), entry_of(tuple, 1, second),
	                   tuple);
}

static bool needs_lock(const struct pg_session *session, enum target target,
                       const struct pg_row *row)
{
	switch (target) {
	case TARGET_AGGREGATES:
	case TARGET_COUNTS:
	case TARGET_VISITS: return true;
	case TARGET_VISIT_REMOVALS:
	case TARGET_REDRIVEN: return seen(session, row).at != NULL;
	case TARGET_EVENTS:
	case TARGET_LATE_EVENTS:
	case TARGET_DEAD_LETTERS:
	case TARGET_CONTROLS:
	case TARGET_COUNT: break;
	}
	return seen(session, row).at == NULL;
}

static void note_event(struct pg_session *session, struct span tuple)
{
	struct span source = entry_of(tuple, 1, PG_SOURCES);
	const char *at = memchr(source.at, *PG_ENTRY_SEPARATOR, source.len);
	int64_t partition = at ? strtoll(at + 1, NULL, 10) : -1;

	if (partition >= 0 && partition < PG_PARTITIONS_MAX)
		session->stored[partition]++;
	session->unsummed++;
}

/* The redriven time follows the columns of the dead letter's own row. */
struct span pg_redriven(struct span letter, struct span marker)
{
	static char value[65536];
	struct span time = pg_field(marker, 5), rest = letter, own = letter;

	if (!pg_next_tuple(&rest, &own) || own.len + time.len > sizeof(value))
		return letter;
	memcpy(value, own.at, own.len);
	memcpy(value + own.len, time.at, time.len);
	return (struct span){value, own.len + time.len};
}

/* NULL, or the SQLSTATE of the error. */
static const char *apply_row(struct pg_session *session, enum target target, struct span tuple,
                             struct pg_tuples *touched, unsigned missing)
{
	struct pg_row *row = row_of(target, tuple);
	struct span before = seen(session, row), value = pg_stored_value(target, tuple);

	if (target == TARGET_VISIT_REMOVALS || target == TARGET_REDRIVEN) {
		if (before.at && target == TARGET_REDRIVEN)
			change(row, pg_redriven(before, tuple));
		else if (before.at)
			change(row, SPAN_NULL);
		return NULL;
	}
	if (!before.at) {
		change(row, value);
		if (target == TARGET_EVENTS)
			note_event(session, tuple);
	} else if (target == TARGET_AGGREGATES || target == TARGET_COUNTS ||
	           target == TARGET_VISITS) {
		for (size_t i = 0; i < touched->count; i++)
			if (touched->at[i].at == row->key.at)
				return "21000";
		if (target != TARGET_VISITS && !(missing & PG_APPLY_IF_NEWER) &&
		    !pg_is_newer(target, value, before))
			return NULL;
		change(row, value);
	} else {
		return missing & PG_INSERT_ON_CONFLICT ? "23505" : NULL;
	}
	GROW(touched->at, touched->count, touched->capacity);
	touched->at[touched->count++] = row->key;
	return NULL;
}

/* The statement sums up the events that it has inserted, and selects how many. */
static void note_events(struct pg_session *session, size_t inserted)
{
	session->unsummed -= (int64_t)inserted;
	session->answer.kind = PG_ANSWER_ROWS;
	session->answer.rows = 1;
	session->answer.columns = 2;
	snprintf(session->answer.values[0][0], sizeof(session->answer.values[0][0]), "%zu",
	         inserted);
}

static enum pg_step apply(struct pg_session *session, enum target target)
{
	const struct pg_tuples *stage = &session->stage[target];
	struct pg_tuples touched = {0};
	const char *why = NULL;

	if (is_too_big(session, stage->count))
		return PG_FAILED;
	for (size_t i = 0; i < stage->count; i++) {
		struct pg_row *row = row_of(target, stage->at[i]);

		why = check_row(target, stage->at[i]);
		if (why)
			return fail(session, "23514", why);
		if (needs_lock(session, target, row) && !lock(session, row))
			return PG_BLOCKED;
	}
	for (size_t i = 0; !why && i < stage->count; i++)
		why = apply_row(session, target, stage->at[i], &touched,
		                session->message.matched.missing);
	if (target == TARGET_EVENTS)
		note_events(session, touched.count);
	free(touched.at);
	return why ? fail(session, why, "a row is there twice") : PG_DONE;
}

/* ---- events straight into their table */

static enum pg_step check_events(struct pg_session *session)
{
	struct span rest = session->message.copy, tuple;

	rest = (struct span){rest.at + COPY_HEADER, rest.len - COPY_HEADER};
	for (size_t line = 1; pg_next_tuple(&rest, &tuple); line++) {
		struct pg_row *row = row_of(TARGET_EVENTS, tuple);
		const char *why = check_row(TARGET_EVENTS, tuple);

		if (is_too_big(session, line))
			return PG_FAILED;
		if (pg_is_poison(TARGET_EVENTS, tuple, PG_POISON_COPY))
			return fail_copy(session, PG_POISON_COPY_STATE, PG_POISON_COPY_MESSAGE,
			                 line);
		if (why)
			return fail_copy(session, "23514", why, line);
		if (seen(session, row).at)
			return fail_copy(session, "23505", "duplicate key", line);
		if (!lock(session, row))
			return PG_BLOCKED;
	}
	return rest.len == 2 ? PG_DONE : fail(session, "22P04", "COPY: the trailer is missing");
}

static enum pg_step copy_events(struct pg_session *session)
{
	struct span rest = session->message.copy, tuple;
	struct pg_tuples touched = {0};
	enum pg_step step;
	const char *why = NULL;

	if (!rest.at) {
		session->answer.kind = PG_ANSWER_COPY_IN;
		return PG_DONE;
	}
	step = check_events(session);
	if (step != PG_DONE)
		return step;
	rest = (struct span){rest.at + COPY_HEADER, rest.len - COPY_HEADER};
	while (!why && pg_next_tuple(&rest, &tuple))
		why = apply_row(session, TARGET_EVENTS, tuple, &touched, PG_INSERT_ON_CONFLICT);
	free(touched.at);
	return why ? fail(session, why, "a row is there twice") : PG_DONE;
}

/* Of a row of sums, only the number of its events. */
static enum pg_step copy_sums(struct pg_session *session)
{
	struct span rest = session->message.copy, tuple;

	if (!rest.at) {
		session->answer.kind = PG_ANSWER_COPY_IN;
		return PG_DONE;
	}
	rest = (struct span){rest.at + COPY_HEADER, rest.len - COPY_HEADER};
	while (pg_next_tuple(&rest, &tuple))
		session->unsummed -= pg_integer(pg_field(tuple, 1));
	return rest.len == 2 ? PG_DONE : fail(session, "22P04", "COPY: the trailer is missing");
}

/* ---- duplicates */

struct expected {
	int64_t up_to, events;
};

static struct pg_row *load_row(int32_t partition)
{
	return pg_rows_get(&pg.rows, PG_BRONZE_LOADS, bytes_of(&partition, sizeof(partition)));
}

static struct pg_bronze_load load_of(const struct pg_session *session, int32_t partition)
{
	struct pg_bronze_load load = {0};
	struct span value = seen(session, load_row(partition));

	if (value.at)
		memcpy(&load, value.at, sizeof(load));
	return load;
}

static bool any_stored(const struct pg_session *session)
{
	for (int p = 0; p < PG_PARTITIONS_MAX; p++)
		if (session->stored[p])
			return true;
	return false;
}

static bool stored_now(const struct pg_session *session, struct span tuple)
{
	const struct pg_row *row = row_of(TARGET_EVENTS, tuple);

	return row->owner == session->number && row->changed && !row->value.at;
}

static void expect_events(const struct pg_session *session, struct expected *expected)
{
	const struct pg_tuples *stage = &session->stage[TARGET_EVENTS];

	for (size_t i = 0; i < stage->count; i++) {
		int32_t partition = (int32_t)pg_integer(pg_field(stage->at[i], 15));
		int64_t offset = pg_integer(pg_field(stage->at[i], 16));
		struct expected *e = &expected[partition];

		if (offset + 1 > e->up_to)
			e->up_to = offset + 1;
		if (offset >= load_of(session, partition).loaded_up_to)
			e->events++;
		else if (any_stored(session))
			e->events += stored_now(session, stage->at[i]);
	}
}

static void note_loads(struct pg_session *session, const struct expected *expected, int64_t doubles)
{
	for (int32_t p = 0; p < PG_PARTITIONS_MAX; p++) {
		struct pg_bronze_load load = load_of(session, p);
		int64_t more = expected[p].events - session->stored[p];

		if (!expected[p].up_to)
			continue;
		if (expected[p].up_to > load.loaded_up_to)
			load.loaded_up_to = expected[p].up_to;
		if (doubles > 0 && more > 0)
			load.doubles += more;
		change(load_row(p), bytes_of(&load, sizeof(load)));
	}
}

static enum pg_step count_duplicates(struct pg_session *session)
{
	struct expected expected[PG_PARTITIONS_MAX] = {{0}};
	int64_t doubles = 0;

	expect_events(session, expected);
	for (int32_t p = 0; p < PG_PARTITIONS_MAX; p++) {
		doubles += expected[p].events - session->stored[p];
		if (expected[p].up_to && !lock(session, load_row(p)))
			return PG_BLOCKED;
	}
	if (doubles < 0)
		doubles = 0;
	note_loads(session, expected, doubles);
	session->answer.kind = PG_ANSWER_ROWS;
	session->answer.rows = session->answer.columns = 1;
	snprintf(session->answer.values[0][0], sizeof(session->answer.values[0][0]), "%" PRId64,
	         doubles);
	return PG_DONE;
}

/* ---- offsets */

struct wanted {
	char topic[64], last[64];
	int32_t partition;
	int64_t committed, position;
	struct pg_row *row;
};

struct span pg_offset_key(const char *topic, int32_t partition)
{
	static char key[96];

	memset(key, 0, sizeof(key));
	snprintf(key, sizeof(key) - 8, "%s", topic);
	memcpy(key + sizeof(key) - 4, &partition, sizeof(partition));
	return (struct span){key, sizeof(key)};
}

/* The next item of a text such as {a,b} or {"1,2",NULL}. */
static bool next_item(const char **at, char *out, size_t cap)
{
	size_t len = 0;
	bool quoted;

	if (!**at || **at == '}')
		return false;
	++*at; /* '{' or ',' */
	quoted = **at == '"';
	*at += quoted;
	while (**at && (quoted ? **at != '"' : **at != ',' && **at != '}')) {
		if (len < cap - 1)
			out[len++] = **at;
		++*at;
	}
	*at += quoted;
	out[len] = '\0';
	return len > 0;
}

static enum pg_step note_progress(struct pg_session *session)
{
	int64_t numbers[2][PG_PARTITIONS_MAX];
	int count[2] = {0, 0};
	char item[24];

	for (int p = 0; p < 2; p++) {
		const char *at = session->message.params[p];

		while (count[p] < PG_PARTITIONS_MAX && next_item(&at, item, sizeof(item)))
			numbers[p][count[p]++] = strtoll(item, NULL, 10);
	}
	for (int i = 0; i < count[0]; i++)
		if (!lock(session, load_row((int32_t)numbers[0][i])))
			return PG_BLOCKED;
	for (int i = 0; i < count[0]; i++) {
		struct pg_bronze_load load = load_of(session, (int32_t)numbers[0][i]);

		if (numbers[1][i] > load.loaded_up_to)
			load.loaded_up_to = numbers[1][i];
		change(load_row((int32_t)numbers[0][i]), bytes_of(&load, sizeof(load)));
	}
	return PG_DONE;
}

static size_t read_wanted(const struct pg_session *session, struct wanted *wanted)
{
	size_t counts[PG_PARAMS_MAX] = {0};

	for (int p = 0; p < PG_PARAMS_MAX && session->message.params[p]; p++) {
		const char *at = session->message.params[p];
		char item[96];

		while (counts[p] < PG_ITEMS_MAX && next_item(&at, item, sizeof(item))) {
			struct wanted *w = &wanted[counts[p]++];

			switch (p) {
			case 0: snprintf(w->topic, sizeof(w->topic), "%.63s", item); break;
			case 1: w->partition = (int32_t)strtol(item, NULL, 10); break;
			case 2: w->committed = strtoll(item, NULL, 10); break;
			case 3: w->position = strtoll(item, NULL, 10); break;
			default:
				if (strcmp(item, "NULL") != 0)
					snprintf(w->last, sizeof(w->last), "%.63s", item);
				break;
			}
		}
	}
	for (size_t i = 0; i < counts[0]; i++)
		wanted[i].row = pg_rows_get(&pg.rows, PG_OFFSETS,
		                            pg_offset_key(wanted[i].topic, wanted[i].partition));
	return counts[0];
}

static int by_topic(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;
	int order = strcmp(x->topic, y->topic);

	return order ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

static bool offset_of(const struct pg_session *session, const struct pg_row *row,
                      struct pg_offset *offset)
{
	struct span value = seen(session, row);

	if (value.at)
		memcpy(offset, value.at, sizeof(*offset));
	return value.at != NULL;
}

static enum pg_step offsets_read(struct pg_session *session)
{
	struct wanted wanted[PG_ITEMS_MAX] = {{.partition = 0}};
	struct pg_answer *answer = &session->answer;
	size_t count = read_wanted(session, wanted);
	struct pg_offset offset;

	answer->kind = PG_ANSWER_ROWS;
	answer->columns = 3;
	for (size_t i = 0; i < count; i++) {
		int r = answer->rows;

		if (!offset_of(session, wanted[i].row, &offset))
			continue;
		snprintf(answer->values[r][0], 96, "%zu", i);
		snprintf(answer->values[r][1], 96, "%" PRId64, offset.next_offset);
		snprintf(answer->values[r][2], 96, "%s", offset.last);
		answer->nulls[r][2] = !offset.last[0];
		answer->rows++;
	}
	return PG_DONE;
}

static enum pg_step offsets_insert(struct pg_session *session)
{
	struct wanted wanted[PG_ITEMS_MAX] = {{.partition = 0}};
	size_t count = read_wanted(session, wanted);

	if (!(session->message.matched.missing & PG_INSERT_ORDER))
		qsort(wanted, count, sizeof(*wanted), by_topic);
	for (size_t i = 0; i < count; i++)
		if (wanted[i].committed == -1 && !seen(session, wanted[i].row).at &&
		    !lock(session, wanted[i].row))
			return PG_BLOCKED;
	for (size_t i = 0; i < count; i++) {
		struct pg_offset offset = {.next_offset = wanted[i].position};

		if (wanted[i].committed != -1)
			continue;
		if (!seen(session, wanted[i].row).at)
			change(wanted[i].row, bytes_of(&offset, sizeof(offset)));
		else if (session->message.matched.missing & PG_INSERT_ON_CONFLICT << 1)
			return fail(session, "23505", "duplicate key");
	}
	return PG_DONE;
}

static enum pg_step offsets_lock(struct pg_session *session)
{
	struct wanted wanted[PG_ITEMS_MAX] = {{.partition = 0}};
	struct pg_answer *answer = &session->answer;
	size_t count = read_wanted(session, wanted);
	struct pg_offset offset;

	if (!(session->message.matched.missing & PG_LOCK_ORDER))
		qsort(wanted, count, sizeof(*wanted), by_topic);
	if (!(session->message.matched.missing & PG_LOCK_FOR_UPDATE))
		for (size_t i = 0; i < count; i++)
			if (seen(session, wanted[i].row).at && !lock(session, wanted[i].row))
				return PG_BLOCKED;
	answer->kind = PG_ANSWER_ROWS;
	answer->columns = 1;
	for (size_t i = 0; i < count; i++)
		if (offset_of(session, wanted[i].row, &offset))
			snprintf(answer->values[answer->rows++][0], 96, "%c",
			         offset.next_offset == wanted[i].committed ? 't' : 'f');
	return PG_DONE;
}

static bool moves(const struct pg_session *session, const struct wanted *wanted)
{
	struct pg_offset offset;

	return offset_of(session, wanted->row, &offset) &&
	       (session->message.matched.missing & PG_MOVE_IF_UNMOVED ||
	        offset.next_offset == wanted->committed);
}

static enum pg_step offsets_move(struct pg_session *session)
{
	struct wanted wanted[PG_ITEMS_MAX] = {{.partition = 0}};
	size_t count = read_wanted(session, wanted);

	for (size_t i = 0; i < count; i++)
		if (moves(session, &wanted[i]) && !lock(session, wanted[i].row))
			return PG_BLOCKED;
	for (size_t i = 0; i < count; i++) {
		struct pg_offset offset = {.next_offset = wanted[i].position};

		if (!moves(session, &wanted[i]))
			continue;
		memcpy(offset.last, wanted[i].last, sizeof(offset.last));
		change(wanted[i].row, bytes_of(&offset, sizeof(offset)));
		session->answer.changed++;
	}
	return PG_DONE;
}

/* ---- the rest */

static enum pg_step ensure_day(struct pg_session *session)
{
	int64_t day = strtoll(session->message.params[0], NULL, 10) - 10957; /* 2000-01-01 */
	struct pg_row *row = pg_rows_get(&pg.rows, PG_DAYS, bytes_of(&day, sizeof(day)));

	session->answer.kind = PG_ANSWER_ROWS;
	session->answer.rows = session->answer.columns = 1;
	if (seen(session, row).at)
		return PG_DONE;
	if (!lock(session, row))
		return PG_BLOCKED;
	change(row, SPAN("day"));
	return PG_DONE;
}

/* The texts of the entries; each has a NUL at its end. */
static size_t read_entries(const struct pg_session *session, char texts[][ENTRY_MAX])
{
	size_t count = 0;

	for (int p = 0; p < PG_PARAMS_MAX && session->message.params[p]; p++) {
		const char *at = session->message.params[p];
		char item[96];

		for (count = 0; count < PG_ITEMS_MAX && next_item(&at, item, sizeof(item)); count++)
			snprintf(texts[count] + strlen(texts[count]),
			         ENTRY_MAX - strlen(texts[count]), "%s%s",
			         p ? PG_ENTRY_SEPARATOR : "", item);
	}
	return count;
}

static struct pg_row *entry_row(enum pg_table table, const char *text)
{
	return pg_rows_get(&pg.rows, table, bytes_of(text, strlen(text) + 1));
}

static void add_entry(struct pg_row *row)
{
	int64_t id;

	GROW(pg.entries, pg.entry_count, pg.entry_capacity);
	pg.entries[pg.entry_count++] = row;
	id = (int64_t)pg.entry_count;
	change(row, bytes_of(&id, sizeof(id)));
}

static enum pg_step entry_ids(struct pg_session *session, enum pg_table table)
{
	static char texts[PG_ITEMS_MAX][ENTRY_MAX];
	struct pg_answer *answer = &session->answer;
	size_t count;

	memset(texts, 0, sizeof(texts));
	count = read_entries(session, texts);
	for (size_t i = 0; i < count; i++) {
		struct pg_row *row = entry_row(table, texts[i]);

		if (strstr(texts[i], PG_POISON_COPY))
			return fail(session, PG_POISON_COPY_STATE, PG_POISON_COPY_MESSAGE);
		if (strstr(texts[i], PG_POISON_APPLY))
			return fail(session, "23514", PG_POISON_APPLY_MESSAGE);
		if (!seen(session, row).at && !lock(session, row))
			return PG_BLOCKED;
	}
	answer->kind = PG_ANSWER_ROWS;
	answer->columns = 1;
	for (size_t i = 0; i < count; i++) {
		struct pg_row *row = entry_row(table, texts[i]);
		int64_t id;

		if (!seen(session, row).at)
			add_entry(row);
		memcpy(&id, seen(session, row).at, sizeof(id));
		snprintf(answer->values[answer->rows++][0], 96, "%" PRId64, id);
	}
	return PG_DONE;
}

static enum pg_step backend(struct pg_session *session)
{
	session->answer.kind = PG_ANSWER_ROWS;
	session->answer.rows = 1;
	session->answer.columns = 2;
	snprintf(session->answer.values[0][0], 96, "%u", session->number);
	snprintf(session->answer.values[0][1], 96, "1");
	return PG_DONE;
}

static enum pg_step forgotten(struct pg_session *session)
{
	session->answer.kind = PG_ANSWER_ROWS;
	session->answer.rows = 1;
	session->answer.columns = 1;
	snprintf(session->answer.values[0][0], 96, "f");
	return PG_DONE;
}

static enum pg_step commit(struct pg_session *session)
{
	bool open = session->txn == PG_TXN_OPEN;

	session->txn = PG_TXN_NONE;
	if (open)
		pg_do_commit(session);
	else
		pg_roll_back(session);
	return PG_DONE;
}

static bool writes(enum pg_statement statement)
{
	return statement == PG_APPLY || statement == PG_COUNT_DUPLICATES ||
	       statement == PG_COPY_EVENTS || statement == PG_COPY_SUMS ||
	       statement == PG_NOTE_PROGRESS || statement == PG_ENSURE_DAY ||
	       statement == PG_LABEL_IDS || statement == PG_SOURCE_IDS ||
	       statement == PG_OFFSETS_INSERT || statement == PG_OFFSETS_LOCK ||
	       statement == PG_OFFSETS_MOVE;
}

enum pg_step pg_run_statement(struct pg_session *session)
{
	const struct pg_matched *matched = &session->message.matched;

	if (session->txn == PG_TXN_FAILED && matched->statement != PG_ROLLBACK &&
	    matched->statement != PG_COMMIT)
		return fail(session, "25P02", "current transaction is aborted");
	if (writes(matched->statement) && sim_now_us() < pg.read_only_until_us)
		return fail(session, "25006", "cannot write in a read-only transaction");
	switch (matched->statement) {
	case PG_BEGIN: session->txn = PG_TXN_OPEN; return PG_DONE;
	case PG_COMMIT: return commit(session);
	case PG_ROLLBACK:
		session->txn = PG_TXN_NONE;
		pg_roll_back(session);
		return PG_DONE;
	case PG_BACKEND: return backend(session);
	case PG_SET_UP:
		session->is_set_up = true;
		session->has_idle_timeout = !matched->missing;
		return PG_DONE;
	case PG_PLANNER: return PG_DONE;
	case PG_CREATE_STAGE: return create_stage(session, matched->target);
	case PG_COPY_STAGE: return copy(session, matched->target);
	case PG_APPLY: return apply(session, matched->target);
	case PG_COUNT_DUPLICATES: return count_duplicates(session);
	case PG_COPY_EVENTS: return copy_events(session);
	case PG_COPY_SUMS: return copy_sums(session);
	case PG_NOTE_PROGRESS: return note_progress(session);
	case PG_ENSURE_DAY: return ensure_day(session);
	case PG_LABEL_IDS: return entry_ids(session, PG_LABELS);
	case PG_SOURCE_IDS: return entry_ids(session, PG_SOURCES);
	case PG_FORGOTTEN: return forgotten(session);
	case PG_OFFSETS_READ: return offsets_read(session);
	case PG_OFFSETS_INSERT: return offsets_insert(session);
	case PG_OFFSETS_LOCK: return offsets_lock(session);
	case PG_OFFSETS_MOVE: return offsets_move(session);
	case PG_UNKNOWN: break;
	}
	return fail(session, "42601", "the simulation does not know this statement");
}
