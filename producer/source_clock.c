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
 * A last row more than 31 days ahead may follow a pause, or have a wrong clock. It counts as a row
 * after a pause if the source had a pause of a quarter of that length before, or has only two
 * rows. */
#include "source_clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "base/span.h"

#define EARLIEST_US (INT64_C(946684800) * US_PER_SECOND) /* 2000-01-01 */
#define RING_MASK   (2 * 1024 - 1)
#define GAP_FACTOR  4
#define NEAR_ROWS   10 /* rows of other users that refute a row */
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

/* The rows after a far row that decide about it. */
struct followers {
	int64_t others, others_earliest_us;
	int64_t near, contradicting; /* the first of the others; those more than a day before it */
	int64_t own, own_earliest_us;
};

static struct followers followers_of(const struct source_clock *clock, const struct row_time *row)
{
	int64_t from_us = source_clock_now(clock) - SOURCE_CLOCK_FAR_US;
	struct followers found = {.others_earliest_us = INT64_MAX, .own_earliest_us = INT64_MAX};

	for (size_t i = 0; i < clock->count; i++) {
		const struct row_time *next = waiting(clock, i);

		if (next->time_us == CLOCK_NONE || next->time_us < from_us)
			continue;
		if (next->user_id == row->user_id) {
			found.own++;
			if (next->time_us < found.own_earliest_us)
				found.own_earliest_us = next->time_us;
			continue;
		}
		if (found.others++ < NEAR_ROWS) {
			found.near++;
			found.contradicting += next->time_us < row->time_us - SOURCE_CLOCK_TIME_US;
		}
		if (next->time_us < found.others_earliest_us)
			found.others_earliest_us = next->time_us;
	}
	return found;
}

static void move_to(struct source_clock_state *state, int64_t time_us)
{
	int64_t gap_us = time_us - clock_now(&state->clock);

	if (gap_us <= 0)
		return;
	if (gap_us > state->longest_gap_us)
		state->longest_gap_us = gap_us;
	clock_announce(&state->clock, time_us, INT64_MAX);
}

/* bronze-sink accepts no event more than 31 days after its clock. So the clock follows a row that
 * is not refuted. If no row follows that row, nothing confirms it: then the clock follows only if
 * the source has such pauses. */
static void follow(struct source_clock_state *state, const struct followers *found, bool second_row,
                   int64_t time_us)
{
	int64_t ahead_us = time_us - clock_now(&state->clock);

	if (ahead_us > CLOCK_AHEAD_US &&
	    (found->others > 0 || second_row || ahead_us / GAP_FACTOR <= state->longest_gap_us))
		clock_announce(&state->clock, time_us - CLOCK_AHEAD_US, INT64_MAX);
}

/* Whether the rows that follow are of the row's user only, and this user may move the clock by its
 * own rows: as the only one of the source so far, as the one that was ahead of the others before,
 * or by being alone for long. A new user at the end may be a device with a wrong clock. */
static bool is_alone(const struct source_clock_state *state, const struct followers *found,
                     int64_t user_id)
{
	return found->others == 0 &&
	       (state->only_user == user_id || state->clock.first_user == user_id ||
	        found->own >= ALONE_ROWS);
}

/* Returns whether the row is refuted. */
static bool take_far(struct source_clock *clock, const struct row_time *row, bool second_row)
{
	struct followers found = followers_of(clock, row);
	struct source_clock_state *state = &clock->state;
	int64_t earliest_us = found.others_earliest_us;

	if (is_alone(state, &found, row->user_id))
		earliest_us = found.own_earliest_us;
	if (earliest_us != INT64_MAX)
		move_to(state, earliest_us < row->time_us ? earliest_us : row->time_us);
	if (2 * found.contradicting > found.near &&
	    row->time_us > clock_now(&state->clock) + SOURCE_CLOCK_TIME_US)
		return true;
	follow(state, &found, second_row, row->time_us);
	return false;
}

/* The clock begins at the earliest of the first rows. */
static void begin(struct source_clock *clock, const struct row_time *row)
{
	int64_t earliest_us = row->time_us;

	for (size_t i = 0; i < clock->count; i++)
		if (waiting(clock, i)->time_us != CLOCK_NONE &&
		    waiting(clock, i)->time_us < earliest_us)
			earliest_us = waiting(clock, i)->time_us;
	clock_announce(&clock->state.clock, earliest_us, INT64_MAX);
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
	bool first, second;

	clock->head++;
	clock->count--;
	if (row.time_us != CLOCK_NONE) {
		first = source_clock_now(clock) == CLOCK_NONE;
		second = clock->state.longest_gap_us == 0 &&
		         clock->state.clock.second_us == CLOCK_NONE;
		note_user(&clock->state, row.user_id);
		if (first)
			begin(clock, &row);
		if (is_far(clock, &row))
			taken.refuted = take_far(clock, &row, second);
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
