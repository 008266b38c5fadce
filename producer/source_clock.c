/* The times and users of the waiting rows are in a ring. Only a row that is far ahead of the clock
 * needs the rows after it. So a dense source pays for one comparison per row.
 *
 * A far row moves the clock to the earliest time of the rows after it. Rejected: moving it only if
 * no later row is before the far row. After a pause, a disorder of a few seconds would then stop
 * the clock while each thousand rows have one late row.
 *
 * Most of the next ten rows must contradict a row. Rejected: one row. A row of a device whose clock
 * is years back contradicts every row before it. Rejected: most of a thousand rows. In a sparse
 * source they cover years.
 *
 * A user has nearly all rows of some sources. Then a few rows of others, whose clocks are far back,
 * must not refute its rows. Rejected: the majority of all rows. A busy device with a wrong clock
 * would then refute everybody else.
 *
 * The last rows of a source may follow a pause of more than 31 days, or come from one device with a
 * wrong clock. They count as rows after a pause if they are more than ten, or if the source had a
 * pause of a quarter of that length before, or if nothing has confirmed the clock before. */
#include "source_clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "base/span.h"

#define EARLIEST_US (INT64_C(946684800) * US_PER_SECOND) /* 2000-01-01 */
#define RING_MASK   (2 * 1024 - 1)
#define GAP_FACTOR  4
#define NEAR_ROWS   10 /* rows that refute or confirm a row */
#define FEW_SHARE   10 /* at most 1/10 */
#define ALONE_ROWS  (SOURCE_CLOCK_AHEAD / 2)

void source_clock_state_init(struct source_clock_state *state)
{
	clock_init(&state->clock);
	state->only_user = SOURCE_CLOCK_NOBODY;
	state->longest_gap_us = 0;
}

void source_clock_init(struct source_clock *clock, int64_t latest_us)
{
	source_clock_state_init(&clock->state);
	clock->latest_us = latest_us;
	clock->head = clock->count = 0;
}

int64_t source_clock_now(const struct source_clock *clock)
{
	return clock_now(&clock->state.clock);
}

void source_clock_add(struct source_clock *clock, struct row_time row)
{
	if (row.time_us < EARLIEST_US || row.time_us > clock->latest_us || row.user_id <= 0)
		row.time_us = CLOCK_NONE;
	clock->ring[(clock->head + clock->count++) & RING_MASK] = row;
}

static const struct row_time *waiting(const struct source_clock *clock, size_t i)
{
	return &clock->ring[(clock->head + i) & RING_MASK];
}

static bool is_far(const struct source_clock *clock, const struct row_time *row)
{
	int64_t now_us = source_clock_now(clock);

	return row->time_us != CLOCK_NONE &&
	       (now_us == CLOCK_NONE || row->time_us > now_us + SOURCE_CLOCK_FAR_US);
}

bool source_clock_waits(const struct source_clock *clock)
{
	return clock->count > 0 && clock->count <= SOURCE_CLOCK_AHEAD &&
	       is_far(clock, waiting(clock, 0));
}

/* Rows after a far row that have a say about it. */
struct evidence {
	int64_t rows, earliest_us;
	int64_t near, contradicting; /* the first of them; those more than a day before the row */
};

struct followers {
	struct evidence own, others; /* of the row's user; of other users */
};

static void add_evidence(struct evidence *evidence, int64_t time_us, int64_t row_us)
{
	evidence->rows++;
	if (evidence->near < NEAR_ROWS) {
		evidence->near++;
		evidence->contradicting += time_us < row_us - SOURCE_CLOCK_TIME_US;
	}
	if (time_us < evidence->earliest_us)
		evidence->earliest_us = time_us;
}

static struct followers followers_of(const struct source_clock *clock, const struct row_time *row)
{
	int64_t now_us = source_clock_now(clock);
	int64_t from_us = now_us == CLOCK_NONE ? now_us : now_us - SOURCE_CLOCK_FAR_US;
	struct followers found = {.own.earliest_us = row->time_us,
	                          .others.earliest_us = row->time_us};

	for (size_t i = 0; i < clock->count; i++) {
		const struct row_time *next = waiting(clock, i);

		if (next->time_us != CLOCK_NONE && next->time_us >= from_us)
			add_evidence(next->user_id == row->user_id ? &found.own : &found.others,
			             next->time_us, row->time_us);
	}
	return found;
}

static void move_to(struct source_clock_state *state, int64_t time_us)
{
	int64_t now_us = clock_now(&state->clock);

	if (now_us != CLOCK_NONE && time_us - now_us > state->longest_gap_us)
		state->longest_gap_us = time_us - now_us;
	clock_announce(&state->clock, time_us, INT64_MAX);
}

/* Whether neither two users nor a pause have confirmed the clock. */
static bool is_new(const struct source_clock_state *state)
{
	return state->longest_gap_us == 0 && state->clock.second_us == CLOCK_NONE;
}

/* Whether the row's user may move the clock by its own rows: as the only one of the source so far,
 * if nothing has confirmed the clock, or by many rows. A new user at the end may be a device with a
 * wrong clock. */
static bool may_lead(const struct source_clock_state *state, const struct followers *found,
                     int64_t user_id)
{
	return state->only_user == user_id || is_new(state) || found->own.rows >= ALONE_ROWS;
}

/* Whether at most a tenth of the row and the rows after it are of other users. */
static bool others_are_few(const struct followers *found)
{
	return found->others.rows * (FEW_SHARE - 1) <= found->own.rows + 1;
}

/* bronze-sink accepts no event more than 31 days after its clock. So the clock follows a row that
 * is not refuted, if other rows confirm it, or if it is likely that the source pauses so long. */
static void follow(struct source_clock_state *state, int64_t time_us, bool confirmed)
{
	int64_t ahead_us = time_us - clock_now(&state->clock);

	if (ahead_us > CLOCK_AHEAD_US &&
	    (confirmed || is_new(state) || ahead_us / GAP_FACTOR <= state->longest_gap_us))
		move_to(state, time_us - CLOCK_AHEAD_US);
}

/* Returns whether the row is refuted. The rows of other users decide; if there are none or few, the
 * user's own rows. */
static bool take_far(struct source_clock *clock, const struct row_time *row)
{
	struct source_clock_state *state = &clock->state;
	struct followers found = followers_of(clock, row);
	bool alone = found.others.rows == 0, leads = may_lead(state, &found, row->user_id);
	bool by_own = alone || (leads && others_are_few(&found));
	const struct evidence *evidence = by_own ? &found.own : &found.others;
	bool moves = !by_own || leads || state->clock.first_user == row->user_id;

	if (source_clock_now(clock) == CLOCK_NONE || (moves && evidence->rows > 0))
		move_to(state, evidence->earliest_us);
	if (2 * evidence->contradicting > evidence->near &&
	    row->time_us > source_clock_now(clock) + SOURCE_CLOCK_TIME_US)
		return true;
	follow(state, row->time_us, evidence->near >= (by_own ? NEAR_ROWS : 1));
	return false;
}

static void note_user(struct source_clock_state *state, int64_t user_id)
{
	if (state->only_user == SOURCE_CLOCK_NOBODY)
		state->only_user = user_id;
	else if (state->only_user != user_id)
		state->only_user = SOURCE_CLOCK_MANY;
}

struct source_clock_row source_clock_take(struct source_clock *clock)
{
	struct row_time row = *waiting(clock, 0);
	struct source_clock_row taken = {.time_us = row.time_us};

	clock->head++;
	clock->count--;
	if (row.time_us != CLOCK_NONE) {
		note_user(&clock->state, row.user_id);
		if (is_far(clock, &row))
			taken.refuted = take_far(clock, &row);
		if (!is_far(clock, &row))
			clock_accept(&clock->state.clock,
			             &(struct clock_event){row.time_us, row.user_id, row.time_us,
			                                   CLOCK_NONE});
	}
	taken.clock_us = source_clock_now(clock);
	return taken;
}

void source_clock_format(const struct source_clock_state *state, char out[SOURCE_CLOCK_TEXT_MAX])
{
	size_t len = clock_format(&state->clock, out);

	snprintf(out + len, SOURCE_CLOCK_TEXT_MAX - len, ";%" PRId64 ",%" PRId64, state->only_user,
	         state->longest_gap_us);
}

bool source_clock_parse(const char *text, struct source_clock_state *state)
{
	const char *rest = strchr(text, ';');
	int64_t parts[2];

	if (!rest || !clock_parse((struct span){text, (size_t)(rest - text)}, &state->clock))
		return false;
	rest++;
	if (!number_take_list(&rest, parts, 2) || *rest != '\0' || parts[1] < 0)
		return false;
	state->only_user = parts[0];
	state->longest_gap_us = parts[1];
	return true;
}
