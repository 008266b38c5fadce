#include "kafka/stored_start.h"

#include <inttypes.h>

#include "service/log.h"
#include "service/monotime.h"
#include "stream/start_offset.h"

#define PAST_END_LIMIT_US INT64_C(10000000)

static bool cannot_start(const struct assigned_partition *partition, const char *place,
                         int64_t stored, const char *what, const char *advice, struct err *err)
{
	return err_set(err, ERR_OPERATOR,
	               "%s/%" PRId32 ": the next offset in %s is %" PRId64
	               ", but the log has offsets %" PRId64 " to %" PRId64 " (exclusive): %s; %s",
	               partition->topic->name, partition->partition, place, stored, partition->low,
	               partition->high, what, advice);
}

static bool is_past_end(const struct assigned_partition *partition, const char *place,
                        int64_t stored, int64_t *since_us, struct err *err)
{
	int64_t now_us = monotonic_us();

	if (*since_us == 0)
		*since_us = now_us;
	if (now_us - *since_us < PAST_END_LIMIT_US)
		return err_set(err, ERR_RETRY,
		               "%s/%" PRId32 ": the log ends at %" PRId64
		               ", before the next offset %" PRId64 " in %s",
		               partition->topic->name, partition->partition, partition->high,
		               stored, place);
	return cannot_start(
		partition, place, stored,
		"the topic was deleted and created again, or the broker has lost records",
		ERR_ADVICE_FRESH_SET, err);
}

bool stored_start(const struct assigned_partition *partition, const char *place, const char *advice,
                  int64_t stored, int64_t *past_end_since_us, int64_t *start, struct err *err)
{
	switch (start_check(stored, stored, partition->low, partition->high)) {
	case START_RESUME: *past_end_since_us = 0; return true;
	case START_FIRST:
		*start = partition->low;
		if (partition->low > 0)
			log_warn("earlier_records_missing",
			         log_partition(partition->topic->name, partition->partition),
			         log_int("first_offset", partition->low),
			         log_str("detail",
			                 "retention removed earlier records; reading from here"));
		return true;
	case START_LOST_RECORDS:
		return cannot_start(partition, place, stored,
		                    "retention has removed records that were never loaded", advice,
		                    err);
	case START_BEYOND_END: break;
	}
	return is_past_end(partition, place, stored, past_end_since_us, err);
}
