/* Names of the files of the lake. */
#include "lake_tables.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/span.h"

Test(lake_path, a_path_is_read_as_it_was_written)
{
	static const struct {
		enum lake_table table;
		int64_t day;
		const char *topic;
		int32_t partition;
		int64_t first;
		const char *want;
	} cases[] = {
		{LAKE_BRONZE, 18170, "ecommerce_bronze_events", 3, 250000,
	         "bronze/event_date=2019-10-01/ecommerce_bronze_events-3-250000.parquet"},
		{LAKE_LATE_EVENTS, 0, "a-b-7", 0, 0,
	         "late_events/event_date=1970-01-01/a-b-7-0-0.parquet"},
		{LAKE_COUNTS, 2932896, "x.counts", 0, INT64_MAX,
	         "counts/record_date=9999-12-31/x.counts-0-9223372036854775807.parquet"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct lake_path path;
		char text[LAKE_RELATIVE_MAX];

		lake_path_format(cases[i].table, cases[i].day, cases[i].topic, cases[i].partition,
		                 cases[i].first, text);
		cr_expect_str_eq(text, cases[i].want);
		cr_assert(lake_path_parse(text, &path), "%s", text);
		cr_expect_eq(path.table, cases[i].table);
		cr_expect_eq(path.day, cases[i].day, "%s", text);
		cr_expect(span_is(path.topic, cases[i].topic), "%s", text);
		cr_expect_eq(path.partition, cases[i].partition);
		cr_expect_eq(path.first, cases[i].first);
	}
}

Test(lake_path, a_compacted_file_has_no_topic)
{
	struct lake_path path;

	cr_assert(lake_path_parse("bronze/event_date=2019-10-01/compacted-17-0.parquet", &path));
	cr_expect_null(path.topic.at);
	cr_expect_eq(path.day, 18170);
}

/* Files of others are never taken for ours. */
Test(lake_path, other_paths_are_not_of_the_lake)
{
	static const char *const paths[] = {
		"",
		"bronze",
		"bronze/a-0-0.parquet",
		"silver/event_date=2019-10-01/a-0-0.parquet",
		"bronze/record_date=2019-10-01/a-0-0.parquet",
		"bronze/event_date=2019-13-01/a-0-0.parquet",
		"bronze/event_date=2019-10-1/a-0-0.parquet",
		"bronze/event_date=2019-10-01/a-0-0.parquet.tmp",
		"bronze/event_date=2019-10-01/a-0.parquet",
		"bronze/event_date=2019-10-01/a-0-x.parquet",
		"bronze/event_date=2019-10-01/a-4294967296-0.parquet",
		"bronze/event_date=2019-10-01/.parquet",
		"bronze/event_date=2019-10-01/sub/a-0-0.parquet",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		struct lake_path path;

		cr_expect_not(lake_path_parse(paths[i], &path), "%s", paths[i]);
	}
}
