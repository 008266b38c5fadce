/* The generator: the same seed gives the same bytes, and its rows have the shape of the real
 * data. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/span.h"
#include "base/timetext.h"
#include "event/event.h"
#include "event/event_json_library.h"
#include "event/event_json_write.h"
#include "event/reason.h"
#include "generator.h"
#include "corruptions.h"
#include "row.h"
#include "unit/fold_kit.h"

#define START_US (INT64_C(1569888000) * US_PER_SECOND) /* 2019-10-01 */

static uint64_t hash_of(const struct generator_config *config, size_t *rows)
{
	struct generator *generator = generator_new(config);
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	struct generated_row row;

	*rows = 0;
	while (generator_next(generator, &row) == GENERATOR_ROW) {
		for (size_t i = 0; i < row.line.len; i++)
			hash = (hash ^ (unsigned char)row.line.at[i]) * UINT64_C(0x100000001b3);
		(*rows)++;
	}
	generator_free(generator);
	return hash;
}

static const struct generator_config faulty = {.events = 20000,
                                               .seed = 7,
                                               .start_us = START_US,
                                               .duplicates_ppm = 10000,
                                               .malformed_ppm = 5000,
                                               .late_ppm = 2000,
                                               .disorder_us = 5 * US_PER_SECOND,
                                               .missing_sessions_ppm = 3000,
                                               .checkouts = true};

Test(producer_generator, the_same_seed_gives_the_same_bytes_and_another_does_not)
{
	struct generator_config other = faulty;
	size_t rows, again, others;
	uint64_t hash = hash_of(&faulty, &rows);

	other.seed = 8;
	cr_assert_eq(hash, hash_of(&faulty, &again));
	cr_assert_eq(rows, again);
	cr_assert_neq(hash, hash_of(&other, &others));
}

Test(producer_generator, a_known_seed_gives_known_bytes_on_every_machine)
{
	static const char *const want[] = {
		"2019-10-01 00:00:00 UTC,view,7726685,2053013640473387203,computers.ebooks,"
		"elmack,393.98,547146091,92f89756-082a-4514-990b-871ef099a8e9",
		"2019-10-01 00:00:00 UTC,view,4921688,2053013636244569011,electronics.smartphone,"
		"junmack,315.14,558628622,eeca3115-e23b-48f1-aad2-7b4f6d31990d",
		"2019-10-01 00:00:02 UTC,view,1995131,2053013654481347464,furniture.kitchen.table,"
		"alnela,512.17,547146091,9c5cdfcc-ab68-44c1-9662-92b3883870d0",
	};
	struct generator_config config = {.events = 3, .seed = 1, .start_us = START_US};
	struct generator *generator = generator_new(&config);
	struct generated_row row;

	for (size_t i = 0; i < 3; i++) {
		cr_assert_eq(generator_next(generator, &row), GENERATOR_ROW);
		cr_assert(span_is(row.line, want[i]), "row %zu: %.*s", i, (int)row.line.len,
		          row.line.at);
	}
	cr_assert_eq(generator_next(generator, &row), GENERATOR_END);
	generator_free(generator);
}

struct row_counts {
	int64_t rows, types[EVENT_TYPE_COUNT], no_code, no_brand, no_session, free, newest_us,
		oldest_us, free_other;
};

static struct row_counts count_rows(const struct generator_config *config)
{
	struct generator *generator = generator_new(config);
	struct row_counts shape = {.oldest_us = INT64_MAX, .newest_us = INT64_MIN};
	struct generated_row row;

	while (generator_next(generator, &row) == GENERATOR_ROW) {
		enum event_type type;

		cr_assert(row.well_formed);
		cr_assert(event_type_parse(row.fields[1], &type));
		shape.rows++;
		shape.types[type]++;
		shape.no_code += row.fields[4].len == 0;
		shape.no_brand += row.fields[5].len == 0;
		shape.no_session += row.fields[8].len == 0;
		shape.free += span_is(row.fields[6], "0.00");
		shape.free_other += span_is(row.fields[6], "0.00") && type != EVENT_VIEW;
		cr_assert_geq(row.event_time_us, shape.newest_us, "rows come in event-time order");
		shape.newest_us = row.event_time_us;
		if (row.event_time_us < shape.oldest_us)
			shape.oldest_us = row.event_time_us;
	}
	generator_free(generator);
	return shape;
}

#define cr_share(part, whole, low, high)                              \
	cr_assert((double)(part) / (double)(whole) >= (low) &&        \
	                  (double)(part) / (double)(whole) <= (high), \
	          #part ": %f", (double)(part) / (double)(whole))

Test(producer_generator, shares_are_near_those_of_the_real_sample)
{
	struct generator_config config = {.events = 100000, .seed = 3, .start_us = START_US};
	struct row_counts shape = count_rows(&config);

	cr_assert_eq(shape.rows, 100000);
	cr_share(shape.types[EVENT_VIEW], shape.rows, 0.97, 0.985);
	cr_share(shape.types[EVENT_CART], shape.rows, 0.007, 0.012);
	cr_share(shape.types[EVENT_PURCHASE], shape.rows, 0.010, 0.015);
	cr_assert_gt(shape.types[EVENT_REMOVE_FROM_CART], 0);
	cr_assert_eq(shape.types[EVENT_CHECKOUT], 0);
	cr_share(shape.no_code, shape.rows, 0.30, 0.36);
	cr_share(shape.no_brand, shape.rows, 0.12, 0.16);
	cr_assert_eq(shape.no_session, 0);
	cr_share(shape.free, shape.rows, 0.0005, 0.002);
	cr_assert_eq(shape.free_other, 0);
	cr_assert_eq(shape.oldest_us, START_US);
	cr_share(shape.newest_us - START_US, 100000 / 1.709 * 1e6, 0.93, 1.1);
}

static int compare_texts(const void *a, const void *b)
{
	return memcmp(a, b, 36);
}

static size_t distinct(char (*texts)[36], size_t count)
{
	size_t found = count > 0;

	qsort(texts, count, sizeof(*texts), compare_texts);
	for (size_t i = 1; i < count; i++)
		found += compare_texts(texts[i - 1], texts[i]) != 0;
	return found;
}

Test(producer_generator, the_month_has_the_totals_of_october_2019)
{
	struct generator_config config = {.events = 1000000,
	                                  .seed = 3,
	                                  .start_us = START_US,
	                                  .shape = SHAPE_MONTH};
	struct row_counts counts = count_rows(&config);
	char(*sessions)[36] = calloc(1000000, 36), (*users)[36] = calloc(1000000, 36);
	struct generator *generator = generator_new(&config);
	size_t session_count, user_count, rows = 0;
	struct generated_row row;

	for (; generator_next(generator, &row) == GENERATOR_ROW; rows++) {
		memcpy(users[rows], row.fields[7].at, row.fields[7].len);
		memcpy(sessions[rows], row.fields[8].at, row.fields[8].len);
	}
	session_count = distinct(sessions, rows);
	user_count = distinct(users, rows);
	cr_share(counts.types[EVENT_VIEW], counts.rows, 0.955, 0.965);
	cr_share(counts.types[EVENT_CART], counts.rows, 0.0207, 0.0229);
	cr_share(counts.types[EVENT_PURCHASE], counts.rows, 0.0166, 0.0184);
	cr_share(counts.newest_us - START_US, 1000000 / 15.848 * 1e6, 0.95, 1.1);
	cr_share(rows, session_count, 4.4, 4.75);
	/* The first million rows meet more users for the first time than the month does. */
	cr_share(session_count, user_count, 1.5, 3.1);
	generator_free(generator);
	free(sessions);
	free(users);
}

Test(producer_generator, duration_sets_the_event_time_covered)
{
	struct generator_config config = {.events = 50000,
	                                  .seed = 3,
	                                  .start_us = START_US,
	                                  .duration_us = 2 * US_PER_HOUR};
	struct row_counts shape = count_rows(&config);

	cr_share(shape.newest_us - START_US, 2 * US_PER_HOUR, 0.9, 1.25);
}

Test(producer_generator, checkouts_and_missing_sessions_come_only_when_asked_for)
{
	struct generator_config config = {.events = 50000,
	                                  .seed = 3,
	                                  .start_us = START_US,
	                                  .checkouts = true,
	                                  .missing_sessions_ppm = 20000};
	struct row_counts shape = count_rows(&config);

	cr_share(shape.types[EVENT_CHECKOUT], shape.types[EVENT_PURCHASE], 0.5, 1.0);
	cr_share(shape.no_session, shape.rows, 0.015, 0.025);
}

Test(producer_generator, disorder_stays_within_its_bound)
{
	struct generator_config config = {.events = 50000,
	                                  .seed = 5,
	                                  .start_us = START_US,
	                                  .disorder_us = 5 * US_PER_SECOND};
	struct generator *generator = generator_new(&config);
	int64_t newest_us = INT64_MIN, disordered = 0;
	struct generated_row row;

	while (generator_next(generator, &row) == GENERATOR_ROW) {
		if (row.event_time_us > newest_us)
			newest_us = row.event_time_us;
		disordered += row.event_time_us < newest_us;
		cr_assert_leq(newest_us - row.event_time_us, 5 * US_PER_SECOND);
	}
	cr_assert_gt(disordered, 5000, "%lld rows out of order", (long long)disordered);
	generator_free(generator);
}

Test(producer_generator, late_rows_are_20_to_60_minutes_late)
{
	struct generator_config config = {.events = 50000,
	                                  .seed = 5,
	                                  .start_us = START_US,
	                                  .late_ppm = 10000};
	struct generator *generator = generator_new(&config);
	int64_t newest_us = INT64_MIN, late = 0;
	struct generated_row row;

	while (generator_next(generator, &row) == GENERATOR_ROW) {
		int64_t delay_us;

		if (row.event_time_us > newest_us)
			newest_us = row.event_time_us;
		delay_us = newest_us - row.event_time_us;
		late += delay_us >= 19 * US_PER_MINUTE;
		cr_assert_leq(delay_us, 60 * US_PER_MINUTE);
	}
	cr_share(late, 50000, 0.007, 0.013);
	generator_free(generator);
}

static int by_text(const void *a, const void *b)
{
	const char *const *left = a, *const *right = b;

	return strcmp(*left, *right);
}

/* The lines of a run, sorted. */
static char **sorted_lines(const struct generator_config *config, size_t *count)
{
	struct generator *generator = generator_new(config);
	char **lines = calloc((size_t)config->events * 2, sizeof(*lines));
	struct generated_row row;

	*count = 0;
	while (generator_next(generator, &row) == GENERATOR_ROW)
		lines[(*count)++] = strndup(row.line.at, row.line.len);
	generator_free(generator);
	qsort(lines, *count, sizeof(*lines), by_text);
	return lines;
}

Test(producer_generator, duplicates_are_exact_copies_and_add_to_the_same_good_rows)
{
	struct generator_config config = {.events = 20000, .seed = 9, .start_us = START_US},
				doubled = config;
	size_t plain_count, count, copies = 0;
	char **plain = sorted_lines(&config, &plain_count), **lines;

	doubled.duplicates_ppm = 50000;
	lines = sorted_lines(&doubled, &count);
	for (size_t i = 0, j = 0; j < count; j++) {
		if (i < plain_count && strcmp(plain[i], lines[j]) == 0) {
			i++;
			continue;
		}
		cr_assert(j > 0 && strcmp(lines[j - 1], lines[j]) == 0, "not a copy: %s", lines[j]);
		copies++;
	}
	cr_assert_eq(copies, count - plain_count);
	cr_share(copies, plain_count, 0.04, 0.06);
	for (size_t i = 0; i < plain_count; i++)
		free(plain[i]);
	for (size_t i = 0; i < count; i++)
		free(lines[i]);
	free(plain);
	free(lines);
}

Test(producer_generator, every_kind_of_bad_row_is_refused_by_the_parser_or_the_splitter)
{
	struct generator_config config = {.events = 1, .seed = 9, .start_us = START_US};
	struct generator *generator = generator_new(&config);
	struct event_parser *parser = event_parser_new(NULL);
	struct generated_row good;

	cr_assert_eq(generator_next(generator, &good), GENERATOR_ROW);
	for (uint32_t kind = 0; kind < CORRUPTION_KINDS; kind++) {
		char line[512], json[2048], detail[128];
		struct span fields[ROW_COLUMNS_MAX];
		struct csv_record record;
		struct event event;
		struct row row;
		size_t used, len = corruption_write(kind, good.fields, line,
		                                    good.line.len + CORRUPTION_GROWTH);

		row_split(&row, &row_columns_standard,
		          csv_next(line, len, true, fields, ROW_COLUMNS_MAX, &record, &used),
		          &record, fields);
		cr_assert_eq(used, len, "kind %u reaches into the next row", kind);
		if (row.error[0])
			continue;
		len = event_write_json(row.fields, json, sizeof(json));
		if (span_is(row.fields[0], "9999-12-31 23:59:59 UTC"))
			continue; /* valid in form; refused by the partition's clock */
		cr_assert_neq(event_parse_json(parser, (struct span){json, len}, &event, detail,
		                               sizeof(detail)),
		              REASON_NONE, "kind %u: %.*s", kind, (int)len, json);
	}
	event_parser_free(parser);
	generator_free(generator);
}

Test(producer_generator, bad_rows_come_in_their_share)
{
	struct generator_config config = {.events = 50000,
	                                  .seed = 4,
	                                  .start_us = START_US,
	                                  .malformed_ppm = 10000};
	struct generator *generator = generator_new(&config);
	struct generated_row row;
	size_t bad = 0, good = 0;

	while (generator_next(generator, &row) == GENERATOR_ROW)
		*(row.well_formed ? &good : &bad) += 1;
	cr_assert_eq(good, 50000);
	cr_share(bad, good, 0.008, 0.012);
	generator_free(generator);
}
