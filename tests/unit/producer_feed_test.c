/* The feed: clocks, announcements and the order of rows, from generated files; and the queue of
 * rows that it reads ahead. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/span.h"
#include "base/timetext.h"
#include "event/event_json_write.h"
#include "feed.h"
#include "message.h"
#include "packed_queue.h"
#include "row.h"
#include "source.h"
#include "source_clock.h"

#define T0 INT64_C(1569888000000000) /* 2019-10-01 */
#define HEADER \
	"event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"

static char path[64];

static void make_path(void)
{
	int fd;

	snprintf(path, sizeof(path), "/tmp/producer_feed_XXXXXX");
	fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	close(fd);
}

static void remove_path(void)
{
	unlink(path);
}

TestSuite(producer_feed, .init = make_path, .fini = remove_path);

/* The time of row i. */
typedef int64_t time_fn(int i);

static void write_rows(int count, int users, time_fn *time_of)
{
	FILE *file = fopen(path, "w");
	char text[32];

	fputs(HEADER, file);
	for (int i = 0; i < count; i++) {
		time_format_plain(time_of(i), text);
		fprintf(file, "%s UTC,view,%d,1,a.b,b,1.00,%d,s%d\n", text, i + 1, 1 + i % users,
		        i % 50);
	}
	fclose(file);
}

struct opened {
	struct source *source;
	struct feed *feed;
	struct err err;
	bool started;
};

static struct opened open_feed_with(const struct feed_params params,
                                    const struct source_clock_state *resumed)
{
	const struct message_form form = {.partition_count = 4};
	struct opened opened = {0};

	opened.source = source_files_open(path, NULL, 0, &opened.err);
	cr_assert_not_null(opened.source, "%s", opened.err.message);
	opened.feed = feed_new(opened.source, &params, &opened.err);
	cr_assert_not_null(opened.feed);
	opened.started = feed_start(opened.feed, &form, resumed, &opened.err);
	return opened;
}

static struct opened open_feed(const struct source_clock_state *resumed)
{
	return open_feed_with((struct feed_params){T0, true, 7 * US_PER_DAY, false}, resumed);
}

static void close_feed(struct opened *opened)
{
	feed_free(opened->feed);
	source_free(opened->source);
}

static int64_t every_8_hours(int i)
{
	return T0 + i * 8 * US_PER_HOUR;
}

static int64_t every_10_minutes(int i)
{
	return T0 + i * 10 * US_PER_MINUTE;
}

Test(producer_feed, every_row_of_a_sparse_file_carries_its_own_time)
{
	struct opened opened;
	int rows = 0;

	write_rows(90, 7, every_8_hours);
	opened = open_feed(NULL);
	cr_assert(opened.started, "%s", opened.err.message);
	for (; feed_message(opened.feed); feed_advance(opened.feed), rows++) {
		const struct message *message = feed_message(opened.feed);

		cr_assert_eq(message->position.row, rows + 1);
		cr_assert_eq(message->event_time_us, every_8_hours(rows));
		cr_assert_eq(message->source_clock_us,
		             rows < 89 ? message->event_time_us : every_8_hours(88));
		cr_assert_not(message->time_refuted);
	}
	cr_assert_eq(rows, 90);
	cr_assert(feed_ended_well(opened.feed, &opened.err));
	close_feed(&opened);
}

Test(producer_feed, jumps_are_announced_once_per_hour_and_only_a_pause_says_so)
{
	struct opened opened;
	int begins = 0, jumps = 0, pauses = 0;
	int64_t time_us, hour_us = INT64_MIN;
	bool pause;

	write_rows(1200, 7, every_10_minutes);
	opened = open_feed(NULL);
	for (; feed_message(opened.feed); feed_advance(opened.feed)) {
		switch (feed_announce(opened.feed, &time_us, &pause)) {
		case FEED_NOTHING: continue;
		case FEED_BEGIN: begins++; break;
		case FEED_JUMP: jumps++; break;
		}
		pauses += pause;
		cr_assert(time_us <= feed_message(opened.feed)->source_clock_us);
		cr_assert(time_floor(time_us, US_PER_HOUR) > hour_us);
		hour_us = time_floor(time_us, US_PER_HOUR);
	}
	cr_assert_eq(begins, 1);
	cr_assert(jumps >= 198 && jumps <= 200, "%d jumps in 200 hours", jumps);
	cr_assert_eq(pauses, 0);
	close_feed(&opened);
	write_rows(90, 7, every_8_hours);
	opened = open_feed(NULL);
	for (pauses = 0; feed_message(opened.feed); feed_advance(opened.feed))
		if (feed_announce(opened.feed, &time_us, &pause) == FEED_JUMP)
			pauses += pause;
	cr_assert_eq(pauses, 0, "8 hours are waited for");
	close_feed(&opened);
}

static int64_t last_row_after_two_days(int i)
{
	return T0 + i * US_PER_HOUR + (i == 3 ? 2 * US_PER_DAY : 0);
}

static int64_t third_row_a_year_ahead(int i)
{
	return T0 + i * US_PER_MINUTE + (i == 2 ? 365 * US_PER_DAY : 0);
}

static int64_t due_of_last_row(int rows, time_fn *time_of, bool in_real_time)
{
	struct opened opened;
	int64_t due_us = CLOCK_NONE;

	write_rows(rows, 7, time_of);
	opened = open_feed_with((struct feed_params){T0, true, 7 * US_PER_DAY, in_real_time}, NULL);
	for (; feed_message(opened.feed); feed_advance(opened.feed))
		due_us = feed_due_us(opened.feed);
	close_feed(&opened);
	return due_us;
}

Test(producer_feed, in_real_time_a_last_row_after_a_pause_is_due_at_its_own_time)
{
	cr_assert_eq(due_of_last_row(4, last_row_after_two_days, true), last_row_after_two_days(3));
	cr_assert_eq(due_of_last_row(4, last_row_after_two_days, false), last_row_after_two_days(2),
	             "a replay does not wait for it");
	cr_assert_eq(due_of_last_row(30, third_row_a_year_ahead, true), third_row_a_year_ahead(29),
	             "later rows refute the row a year ahead");
}

Test(producer_feed, a_resumed_feed_has_the_clocks_of_one_that_did_not_stop)
{
	static int64_t clocks[90];
	struct source_clock_state states[90];
	struct opened opened;
	struct row row;

	write_rows(90, 3, every_8_hours);
	opened = open_feed(NULL);
	for (int i = 0; i < 90; i++, feed_advance(opened.feed)) {
		clocks[i] = feed_message(opened.feed)->source_clock_us;
		states[i] = *feed_clock_state(opened.feed);
	}
	close_feed(&opened);
	for (int stop = 1; stop < 90; stop += 11) {
		const struct feed_params params = {T0, true, 7 * US_PER_DAY, false};
		const struct message_form form = {.partition_count = 4};

		opened.source = source_files_open(path, NULL, 0, &opened.err);
		opened.feed = feed_new(opened.source, &params, &opened.err);
		for (int i = 0; i < stop; i++)
			cr_assert_eq(source_next(opened.source, &row, &opened.err), SOURCE_ROW);
		cr_assert(feed_start(opened.feed, &form, &states[stop - 1], &opened.err));
		for (int i = stop; i < 90; i++, feed_advance(opened.feed))
			cr_assert_eq(feed_message(opened.feed)->source_clock_us, clocks[i],
			             "stopped after %d, row %d", stop, i);
		close_feed(&opened);
	}
}

/* ---- order */

static int64_t backwards(int i)
{
	return T0 + (1000 - i) * US_PER_HOUR;
}

static int64_t shuffled(int i)
{
	return T0 + (int64_t)((unsigned)i * 2654435761u % 30000) * 90 * US_PER_SECOND;
}

static int64_t disordered(int i)
{
	return T0 + i * US_PER_SECOND - (i % 7) * US_PER_SECOND - (i % 100 == 50) * US_PER_HOUR;
}

static int64_t one_wrong_at_first(int i)
{
	return i == 0 ? T0 + 400 * US_PER_DAY : T0 + i * US_PER_MINUTE;
}

Test(producer_feed, rows_without_a_usable_order_are_refused_before_anything_is_sent)
{
	static const struct {
		const char *label;
		time_fn *time_of;
		int rows;
		const char *says;
	} cases[] = {{"backwards", backwards, 300, "runs backwards"},
	             {"backwards, long", backwards, 20000, "runs backwards"},
	             {"backwards, three rows", backwards, 3, "runs backwards"},
	             {"shuffled", shuffled, 20000, "not in the order"},
	             {"in order", every_8_hours, 90, NULL},
	             {"one row", backwards, 1, NULL},
	             {"disordered", disordered, 20000, NULL},
	             {"a wrong first row", one_wrong_at_first, 300, NULL},
	             {"a wrong first row of five", one_wrong_at_first, 5, NULL}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct opened opened;

		write_rows(cases[i].rows, 7, cases[i].time_of);
		opened = open_feed(NULL);
		cr_assert_eq(opened.started, cases[i].says == NULL, "%s: %s", cases[i].label,
		             opened.err.message);
		if (cases[i].says) {
			cr_assert_eq(opened.err.class, ERR_REFUSED);
			cr_assert_not_null(strstr(opened.err.message, cases[i].says), "%s: %s",
			                   cases[i].label, opened.err.message);
			cr_assert_not_null(strstr(opened.err.message, "--order time"));
		}
		close_feed(&opened);
	}
}

/* 12,000 rows in order, then from the start again. */
static int64_t starts_again(int i)
{
	return T0 + i % 12000 * 2 * US_PER_MINUTE;
}

static int64_t single_late_rows(int i)
{
	return T0 + i * 2 * US_PER_MINUTE - (i > 10000 && i % 2) * 9 * US_PER_DAY;
}

Test(producer_feed, a_hundred_rows_before_the_horizon_in_a_row_end_the_replay)
{
	struct opened opened;
	int rows = 0;

	write_rows(14000, 7, starts_again);
	opened = open_feed(NULL);
	cr_assert(opened.started, "%s", opened.err.message);
	for (; feed_message(opened.feed); feed_advance(opened.feed))
		rows++;
	cr_assert_eq(rows, 12099);
	cr_assert_not(feed_ended_well(opened.feed, &opened.err));
	cr_assert_not_null(strstr(opened.err.message, "rows 12001 to 12100"), "%s",
	                   opened.err.message);
	close_feed(&opened);
	write_rows(14000, 7, single_late_rows);
	opened = open_feed(NULL);
	for (rows = 0; feed_message(opened.feed); feed_advance(opened.feed))
		rows++;
	cr_assert_eq(rows, 14000, "single ones are sent");
	cr_assert(feed_ended_well(opened.feed, &opened.err));
	close_feed(&opened);
}

/* ---- the queue */

Test(producer_packed_queue, keeps_copies_of_rows_that_are_gone)
{
	static struct row_extra extras[ROW_COLUMNS_MAX];
	struct packed_queue queue = {0};
	char raw[32], other[16];
	struct row row = {.source_file = "f"};
	int pushed = 0, popped = 0;

	for (int step = 0; step < 3000; step++) {
		if (step % 5 != 4) {
			int len = snprintf(raw, sizeof(raw), "raw-%d,x", pushed);

			row.raw = (struct span){raw, (size_t)len};
			row.fields[0] = (struct span){raw + 4, (size_t)len - 6};
			row.fields[1] = (struct span){other, (size_t)snprintf(other, sizeof(other),
			                                                      "q%d", pushed)};
			row.position.row = pushed++;
			packed_queue_push(&queue, &row);
			memset(raw, '#', sizeof(raw));
			memset(other, '#', sizeof(other));
		}
		if (step % 3 == 0 || step > 2000) {
			struct row oldest;
			char want[16];

			if (queue.count == 0)
				continue;
			packed_queue_pop(&queue, extras, &oldest);
			cr_assert_eq(oldest.position.row, popped);
			cr_assert_str_eq(oldest.source_file, "f");
			snprintf(want, sizeof(want), "%d", popped);
			cr_assert(span_is(oldest.fields[0], want));
			snprintf(want, sizeof(want), "q%d", popped);
			cr_assert(span_is(oldest.fields[1], want));
			cr_assert_eq(oldest.fields[2].len, 0);
			popped++;
		}
	}
	cr_assert(popped > 1000);
	packed_queue_free(&queue);
}
