/* Deletes with DeleteRecords all records before the restore offset of the last commit, so a
 * restore by the next instance finds all records that it needs. The request is asynchronous. A
 * failed request is not repeated: the next one has a higher offset. */

#include "task_loop/task_loop_trim.h"

#include "kafka/intake.h"
#include "kafka/kafka_error.h"
#include "service/log.h"
#include "service/monotime.h"

#ifndef TRIM_INTERVAL_US
#define TRIM_INTERVAL_US (60 * INT64_C(1000000))
#endif
#ifndef TRIM_RECORDS_MIN
#define TRIM_RECORDS_MIN 10000
#endif

static void take_results(struct task_loop *loop)
{
	rd_kafka_event_t *event;

	while ((event = rd_kafka_queue_poll(loop->trim_results, 0))) {
		const rd_kafka_DeleteRecords_result_t *result =
			rd_kafka_event_DeleteRecords_result(event);
		const rd_kafka_topic_partition_list_t *list =
			result ? rd_kafka_DeleteRecords_result_offsets(result) : NULL;

		if (rd_kafka_event_error(event))
			log_warn("trim_failed",
			         log_str("error", rd_kafka_event_error_string(event)));
		for (int i = 0; list && i < list->cnt; i++)
			if (list->elems[i].err)
				log_warn("trim_failed",
				         log_partition(list->elems[i].topic,
				                       list->elems[i].partition),
				         log_str("error", kafka_err_text(list->elems[i].err)));
		rd_kafka_event_destroy(event);
	}
}

void trim_inputs(struct task_loop *loop)
{
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_DeleteRecords_t *request;

	if (monotonic_us() < loop->next_trim_us)
		return;
	loop->next_trim_us = monotonic_us() + TRIM_INTERVAL_US;
	if (!loop->trim_results)
		loop->trim_results = rd_kafka_queue_new(intake_client(loop->intake));
	take_results(loop);
	list = rd_kafka_topic_partition_list_new((int)loop->task_count + 1);
	for (size_t i = 0; i < loop->task_count; i++) {
		struct assigned_task *assigned = &loop->tasks[i];

		if (!assigned->input->trim ||
		    assigned->restore_from < assigned->trimmed_to + TRIM_RECORDS_MIN)
			continue;
		rd_kafka_topic_partition_list_add(list, assigned->topic,
		                                  assigned->task.params.partition)
			->offset = assigned->restore_from;
		assigned->trimmed_to = assigned->restore_from;
		log_info("trim_requested",
		         log_partition(assigned->topic, assigned->task.params.partition),
		         log_int("before_offset", assigned->restore_from));
	}
	if (list->cnt) {
		request = rd_kafka_DeleteRecords_new(list);
		rd_kafka_DeleteRecords(intake_client(loop->intake), &request, 1, NULL,
		                       loop->trim_results);
		rd_kafka_DeleteRecords_destroy(request);
	}
	rd_kafka_topic_partition_list_destroy(list);
}
