#include "sim/flushes.h"

#include <stdbool.h>
#include <string.h>

#include "base/memory.h"
#include "sim/arena.h"
#include "sim/oracle.h"
#include "sim/process.h"
#include "stream/task.h"

struct point {
	uint32_t life;
	const struct fold_ops *ops;
	const void *fold;
	int32_t partition;
	int64_t position;
	bool freed; /* its task is freed, but a late request may still commit its transaction */
};

static struct {
	struct point *at;
	size_t count, capacity;
} flushes;

void __wrap_task_flush(struct task *task, struct outbox *out);
void __real_task_flush(struct task *task, struct outbox *out);
void __wrap_task_free(struct task *task);
void __real_task_free(struct task *task);
void __wrap_task_start(struct task *task, const struct task_params *params, int64_t offset);
void __real_task_start(struct task *task, const struct task_params *params, int64_t offset);
bool __wrap_task_resume(struct task *task, const struct task_params *params, int64_t committed,
                        struct span metadata, struct err *err);
bool __real_task_resume(struct task *task, const struct task_params *params, int64_t committed,
                        struct span metadata, struct err *err);

void flushes_begin(void)
{
	memset(&flushes, 0, sizeof(flushes));
}

static void remove_at(size_t i)
{
	memmove(flushes.at + i, flushes.at + i + 1, (--flushes.count - i) * sizeof(*flushes.at));
}

static bool is_of(const struct point *point, const struct task *task)
{
	return point->life == process_current()->life && point->ops == task->params.ops &&
	       point->partition == task->params.partition;
}

/* The transaction of an earlier task is over: its producer was fenced before. */
static void add(const struct task *task)
{
	int before = sim_enter();

	for (size_t i = flushes.count; i-- > 0;)
		if (is_of(&flushes.at[i], task) && flushes.at[i].freed)
			remove_at(i);
	GROW(flushes.at, flushes.count, flushes.capacity);
	flushes.at[flushes.count++] =
		(struct point){process_current()->life, task->params.ops, task->fold,
	                       task->params.partition,  task->position,   false};
	sim_leave(before);
}

/* A task without new records has no outputs. */
void __wrap_task_flush(struct task *task, struct outbox *out)
{
	if (arena_current() != ARENA_WORLD && task->position != task->committed)
		add(task);
	__real_task_flush(task, out);
}

static void count(const struct task *task, int by)
{
	if (arena_current() != ARENA_WORLD && task->fold)
		process_current()->tasks += (size_t)by;
}

void __wrap_task_start(struct task *task, const struct task_params *params, int64_t offset)
{
	__real_task_start(task, params, offset);
	count(task, 1);
}

bool __wrap_task_resume(struct task *task, const struct task_params *params, int64_t committed,
                        struct span metadata, struct err *err)
{
	bool ok = __real_task_resume(task, params, committed, metadata, err);

	count(task, 1);
	return ok;
}

void flushes_check_tasks(size_t partitions)
{
	const struct process *process = process_current();

	if (process->tasks > partitions)
		oracle_fail("%s has %zu tasks, but reads %zu partitions", process->name,
		            process->tasks, partitions);
}

void __wrap_task_free(struct task *task)
{
	count(task, -1);
	if (arena_current() != ARENA_WORLD && task->fold)
		for (size_t i = 0; i < flushes.count; i++)
			if (flushes.at[i].fold == task->fold && is_of(&flushes.at[i], task))
				flushes.at[i].freed = true;
	__real_task_free(task);
}

int64_t flushes_take(uint32_t life, const struct fold_ops *ops, int32_t partition, int64_t to)
{
	for (size_t i = 0; i < flushes.count; i++) {
		const struct point *point = &flushes.at[i];
		int64_t position = point->position;

		if (point->life != life || point->ops != ops || point->partition != partition ||
		    position > to)
			continue;
		remove_at(i);
		return position;
	}
	return -1;
}
