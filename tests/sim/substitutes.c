#define _GNU_SOURCE
#include "sim/substitutes.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "kafka/kafka_refusal.h"
#include "registry/registry.h"
#include "service/fault.h"
#include "service/health.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/stop.h"
#include "sim/arena.h"
#include "sim/choice.h"
#include "sim/oracle.h"
#include "sim/pg_libpq.h"
#include "sim/process.h"
#include "sim/story.h"

/* ---- time and threads */

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_usleep(useconds_t us);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*body)(void *), void *argument);
int __wrap_pthread_clockjoin_np(pthread_t thread, void **result, clockid_t clock,
                                const struct timespec *until);
int __wrap_pthread_detach(pthread_t thread);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	int64_t us = clock == CLOCK_MONOTONIC ? sim_monotonic_us() : sim_wallclock_us();

	*now = (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
	return 0;
}

double real_seconds(void)
{
	struct timespec now;

	__real_clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int __wrap_usleep(useconds_t us)
{
	process_sleep(us);
	return 0;
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	if (count == 1 && pg_poll(fds, timeout_ms))
		return 1;
	if (count == 0)
		process_sleep((int64_t)timeout_ms * 1000);
	return 0;
}

/* A thread runs at once. Some do not end: before or after their work. */
enum thread_fault {
	THREAD_ENDS,
	THREAD_CANNOT_START,
	THREAD_HANGS,
	THREAD_HANGS_LATER,
	THREAD_COUNT
};

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*body)(void *), void *argument)
{
	struct process *process = process_current();
	uint32_t fault =
		process ? choose(CHOICE_THREAD, process->actor, THREAD_COUNT) : THREAD_ENDS;

	(void)attributes;
	if (fault == THREAD_CANNOT_START)
		return EAGAIN;
	if (fault != THREAD_HANGS)
		body(argument);
	if (fault)
		story("a thread does not end");
	*thread = fault;
	return 0;
}

int __wrap_pthread_clockjoin_np(pthread_t thread, void **result, clockid_t clock,
                                const struct timespec *until)
{
	int64_t until_us = until->tv_sec * INT64_C(1000000) + until->tv_nsec / 1000;

	(void)result;
	if (thread == THREAD_ENDS)
		return 0;
	process_sleep(until_us -
	              (clock == CLOCK_MONOTONIC ? sim_monotonic_us() : sim_wallclock_us()));
	return ETIMEDOUT;
}

int __wrap_pthread_detach(pthread_t thread)
{
	(void)thread;
	return 0;
}

/* ---- crashes */

void fault_point(const char *name)
{
	char why[64];

	if (!choose(CHOICE_CRASH_POINT, process_current()->actor, 2))
		return;
	snprintf(why, sizeof(why), "crash at the fault point %s", name);
	process_kill(process_current(), why);
}

/* ---- service */

static const struct service *captured;

int service_main(const struct service *service, int argc, char **argv)
{
	(void)argc, (void)argv;
	captured = service;
	return 0;
}

const struct service *sim_captured_service(void)
{
	return captured;
}

bool service_stopping(void)
{
	return process_current() && process_current()->stopping;
}

void health_ready(const char *reason)
{
	if (process_current())
		process_current()->ready = !reason;
}

void health_alive(void)
{
}

void health_limit_ms(int64_t limit_ms)
{
	(void)limit_ms;
}

static void print_field(const struct log_field *field, char *out, size_t cap)
{
	switch (field->type) {
	case LOG_TEXT: snprintf(out, cap, " %s=%s", field->key, field->value.text); break;
	case LOG_INTEGER:
		snprintf(out, cap, " %s=%" PRId64, field->key, field->value.integer);
		break;
	case LOG_UNSIGNED:
		snprintf(out, cap, " %s=%" PRIu64, field->key, field->value.natural);
		break;
	case LOG_BOOLEAN:
		snprintf(out, cap, " %s=%s", field->key, field->value.truth ? "true" : "false");
		break;
	case LOG_SECONDS:
	case LOG_PERCENT:
		snprintf(out, cap, " %s=%" PRId64 "us", field->key, field->value.integer);
		break;
	}
}

/* As a process does whose log is a full pipe. */
static void stand_still(void)
{
	struct process *process = process_current();
	uint32_t length = process ? choose(CHOICE_LOG, process->actor, 15) : 0;

	if (!length)
		return;
	process_freeze(process, INT64_C(1000) << length);
	process_sleep(INT64_C(1000) << length);
}

void log_event(enum log_level level, const char *event, const struct log_field *fields)
{
	char line[2048];
	size_t len;

	if (level == LOG_DEBUG)
		return;
	stand_still();
	if (!story_is_shown())
		return;
	len = (size_t)snprintf(line, sizeof(line), "log: %s", event);
	for (; fields->key && len < sizeof(line) - 1; fields++) {
		if (fields->type == LOG_TEXT && !fields->value.text)
			continue;
		print_field(fields, line + len, sizeof(line) - len);
		len = strlen(line);
	}
	story("%s", line);
}

/* ---- metrics: not kept */

struct metric {
	int64_t value;
};
struct histogram {
	int64_t value;
};
static struct metric no_metric;
static struct histogram no_histogram;

struct metric *metric_get(enum metric_kind kind, const char *name, const char *labels,
                          const char *help)
{
	(void)kind, (void)name, (void)labels, (void)help;
	return &no_metric;
}

void metric_add(struct metric *metric, int64_t amount)
{
	(void)metric, (void)amount;
}

void metric_set(struct metric *metric, int64_t value)
{
	(void)metric, (void)value;
}

struct histogram *histogram_get(const char *name, const char *labels, const char *help)
{
	(void)name, (void)labels, (void)help;
	return &no_histogram;
}

void histogram_observe_us(struct histogram *histogram, int64_t duration_us)
{
	(void)histogram, (void)duration_us;
}

struct histogram *number_histogram_get(const char *name, const char *labels, const char *help)
{
	return histogram_get(name, labels, help);
}

void histogram_observe_number(struct histogram *histogram, int64_t number)
{
	(void)histogram, (void)number;
}

int64_t metric_value(const struct metric *metric)
{
	return metric->value;
}

/* ---- registry */

struct registry {
	char unused;
};
#define FIRST_ID 1
static int32_t first_id; /* FIRST_ID: the registry has its data */
#define OTHER_IDS 30     /* each schema is registered twice */

void sim_registry_begin(int32_t first)
{
	first_id = first;
}

int32_t sim_registry_id(enum schema_kind kind)
{
	return first_id + (int32_t)kind;
}

int32_t sim_registry_other_id(enum schema_kind kind)
{
	return first_id + OTHER_IDS + (int32_t)kind;
}

bool registry_urls_check(const char *urls, struct err *err)
{
	(void)urls, (void)err;
	return true;
}

bool registry_config_check(const char *config, struct err *err)
{
	(void)config, (void)err;
	return true;
}

struct registry *registry_new(const struct registry_config *config, long timeout_ms,
                              struct err *err)
{
	(void)config, (void)timeout_ms, (void)err;
	return xzalloc(1, sizeof(struct registry));
}

void registry_free(struct registry *registry)
{
	free(registry);
}

/* The oracle always gets an answer. */
static bool answers(struct err *err)
{
	const struct process *process = process_current();
	bool answer = arena_current() == ARENA_WORLD || !choose(CHOICE_REGISTRY, process->actor, 2);

	if (!answer)
		story("the registry does not answer");
	return answer || err_set(err, ERR_RETRY, "the registry does not answer");
}

bool registry_register(struct registry *registry, const char *topic_prefix, enum schema_kind kind,
                       int32_t *schema_id, struct err *err)
{
	(void)registry, (void)topic_prefix;
	if (first_id != FIRST_ID)
		oracle_fail("%s registers a schema with a registry that has lost its data",
		            process_current()->name);
	*schema_id = sim_registry_id(kind);
	return answers(err);
}

enum registry_result registry_schema(struct registry *registry, int32_t schema_id,
                                     struct span *text, bool *is_json_schema, struct err *err)
{
	int32_t first = first_id, kind;

	(void)registry;
	if (arena_current() == ARENA_WORLD && schema_id < 1 + OTHER_IDS + SCHEMA_COUNT)
		first = 1; /* the oracle knows the first ids too */
	kind = schema_id - first;
	if (kind >= OTHER_IDS)
		kind -= OTHER_IDS;
	if (!answers(err))
		return REGISTRY_FAILED;
	if (kind < 0 || kind >= SCHEMA_COUNT)
		return REGISTRY_UNKNOWN_ID;
	*text = span_of(schema_texts[kind].text);
	*is_json_schema = schema_texts[kind].is_json_schema;
	return REGISTRY_FOUND;
}

bool registry_subject_ids(struct registry *registry, const char *topic_prefix,
                          enum schema_kind kind, int32_t *ids, size_t cap, size_t *count,
                          struct err *err)
{
	(void)registry, (void)topic_prefix, (void)cap;
	ids[0] = sim_registry_id(kind);
	ids[1] = sim_registry_other_id(kind);
	*count = 2;
	return answers(err);
}

/* Nothing is encrypted here. */
bool kafka_refused(rd_kafka_t *client, struct err *err)
{
	(void)client, (void)err;
	return false;
}
