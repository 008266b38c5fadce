#include "batch_due.h"

#include <criterion/criterion.h>

#define INTERVAL 200000

static bool due(struct batch_state batch)
{
	return batch_is_due(&batch, INTERVAL);
}

Test(batch_due, at_once_when_full)
{
	cr_assert(due((struct batch_state){.full = true}));
	cr_assert(due((struct batch_state){.full = true, .catching_up = true}));
	cr_assert(!due((struct batch_state){.age_us = INTERVAL - 1}));
}

Test(batch_due, after_the_interval)
{
	cr_assert(due((struct batch_state){.age_us = INTERVAL}));
	cr_assert(due((struct batch_state){.age_us = INTERVAL, .last_commit_took_us = INTERVAL}));
}

Test(batch_due, a_drained_batch_rests_three_times_the_last_commit)
{
	struct batch_state batch = {.drained = true, .last_commit_took_us = 10000};

	batch.rested_us = 29999;
	cr_assert(!due(batch));
	batch.rested_us = 30000;
	cr_assert(due(batch));
	batch.drained = false;
	cr_assert(!due(batch));
}

Test(batch_due, a_second_while_catching_up)
{
	struct batch_state batch = {.catching_up = true};

	batch.age_us = INTERVAL;
	cr_assert(!due(batch));
	batch.age_us = 999999;
	cr_assert(!due(batch));
	batch.age_us = 1000000;
	cr_assert(due(batch));
}

Test(batch_due, a_longer_interval_stays)
{
	struct batch_state batch = {.catching_up = true, .age_us = 4999999};

	cr_assert(!batch_is_due(&batch, 5000000));
	batch.age_us++;
	cr_assert(batch_is_due(&batch, 5000000));
}

Test(batch_due, a_poll_without_records_is_no_reason_while_catching_up)
{
	cr_assert(!due((struct batch_state){.drained = true, .catching_up = true}));
}
