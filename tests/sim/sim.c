/* The program: runs schedules, and shows the story of one that fails. */
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/schedule.h"
#include "sim/services.h"
#include "sim/shrink.h"
#include "sim/story.h"
#include "sim/substitutes.h"

#define STUCK_S 15

struct options {
	double seconds;
	uint64_t seed, step; /* first seed, and distance to the next */
	uint64_t count;      /* of schedules; 0: until the time is over */
	bool story, no_shrink;
	bool brief; /* no story of a failure */
	bool loader;
	const char *trace; /* replay this file */
	struct cluster_bugs bugs;
};

struct sums {
	uint64_t schedules, failed, faults, starts, transactions, records;
	double virtual_hours, began, seconds;
};

static void usage(void)
{
	puts("sim [--seconds N] [--seed N] [--step N] [--count N] [--story] [--no-shrink] [--brief]\n"
	     "    [--loader] [--trace FILE] [--bug drop_markers|no_verification]");
	exit(64);
}

static void set_bug(struct options *options, const char *name)
{
	if (strcmp(name, "drop_markers") == 0)
		options->bugs.drop_markers = true;
	else if (strcmp(name, "no_verification") == 0)
		options->bugs.no_verification = true;
	else
		usage();
}

static void parse(int argc, char **argv, struct options *options)
{
	for (int i = 1; i < argc; i++) {
		const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(name, "--story") == 0) {
			options->story = true;
			continue;
		}
		if (strcmp(name, "--no-shrink") == 0) {
			options->no_shrink = true;
			continue;
		}
		if (strcmp(name, "--loader") == 0) {
			options->loader = true;
			continue;
		}
		if (strcmp(name, "--brief") == 0) {
			options->brief = true;
			continue;
		}
		if (!value)
			usage();
		i++;
		if (strcmp(name, "--seconds") == 0)
			options->seconds = strtod(value, NULL);
		else if (strcmp(name, "--seed") == 0)
			options->seed = strtoull(value, NULL, 10);
		else if (strcmp(name, "--step") == 0)
			options->step = strtoull(value, NULL, 10);
		else if (strcmp(name, "--count") == 0)
			options->count = strtoull(value, NULL, 10);
		else if (strcmp(name, "--trace") == 0)
			options->trace = value;
		else if (strcmp(name, "--bug") == 0)
			set_bug(options, value);
		else
			usage();
	}
}

static void add(struct sums *sums, const struct schedule_result *result)
{
	sums->schedules++;
	sums->failed += result->failed;
	sums->faults += result->faults;
	sums->starts += result->starts;
	sums->transactions += result->transactions;
	sums->records += result->records;
	sums->virtual_hours += (double)result->virtual_us / 3.6e9;
}

static void show(struct schedule_options *options, struct trace *trace, bool no_shrink)
{
	struct schedule_result result;
	size_t before = trace->count;

	if (!no_shrink)
		shrink(options, trace, 60);
	printf("\nseed %" PRIu64 ": %zu of %zu choices are enough:\n", options->seed, trace->count,
	       before);
	for (size_t i = 0; i < trace->count; i++)
		printf("  %s %u %" PRIu32 " %" PRIu32 "\n", choice_kind_name(trace->at[i].kind),
		       trace->at[i].actor, trace->at[i].number, trace->at[i].value);
	options->replayed = trace;
	story_show(true);
	schedule_run(options, &result);
	story_show(false);
	trace_free(&result.trace);
}

static uint64_t running;

/* A schedule takes milliseconds. */
static void stuck(int number)
{
	char line[64];
	int len = snprintf(line, sizeof(line), "FAILED seed %" PRIu64 " does not end\n", running);

	(void)number;
	if (write(STDOUT_FILENO, line, (size_t)len) < 0)
		_exit(2);
	_exit(1);
}

static void run_one(const struct options *options, uint64_t seed, struct sums *sums)
{
	struct schedule_options schedule = {.seed = seed,
	                                    .bugs = options->bugs,
	                                    .loader = options->loader};
	struct schedule_result result;
	struct trace replayed = {0};

	if (options->trace && !trace_read(&replayed, options->trace))
		usage();
	if (options->trace)
		schedule.replayed = &replayed;
	running = seed;
	alarm(STUCK_S);
	story_show(options->story);
	schedule_run(&schedule, &result);
	story_show(false);
	alarm(0);
	add(sums, &result);
	sums->seconds = real_seconds() - sums->began;
	if (result.failed) {
		printf("FAILED seed %" PRIu64 " after %.1f s: %s\n", seed, sums->seconds,
		       result.failure);
		fflush(stdout);
		if (!options->story && !options->brief)
			show(&schedule, &result.trace, options->no_shrink);
	}
	trace_free(&result.trace);
	trace_free(&replayed);
}

static void print(const struct sums *sums)
{
	double hours = sums->seconds / 3600;

	printf("%" PRIu64 " schedules with %" PRIu64 " faults in %.1f s: %.0f faults an hour; "
	       "%.1f virtual hours\n",
	       sums->schedules, sums->faults, sums->seconds,
	       hours > 0 ? (double)sums->faults / hours : 0, sums->virtual_hours);
	printf("%" PRIu64 " starts of processes, %" PRIu64 " transactions and %" PRIu64
	       " records checked\n",
	       sums->starts, sums->transactions, sums->records);
	printf("%" PRIu64 " passed, %" PRIu64 " failed\n", sums->schedules - sums->failed,
	       sums->failed);
}

int main(int argc, char **argv)
{
	struct options options = {.seconds = 10, .seed = 1, .step = 1};
	struct sums sums = {0};

	parse(argc, argv, &options);
	json_object_seed(1);
	services_load();
	signal(SIGALRM, stuck);
	sums.began = real_seconds();
	for (uint64_t n = 0; (options.count == 0 || n < options.count) &&
	                     real_seconds() - sums.began < options.seconds && sums.failed == 0;
	     n++)
		run_one(&options, options.seed + n * options.step, &sums);
	sums.seconds = real_seconds() - sums.began;
	print(&sums);
	return sums.failed > 0;
}
