/* The sort runs in steps, so that the process answers signals and health checks, and the Kafka
 * client is served. */
#include "producer_sort.h"

#include <stdlib.h>
#include <string.h>

#include "display.h"
#include "external_sort.h"
#include "sender.h"
#include "service/log.h"
#include "service/monotime.h"
#include "source.h"

#define SORT_ROWS 20000 /* rows in one step */

/* The folder of the state file, unless SORT_DIR or TMPDIR is set. */
static bool find_folder(struct producer *p, struct err *err)
{
	const char *tmpdir = getenv("TMPDIR"), *state_file = p->config->state_file;
	const char *folder = p->config->sort_dir[0] ? p->config->sort_dir
	                     : tmpdir && tmpdir[0]  ? tmpdir
	                                            : ".producer-state";
	size_t len = strlen(folder);

	if (!p->config->sort_dir[0] && folder != tmpdir && strrchr(state_file, '/')) {
		folder = state_file;
		len = (size_t)(strrchr(state_file, '/') - state_file);
	}
	if (len >= sizeof(p->sort_folder))
		return err_set(err, ERR_INPUT,
		               "SORT_DIR: the path has %zu bytes; expected less than %zu", len,
		               sizeof(p->sort_folder));
	memcpy(p->sort_folder, folder, len);
	p->sort_folder[len] = '\0';
	return true;
}

bool producer_set_order(struct producer *p, struct err *err)
{
	if (strcmp(p->config->order, "time") != 0)
		return true;
	if (p->plan.synthetic)
		return err_set(err, ERR_INPUT,
		               "ORDER=time needs SOURCE=file; remove one of ORDER and SOURCE");
	return find_folder(p, err) &&
	       source_sort(p->source, p->sort_folder, (size_t)p->config->sort_memory_bytes, err);
}

static void show(struct producer *p)
{
	struct external_sort_numbers sort = source_sort_numbers(p->source);
	struct display_numbers numbers = {.rows = sort.rows,
	                                  .event_time_us = INT64_MIN,
	                                  .sorting = true};

	numbers.done = source_progress(p->source, &numbers.total);
	display_show(&p->display, &numbers, monotonic_us());
}

static void report(struct producer *p)
{
	struct external_sort_numbers sort = source_sort_numbers(p->source);

	display_end(&p->display);
	if (sort.rows > 0)
		log_info("sorted", log_int("rows", sort.rows), log_int("runs", sort.runs),
		         log_int("temporary_bytes", sort.temporary_bytes),
		         log_str("sort_dir", sort.runs > 0 ? p->sort_folder : NULL),
		         log_seconds("seconds", monotonic_us() - p->began_us));
	p->began_us = monotonic_us();
	display_init(&p->display, p->began_us, 0);
}

enum step producer_step_sorting(struct producer *p, struct err *err)
{
	bool ready;

	if (p->sender && !sender_poll(p->sender, 0, err))
		return STEP_FAILED;
	if (!source_prepare(p->source, SORT_ROWS, &ready, err))
		return STEP_FAILED;
	if (!ready) {
		show(p);
		return STEP_MORE;
	}
	report(p);
	p->phase = PHASE_SCANNING;
	return STEP_MORE;
}
