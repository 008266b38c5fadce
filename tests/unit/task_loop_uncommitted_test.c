#include "task_loop/task_loop_uncommitted.h"

#include <criterion/criterion.h>

#include "task_loop/task_loop.h"

Test(task_loop_uncommitted, rows_are_those_of_inputs_with_rows_that_are_not_restored)
{
	const struct task_loop_input bronze = {.rows = true}, partials = {.rows = false};
	struct assigned_task tasks[] = {
		{.input = &bronze, .task = {.committed = 10, .position = 15}},
		{.input = &bronze, .task = {.committed = 0, .position = 2}},
		{.input = &bronze, .task = {.committed = 0, .position = 100, .restoring = true}},
		{.input = &partials, .task = {.committed = 0, .position = 1000}},
	};
	struct task_loop loop = {.tasks = tasks, .task_count = 4};

	cr_expect_eq(task_loop_uncommitted_rows(&loop), 7);
	cr_expect_eq(task_loop_uncommitted_records(&loop), 1007);
}
