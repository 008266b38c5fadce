/* Signs that the registry has lost its data: counts of ours that cannot be read, and for how long a
 * service is not ready. */
#include <criterion/criterion.h>

#include "base/err.h"
#include "base/span.h"
#include "event/reason.h"
#include "stream/unreadable_counts.h"
#include "wire/schema_loss.h"

#define PREFIX "set_"

static struct framed_record place_of_id(int32_t id)
{
	return (struct framed_record){PREFIX "counts", 40 + id, 0, id};
}

struct entry {
	const char *key;
	enum reason reason;
};

/* Whether a topic with these records, in this order, is refused. */
static bool refused(const struct entry *entries, size_t count, struct err *err)
{
	struct unreadable_counts unread = {0};

	for (size_t i = 0; i < count; i++) {
		struct framed_record place = place_of_id((int32_t)i + 1);

		unreadable_counts_add(&unread, PREFIX, span_of(entries[i].key), &place,
		                      entries[i].reason);
	}
	return !unreadable_counts_check(&unread, PREFIX "counts", err);
}

Test(unreadable_counts, newest_counts_that_are_refused_for_their_schema_id_are_an_error)
{
	static const char *const keys[] = {"bronze-sink|set_raw_events|0",
	                                   "bronze-sink|set_raw_events|127",
	                                   "funnel-aggregator|set_bronze_events|3"};
	static const enum reason reasons[] = {REASON_UNKNOWN_SCHEMA_ID, REASON_WRONG_SCHEMA};

	for (size_t k = 0; k < 3; k++) {
		for (size_t r = 0; r < 2; r++) {
			struct entry entries[] = {{keys[k], REASON_NONE}, {keys[k], reasons[r]}};
			struct err err = {ERR_NONE, ""};

			cr_assert(refused(entries, 2, &err), "%s", keys[k]);
			cr_assert_eq(err.class, ERR_OPERATOR);
			cr_assert(strstr(err.message, "schema id 2 of set_counts/0, offset 42") !=
			                  NULL,
			          "%s", err.message);
			cr_assert(strstr(err.message, "schemas --yes") != NULL, "%s", err.message);
		}
	}
}

Test(unreadable_counts, older_records_of_a_key_do_not_matter)
{
	struct entry entries[] = {{"bronze-sink|set_raw_events|0", REASON_UNKNOWN_SCHEMA_ID},
	                          {"bronze-sink|set_raw_events|0", REASON_NONE}};

	cr_assert_not(refused(entries, 2, NULL));
}

Test(unreadable_counts, keys_that_no_service_writes_do_not_matter)
{
	static const char *const keys[] = {NULL,
	                                   "",
	                                   "stray",
	                                   "bronze-sink|set_raw_events|",
	                                   "bronze-sink|set_raw_events|x",
	                                   "bronze-sink|set_raw_events|1x",
	                                   "bronze-sink|set_raw_events|-1",
	                                   "bronze-sink|set_raw_events|128",
	                                   "bronze-sink|set_raw_events|99999999999999999999",
	                                   "bronze-sink|other_raw_events|0",
	                                   "bronze-sink|set_bronze_events|0",
	                                   "funnel-aggregator|set_raw_events|0",
	                                   "pg-loader|set_raw_events|0"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		cr_assert_not(refused(&(struct entry){keys[i], REASON_UNKNOWN_SCHEMA_ID}, 1, NULL),
		              "%s", keys[i] ? keys[i] : "no key");
}

Test(unreadable_counts, bytes_that_were_never_counts_do_not_matter)
{
	static const enum reason reasons[] = {REASON_NULL_VALUE, REASON_UNKNOWN_MAGIC_BYTE,
	                                      REASON_MALFORMED_AVRO};

	for (size_t i = 0; i < 3; i++)
		cr_assert_not(refused(&(struct entry){"bronze-sink|set_raw_events|0", reasons[i]},
		                      1, NULL));
}

Test(schema_loss, a_framed_record_has_the_id_of_its_frame)
{
	static const struct {
		struct span value;
		int32_t id;
	} table[] = {{{"\0\0\1\2\3body", 9}, 0x10203},
	             {{"\0\0\1", 3}, 0},
	             {{"{}", 2}, 0},
	             {{NULL, 0}, 0}};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		cr_assert_eq(framed_record_of("t", 1, 2, table[i].value).schema_id, table[i].id,
		             "%zu", i);
}

Test(schema_loss, a_service_is_not_ready_for_a_minute_after_the_last_record)
{
	struct schema_alarm alarm = {0};
	struct framed_record first = place_of_id(7), second = place_of_id(8);
	int64_t now_us = 5;

	cr_assert_null(schema_alarm_message(&alarm, now_us));
	cr_assert(schema_alarm_raise(&alarm, now_us, &first, REASON_WRONG_SCHEMA),
	          "the first is worth a line");
	cr_assert(strstr(schema_alarm_message(&alarm, now_us),
	                 "first 7 at set_counts/0 offset 47") != NULL,
	          "%s", schema_alarm_message(&alarm, now_us));
	now_us += SCHEMA_ALARM_US - 1;
	cr_assert_not_null(schema_alarm_message(&alarm, now_us));
	cr_assert_not(schema_alarm_raise(&alarm, now_us, &second, REASON_WRONG_SCHEMA),
	              "one line until it is over");
	now_us += SCHEMA_ALARM_US - 1;
	cr_assert(strstr(schema_alarm_message(&alarm, now_us), "first 7 at") != NULL);
	now_us += 1;
	cr_assert_null(schema_alarm_message(&alarm, now_us));
	cr_assert(schema_alarm_raise(&alarm, now_us, &second, REASON_UNKNOWN_SCHEMA_ID),
	          "and another one after it");
	cr_assert(strstr(schema_alarm_message(&alarm, now_us), "first 8 at") != NULL);
}
