/* Which way the events of a batch take into raw.events. */
#include <criterion/criterion.h>

#include "event_path.h"

/* Batches that take the staged path until one is direct again. */
static int staged_batches(struct event_path *path)
{
	int count = 0;

	for (; !event_path_is_direct(path); count++)
		event_path_committed(path, 0);
	return count;
}

Test(loader_event_path, is_direct_until_events_collide)
{
	struct event_path path = {0};

	for (int i = 0; i < 1000; i++) {
		cr_assert(event_path_is_direct(&path));
		event_path_committed(&path, 0);
	}
	event_path_collided(&path);
	cr_assert_not(event_path_is_direct(&path));
}

Test(loader_event_path, is_direct_again_after_10_batches_of_new_events)
{
	struct event_path path = {0};

	event_path_collided(&path);
	cr_assert_eq(staged_batches(&path), 10);
	event_path_collided(&path);
	cr_assert_eq(staged_batches(&path), 10);
}

Test(loader_event_path, a_batch_with_stored_events_starts_the_count_again)
{
	struct event_path path = {0};

	event_path_collided(&path);
	for (int i = 0; i < 9; i++)
		event_path_committed(&path, 0);
	event_path_committed(&path, 1);
	cr_assert_eq(staged_batches(&path), 10);
}
