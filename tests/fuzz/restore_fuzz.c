/* Restore metadata, for each of the three folds. Half of the inputs get a correct checksum, so that
 * the code after the check of it runs. A task that accepts the metadata must then fold records,
 * flush, write the next metadata, and accept that again. */
#include <inttypes.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "base/timetext.h"
#include "bronze_fold.h"
#include "event/window.h"
#include "fuzz.h"
#include "fuzz/fuzz.h"
#include "merge_fold.h"
#include "session_fold.h"
#include "stages.h"
#include "stream/outbox.h"
#include "stream/outputs.h"
#include "stream/record.h"
#include "stream/task.h"
#include "wire/frame.h"
#include "wire/records_aggregate.h"
#include "wire/records_bronze.h"
#include "wire/topics.h"

#define BASE_US INT64_C(1569888000000000) /* 2019-10-01 */

static const struct output_context outputs = {"fuzz",
                                              {[TOPIC_BRONZE_EVENTS] = 1,
                                               [TOPIC_DEAD_LETTER] = 1,
                                               [TOPIC_LATE_EVENTS] = 1,
                                               [TOPIC_SESSION_FUNNELS] = 1,
                                               [TOPIC_FUNNEL_PARTIALS] = 1,
                                               [TOPIC_AGGREGATED_EVENTS] = 1},
                                              {1, 2, 3, 4, 5, 6, 7},
                                              NULL};
static const struct bronze_fold_config bronze_config = {&outputs, 1, 7 * US_PER_DAY, false, NULL};
static const struct merge_fold_config merge_config = {&outputs, 3, 10 * US_PER_MINUTE};
static struct outbox box;

static struct task_params params_of(int which)
{
	static struct session_fold_config session_config = {.outputs = &outputs,
	                                                    .disorder_us = 5 * US_PER_SECOND,
	                                                    .grace_us = 10 * US_PER_MINUTE};
	struct task_params params = {&bronze_fold_ops, &bronze_config, 0, 1, "m", 4, NULL};

	if (which == 1) {
		if (session_config.rollups.count == 0) {
			fuzz_check(rollups_parse("1m:all 1d:brand", &session_config.rollups, NULL));
			fuzz_check(
				stages_parse("view,cart,purchase", &session_config.stages, NULL));
		}
		params.ops = &session_fold_ops;
		params.fold_config = &session_config;
	} else if (which == 2) {
		params.ops = &merge_fold_ops;
		params.fold_config = &merge_config;
	}
	return params;
}

/* Applies a record of a form that the fold accepts, with the given event time. */
static void apply_one(struct task *task, int which, int64_t time_us)
{
	struct input_record record = {.topic = SPAN("input"),
	                              .offset = task->position,
	                              .timestamp_ms = time_us / 1000};
	struct bronze_event bronze = {.event = {.event_time_us = time_us,
	                                        .product_id = 1,
	                                        .user_id = 1,
	                                        .price_cents = 1}};
	struct partial partial = {.rollup = SPAN("1m:all"),
	                          .group_value = SPAN("all"),
	                          .window_start_us = time_us,
	                          .window_end_us = time_us + 1,
	                          .watermark_us = time_us};
	struct buffer value = {0};

	if (which == 0)
		buffer_append(&value, "xxxxx{}", 7);
	else if (which == 1)
		bronze_encode(&value, 1, &bronze);
	else
		partial_encode(&value, 1, &partial);
	record.value = (struct span){value.at, value.len};
	record.body = (struct span){value.at + FRAME_BYTES, value.len - FRAME_BYTES};
	task_apply(task, &record, &box);
	buffer_free(&value);
}

#define COMMITTED INT64_C(1000000)

static bool resume(int which, struct span metadata, int64_t committed, bool again)
{
	struct task_params params = params_of(which);
	char next[TASK_METADATA_MAX];
	struct task task;
	struct err err = {ERR_NONE, ""};

	if (!task_resume(&task, &params, committed, metadata, &err)) {
		fuzz_check(err.class == ERR_OPERATOR && err.message[0]);
		task_free(&task);
		return false;
	}
	fuzz_check(task.position >= 0 && task.position <= committed);
	fuzz_check(task_restore_from(&task) >= 0);
	if (!again) {
		apply_one(&task, which, BASE_US);
		apply_one(&task, which, INT64_C(253402300799999999));
		apply_one(&task, which, INT64_C(-62135596800000000));
	}
	task_at_end(&task, committed);
	fuzz_check(!task.restoring);
	task_flush(&task, &box);
	if (params.ops->idle)
		params.ops->idle(task.fold, &box);
	outbox_clear(&box);
	if (task_metadata(&task, next, &err)) {
		task_committed(&task);
		fuzz_check(again || resume(which, span_of(next), task.position, true));
	} else {
		fuzz_check(err.class == ERR_FATAL);
	}
	task_free(&task);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_reader in = {(const char *)data, size};
	uint8_t form = fuzz_byte(&in);
	char text[TASK_METADATA_MAX * 2];

	if (in.left > TASK_METADATA_MAX)
		return 0;
	if (form & 4) {
		resume(form & 3, (struct span){in.at, in.left}, COMMITTED, false);
		return 0;
	}
	memcpy(text, in.at, in.left);
	snprintf(text + in.left, sizeof(text) - in.left, " x=%08" PRIx32, XXH32(text, in.left, 0));
	resume(form & 3, (struct span){text, in.left + strlen(" x=00000000")}, COMMITTED, false);
	return 0;
}
