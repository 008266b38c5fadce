/* The rows that wait are a ring of times and users. Only a row that is far ahead of the clock looks
 * at the rows after it, so a dense source pays for one comparison per row.
 *
 * Why the earliest time of the rows that follow, and not "no row before it": after a pause, disorder
 * of a few seconds would leave the clock where it was for as long as each thousand rows have one
 * late row.
 *
 * Why most rows must contradict a row, and not one: a row of a device whose clock is years back
 * contradicts every row before it.
 *
 * A last row more than 31 days ahead would be refused, as bronze-sink accepts no event that far
 * after its clock. It is as likely a row after a pause as a wrong clock. If the source had pauses
 * of a quarter of that length before, or has only two rows, the clock follows it, 31 days before
 * it. */
#include "source_clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "base/span.h"

#define EARLIEST_US (INT64_C(946684800) * US_PER_SECOND) /* 2000-01-01 */
#define RING_MASK   (2 * 1024 - 1)
#define GAP_FACTOR  4

void source_clock_init(struct source_clock *clock, int64_t latest_us)
{
	clock_init(&clock->state.clock);
	clock->state.only_user = SOURCE_CLOCK_NOBODY;
	clock->state.longest_gap_us = 0;
	clock->latest_us = latest_us;
	clock->head = clock->count = 0;
}

int64_t source_clock_now(const struct source_clock *clock)
{
	return clock_now(&clock->state.clock);
}

void source_clock_add(struct source_clock *clock, struct row_time row)
{
	if (row.time_us < EARLIEST_US || row.time_us > clock->latest_us)
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

/* The rows after a far row that count for it. */
struct followers {
	int64_t others, others_earliest_us;
	int64_t contradicting; /* of the others: more than a day before the row */
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
		found.others++;
		found.contradicting += next->time_us < row->time_us - SOURCE_CLOCK_TIME_US;
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

/* No row follows: the clock stays at most 31 days before the row, if the source has such pauses. */
static void follow_last(struct source_clock_state *state, bool first_rows, int64_t time_us)
{
	int64_t ahead_us = time_us - clock_now(&state->clock);

	if (ahead_us > CLOCK_AHEAD_US &&
	    (first_rows || ahead_us <= GAP_FACTOR * state->longest_gap_us))
		clock_announce(&state->clock, time_us - CLOCK_AHEAD_US, INT64_MAX);
}

/* Returns whether the row is refuted. */
static bool take_far(struct source_clock *clock, const struct row_time *row, bool second_row)
{
	struct followers found = followers_of(clock, row);
	struct source_clock_state *state = &clock->state;
	int64_t earliest_us = found.others_earliest_us;

	if (found.others == 0 && state->only_user == row->user_id)
		earliest_us = found.own_earliest_us;
	if (earliest_us == INT64_MAX)
		follow_last(state, second_row, row->time_us);
	else
		move_to(state, earliest_us < row->time_us ? earliest_us : row->time_us);
	return 2 * found.contradicting > found.others &&
	       row->time_us > clock_now(&state->clock) + SOURCE_CLOCK_TIME_US;
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
	struct source_clock_row taken = {.refuted = false};
	struct row_time row = *waiting(clock, 0);
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
			clock_accept(&clock->state.clock, row.time_us, row.user_id, CLOCK_NONE);
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
