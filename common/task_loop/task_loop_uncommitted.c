#include "task_loop/task_loop_uncommitted.h"

#include <stddef.h>

static int64_t uncommitted_of(const struct assigned_task *assigned)
{
	return assigned->task.restoring ? 0 : assigned->task.position - assigned->task.committed;
}

int64_t task_loop_uncommitted_records(const struct task_loop *loop)
{
	int64_t records = 0;

	for (size_t i = 0; i < loop->task_count; i++)
		records += uncommitted_of(&loop->tasks[i]);
	return records;
}

int64_t task_loop_uncommitted_rows(const struct task_loop *loop)
{
	int64_t rows = 0;

	for (size_t i = 0; i < loop->task_count; i++)
		if (loop->tasks[i].input->rows)
			rows += uncommitted_of(&loop->tasks[i]);
	return rows;
}
