#include "batch_due.h"

#include "stream/catch_up.h"

#define REST_RATIO 3 /* of the pause before a small commit, to the last commit */

bool batch_is_due(const struct batch_state *batch, int64_t interval_us)
{
	bool rested = batch->rested_us >= REST_RATIO * batch->last_commit_took_us;

	return batch->full || (batch->drained && rested && !batch->catching_up) ||
	       batch->age_us >= commit_interval_us(interval_us, INT64_MAX, batch->catching_up);
}
