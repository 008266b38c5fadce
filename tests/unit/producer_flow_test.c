/* Parts of the producer without Kafka: pace, the acknowledged prefix, the state file, settings. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "acks.h"
#include "base/err.h"
#include "base/span.h"
#include "base/timetext.h"
#include "event/clock.h"
#include "options.h"
#include "pace.h"
#include "rejects.h"
#include "row.h"
#include "source_clock.h"
#include "state_file.h"

#define EARLIEST_US (INT64_C(946684800) * US_PER_SECOND) /* 2000-01-01 */

/* ---- pace */

Test(producer_pace, speeds_are_read_exactly)
{
	static const struct {
		const char *text;
		bool good;
		int64_t milli;
	} cases[] = {{"max", true, 0},
	             {"1x", true, 1000},
	             {"60x", true, 60000},
	             {"60", true, 60000},
	             {"0.5x", true, 500},
	             {"1.25", true, 1250},
	             {"0.001x", true, 1},
	             {"0", false, 0},
	             {"x", false, 0},
	             {"", false, 0},
	             {"-1", false, 0},
	             {"1.2345", false, 0},
	             {".5", false, 0},
	             {"1.", false, 0},
	             {"fast", false, 0},
	             {"1000001", false, 0},
	             {"1..5", false, 0},
	             {"99999999999999999999", false, 0},
	             {"1000000x", true, 1000000000},
	             {"1000000.001", false, 0},
	             {"0.0009", false, 0},
	             {"0.000", false, 0},
	             {"000000000000000000000001.5x", true, 1500},
	             {"1.5.5", false, 0},
	             {"1.x", false, 0},
	             {".x", false, 0},
	             {"1xx", false, 0},
	             {"1 x", false, 0},
	             {" 1", false, 0},
	             {"+1", false, 0},
	             {"1,5", false, 0}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t milli = -1;

		cr_assert_eq(pace_speed_parse(span_of(cases[i].text), &milli), cases[i].good, "%s",
		             cases[i].text);
		if (cases[i].good)
			cr_assert_eq(milli, cases[i].milli, "%s", cases[i].text);
	}
}

Test(producer_pace, event_time_advances_speed_times_real_time)
{
	struct pace pace = {.speed_milli = 60000};

	pace_anchor(&pace, 1000 * US_PER_SECOND, 5000000);
	cr_assert_eq(pace_wait_us(&pace, 1000 * US_PER_SECOND, 5000000), 0);
	cr_assert_eq(pace_wait_us(&pace, 1060 * US_PER_SECOND, 5000000), US_PER_SECOND);
	cr_assert_eq(pace_wait_us(&pace, 1060 * US_PER_SECOND, 5400000), 600000);
	cr_assert_eq(pace_wait_us(&pace, 1060 * US_PER_SECOND, 6000000), 0);
	cr_assert_eq(pace_wait_us(&pace, 1060 * US_PER_SECOND, 9000000), 0,
	             "late: as fast as possible");
	pace.speed_milli = 500;
	cr_assert_eq(pace_wait_us(&pace, 1001 * US_PER_SECOND, 5000000), 2 * US_PER_SECOND);
}

Test(producer_pace, years_of_event_time_do_not_overflow)
{
	struct pace pace = {.speed_milli = 1};

	pace_anchor(&pace, EARLIEST_US, 0);
	cr_assert_eq(pace_wait_us(&pace, EARLIEST_US + 36500 * US_PER_DAY / 100, 0),
	             365 * US_PER_DAY * 1000);
}

/* Sends each row as soon as it is due, for a duration. Returns the number of rows, and the most
 * within 10 ms. */
static int64_t run_rate(int64_t rate, int64_t duration_us, int64_t stall_at_us, int64_t stall_us,
                        int64_t *most)
{
	struct pace pace = {.rate = rate};
	int64_t now_us = 1000000, end_us = now_us + duration_us, rows = 0, in_slot = 0, slot = -1;

	*most = 0;
	while (now_us < end_us) {
		int64_t wait_us = pace_wait_us(&pace, 0, now_us);

		if (wait_us > 0) {
			now_us += wait_us;
			continue;
		}
		if (stall_us > 0 && now_us - 1000000 > stall_at_us) {
			now_us += stall_us;
			stall_us = 0;
		}
		pace_sent(&pace, now_us);
		rows++;
		in_slot = now_us / 10000 == slot ? in_slot + 1 : 1;
		slot = now_us / 10000;
		*most = in_slot > *most ? in_slot : *most;
	}
	return rows;
}

Test(producer_pace, a_rate_is_kept_exactly_and_evenly)
{
	static const int64_t rates[] = {1, 7, 300, 5000, 77777, 150000};

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		int64_t most, rows = run_rate(rates[i], 20 * US_PER_SECOND, 0, 0, &most);

		cr_assert_geq(rows, rates[i] * 20 - 1, "%lld", (long long)rates[i]);
		cr_assert_leq(rows, rates[i] * 20 + rates[i] / 100 + 2, "%lld: %lld",
		              (long long)rates[i], (long long)rows);
		cr_assert_leq(most, rates[i] / 50 + 2, "%lld: %lld in 10 ms", (long long)rates[i],
		              (long long)most);
	}
}

Test(producer_pace, after_a_stall_at_most_10_ms_are_caught_up)
{
	int64_t most, rows = run_rate(10000, 10 * US_PER_SECOND, 2 * US_PER_SECOND,
	                              3 * US_PER_SECOND, &most);

	cr_assert_leq(rows, 7 * 10000 + 300);
	cr_assert_geq(rows, 7 * 10000 - 10);
	cr_assert_leq(most, 310);
}

/* ---- the acknowledged prefix */

static struct ack *push_row(struct acks *acks, int64_t row, int32_t partition)
{
	struct ack *ack = acks_push(acks);

	cr_assert_not_null(ack);
	ack->position = (struct row_position){0, row, row * 100};
	source_clock_state_init(&ack->clock);
	ack->clock.longest_gap_us = row;
	ack->partition = partition;
	ack->is_row = true;
	return ack;
}

static void done(struct ack *ack, int64_t offset)
{
	ack->broker_offset = offset;
	ack->state = ACK_DONE;
}

Test(producer_acks, the_prefix_moves_only_over_what_is_contiguous)
{
	static struct checkpoint checkpoint;
	struct ack *rows[4];
	struct acks acks;

	checkpoint_init(&checkpoint, 2);
	cr_assert(acks_init(&acks, 8));
	for (int i = 0; i < 4; i++)
		rows[i] = push_row(&acks, i + 1, i % 2);
	done(rows[1], 10);
	done(rows[3], 11);
	acks_advance(&acks, &checkpoint);
	cr_assert_eq(checkpoint.rows, 0);
	cr_assert_eq(checkpoint.partitions[1].last_offset, -1);
	done(rows[0], 20);
	acks_advance(&acks, &checkpoint);
	cr_assert_eq(checkpoint.rows, 2);
	cr_assert_eq(checkpoint.position.row, 2);
	cr_assert_eq(checkpoint.position.byte_offset, 200);
	cr_assert_eq(checkpoint.partitions[1].last_offset, 10);
	done(rows[2], 21);
	acks_advance(&acks, &checkpoint);
	cr_assert_eq(checkpoint.rows, 4);
	cr_assert_eq(checkpoint.clock.longest_gap_us, 4);
	cr_assert_eq(checkpoint.partitions[0].rows, 2);
	cr_assert_eq(checkpoint.partitions[1].rows, 2);
	cr_assert_eq(acks_waiting(&acks), 0);
	acks_fini(&acks);
}

Test(producer_acks, controls_are_waited_for_but_are_not_rows)
{
	static struct checkpoint checkpoint;
	struct ack *control, *row;
	struct acks acks;

	checkpoint_init(&checkpoint, 1);
	cr_assert(acks_init(&acks, 4));
	control = acks_push(&acks);
	control->partition = 0;
	control->is_row = false;
	control->clock.longest_gap_us = 99;
	row = push_row(&acks, 1, 0);
	done(row, 6);
	acks_advance(&acks, &checkpoint);
	cr_assert_eq(checkpoint.rows, 0);
	done(control, 5);
	acks_advance(&acks, &checkpoint);
	cr_assert_eq(checkpoint.rows, 1);
	cr_assert_eq(checkpoint.partitions[0].rows, 1);
	cr_assert_eq(checkpoint.clock.longest_gap_us, 1);
	cr_assert_eq(checkpoint.partitions[0].last_offset, 6);
	acks_fini(&acks);
}

Test(producer_acks, a_full_ring_gives_nothing_until_the_prefix_moves)
{
	static struct checkpoint checkpoint;
	struct ack *rows[4];
	struct acks acks;

	checkpoint_init(&checkpoint, 1);
	cr_assert(acks_init(&acks, 4));
	for (int i = 0; i < 4; i++)
		rows[i] = push_row(&acks, i + 1, 0);
	cr_assert_null(acks_push(&acks));
	done(rows[0], 0);
	cr_assert_null(acks_push(&acks));
	acks_advance(&acks, &checkpoint);
	cr_assert_eq(acks_push(&acks), rows[0], "the slot is used again");
	acks_pop_last(&acks);
	cr_assert_eq(acks_waiting(&acks), 3);
	acks_fini(&acks);
}

/* Acknowledgements in random order: the prefix never passes an unacknowledged row, and is complete
 * at the end. */
Test(producer_acks, any_order_of_acknowledgements_ends_with_all_rows)
{
	static struct checkpoint checkpoint;
	struct ack *waiting[64];
	size_t count = 0;
	struct acks acks;
	unsigned seed = 12345;

	checkpoint_init(&checkpoint, 3);
	cr_assert(acks_init(&acks, 64));
	for (int64_t row = 1; row <= 5000 || count > 0;) {
		seed = seed * 1103515245 + 12345;
		if (row <= 5000 && count < 60 && (seed >> 16) % 3 != 0) {
			struct ack *ack = acks_push(&acks);

			if (ack) {
				*ack = (struct ack){.position = {0, row, 0},
				                    .partition = (int32_t)(row % 3),
				                    .is_row = true};
				waiting[count++] = ack;
				row++;
				continue;
			}
		}
		if (count > 0) {
			size_t at = (seed >> 8) % count;
			int64_t oldest = INT64_MAX;

			done(waiting[at], 1);
			waiting[at] = waiting[--count];
			acks_advance(&acks, &checkpoint);
			for (size_t i = 0; i < count; i++)
				oldest = waiting[i]->position.row < oldest
				                 ? waiting[i]->position.row
				                 : oldest;
			cr_assert_eq(checkpoint.rows, count > 0 ? oldest - 1 : row - 1);
		}
	}
	cr_assert_eq(checkpoint.rows, 5000);
	cr_assert_eq(checkpoint.partitions[0].rows + checkpoint.partitions[1].rows +
	                     checkpoint.partitions[2].rows,
	             5000);
	acks_fini(&acks);
}

/* ---- the state file */

Test(producer_state_file, what_is_written_is_read_and_a_damaged_one_is_refused)
{
	static struct saved_state out, in;
	char folder[] = "/tmp/producer_state_XXXXXX", path[128], command[256];
	struct err err;
	FILE *file;

	cr_assert_not_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/made/state.json", folder);
	cr_assert_eq(state_file_read(path, &in, &err), STATE_NONE);
	checkpoint_init(&out.checkpoint, 3);
	snprintf(out.segment, sizeof(out.segment), "a \"quoted\" name");
	snprintf(out.topic, sizeof(out.topic), "t");
	out.checkpoint.rows = 12;
	out.checkpoint.position = (struct row_position){1, 5, INT64_C(9876543210)};
	clock_announce(&out.checkpoint.clock.clock, EARLIEST_US, INT64_MAX);
	out.checkpoint.clock.longest_gap_us = 17;
	out.checkpoint.partitions[2].rows = 12;
	out.checkpoint.partitions[2].last_offset = INT64_C(1) << 40;
	cr_assert(state_file_write(path, &out, &err), "%s", err.message);
	cr_assert_eq(state_file_read(path, &in, &err), STATE_FOUND);
	cr_assert_str_eq(in.segment, out.segment);
	cr_assert_not(in.complete);
	cr_assert_eq(in.checkpoint.position.byte_offset, INT64_C(9876543210));
	cr_assert_eq(memcmp(&in.checkpoint.clock, &out.checkpoint.clock,
	                    sizeof(in.checkpoint.clock)),
	             0);
	cr_assert_eq(in.checkpoint.partition_count, 3);
	cr_assert_eq(in.checkpoint.partitions[0].last_offset, -1);
	cr_assert_eq(in.checkpoint.partitions[2].last_offset, INT64_C(1) << 40);
	snprintf(command, sizeof(command), "sed -i '/source_clock/d' %s", path);
	cr_assert_eq(system(command), 0);
	cr_assert_eq(state_file_read(path, &in, &err), STATE_FOUND, "as former versions wrote it");
	cr_assert_eq(clock_now(&in.checkpoint.clock.clock), EARLIEST_US);
	snprintf(command, sizeof(command),
	         "sed -i 's/\"newest_us\": .*,/\"newest_us\": %" PRId64 ",/' %s", INT64_MAX, path);
	cr_assert_eq(system(command), 0);
	cr_assert_eq(state_file_read(path, &in, &err), STATE_UNREADABLE, "no possible time");
	out.shift_us = INT64_MAX;
	cr_assert(state_file_write(path, &out, &err), "%s", err.message);
	cr_assert_eq(state_file_read(path, &in, &err), STATE_UNREADABLE, "no possible shift");
	file = fopen(path, "w");
	fputs("{\"version\":1", file);
	fclose(file);
	cr_assert_eq(state_file_read(path, &in, &err), STATE_UNREADABLE);
	cr_assert_eq(err.class, ERR_OPERATOR);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	cr_assert_eq(system(command), 0);
}

/* ---- settings */

Test(producer_options, shares_are_read_exactly)
{
	static const struct {
		const char *text;
		bool good;
		int64_t ppm;
	} cases[] = {{"0", true, 0},          {"1", true, 1000000},
	             {"0.01", true, 10000},   {"0.000001", true, 1},
	             {"1.0", true, 1000000},  {"1.1", false, 0},
	             {"-0.1", false, 0},      {"", false, 0},
	             {".1", false, 0},        {"0.", false, 0},
	             {"0.0000001", false, 0}, {"1%", false, 0},
	             {"2", false, 0},         {"1.000000", true, 1000000},
	             {"1.000001", false, 0},  {"00000001", true, 1000000},
	             {"000000001", false, 0}, {"0.5.5", false, 0},
	             {"+1", false, 0},        {" 1", false, 0},
	             {"99999999", false, 0},  {".", false, 0}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t ppm = -1;

		cr_assert_eq(share_parse(span_of(cases[i].text), &ppm), cases[i].good, "%s",
		             cases[i].text);
		if (cases[i].good)
			cr_assert_eq(ppm, cases[i].ppm, "%s", cases[i].text);
	}
}

Test(producer_options, fail_above_takes_a_share_or_a_percentage)
{
	static const struct {
		const char *text;
		bool good;
		int64_t ppm;
	} cases[] = {{"", true, -1},     {"1%", true, 10000},     {"0.01", true, 10000},
	             {"0%", true, 0},    {"100%", true, 1000000}, {"0.5%", true, 5000},
	             {"101%", false, 0}, {"1.1", false, 0},       {"%", false, 0},
	             {"1 %", false, 0},  {"0.00001%", false, 0},  {"-1%", false, 0}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct producer_config config = {.source = "synthetic",
		                                 .input = "",
		                                 .output = "",
		                                 .tee = "",
		                                 .framing = "plain",
		                                 .speed = "max",
		                                 .start_time = "2019-10-01 00:00:00",
		                                 .shape = "sample",
		                                 .duplicates = "0",
		                                 .malformed = "0",
		                                 .late = "0",
		                                 .missing_sessions = "0",
		                                 .month = "",
		                                 .from = "",
		                                 .to = "",
		                                 .loop = "1",
		                                 .fail_above = cases[i].text};
		struct producer_plan plan = {0};
		struct err err = {0};

		cr_assert_eq(producer_plan_read(&config, &plan, &err), cases[i].good, "\"%s\": %s",
		             cases[i].text, err.message);
		if (cases[i].good)
			cr_assert_eq(plan.fail_above_ppm, cases[i].ppm, "\"%s\"", cases[i].text);
	}
}

Test(producer_rejects, share_above_the_limit_or_no_accepted_row_is_refused)
{
	static const struct {
		int64_t rows, refused, limit_ppm;
		const char *want; /* a part of the error; NULL: within */
	} cases[] = {{100, 0, 0, NULL},
	             {100, 1, 10000, NULL},
	             {100, 2, 10000, "2 of 100 rows were refused, more than FAIL_ABOVE=x"},
	             {100, 1, 0, "1 of 100 rows"},
	             {100, 99, 1000000, NULL},
	             {100, 100, 1000000, "none of the 100 rows"},
	             {0, 0, 1000000, "no rows"},
	             {INT64_C(4000000000000), INT64_C(40000000001), 10000, "40000000001 of"},
	             {INT64_C(4000000000000), INT64_C(40000000000), 10000, NULL}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = {0};
		bool good = rejects_within(cases[i].rows, cases[i].refused, cases[i].limit_ppm, "x",
		                           &err);

		cr_assert_eq(good, cases[i].want == NULL, "case %zu: %s", i, err.message);
		if (!good) {
			cr_assert_eq(err.class, ERR_REFUSED);
			cr_assert(strstr(err.message, cases[i].want), "case %zu: %s", i,
			          err.message);
		}
	}
}
